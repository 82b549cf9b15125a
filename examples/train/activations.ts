import { type Tensor, tidy } from '@tensorflow/tfjs-core'
import type { layers, Sequential } from '@tensorflow/tfjs-layers'

/** What goes into a batch norm layer and what comes out, laid out (digits, units). */
export interface Activations {
  readonly units: number
  readonly before: Float32Array
  readonly after: Float32Array
}

/** The activations around each of `batchNorms` when `model` looks at `images`, in inference mode. */
export function activationsOf(model: Sequential, batchNorms: layers.Layer[], images: Tensor): Activations[] {
  const found: Activations[] = []
  tidy(() => {
    let x = images
    for (const layer of model.layers) {
      const y = layer.apply(x, { training: false }) as Tensor
      if (batchNorms.includes(layer)) {
        found.push({
          units: x.shape[1] as number,
          before: x.dataSync<'float32'>(),
          after: y.dataSync<'float32'>(),
        })
      }
      x = y
    }
  })
  return found
}
