/**
 * TensorFlow.js, wasm backend: what its batch normalization layer does. `forward` is tf.moments and
 * tf.batchNorm, and does not move running statistics; `step` is tf.grads of that, which runs forward
 * and backward; `eval` is tf.batchNorm.
 */
import '@tensorflow/tfjs-backend-wasm'
// For the gradients, which it registers.
import '@tensorflow/tfjs-layers'
import * as tf from '@tensorflow/tfjs-core'
import { type Call, type Inputs, type Peer, type Results, serve } from './protocol.ts'

await tf.setBackend('wasm')
const eps = 1e-5

type Vector = tf.Tensor1D
type Moments = { mean: tf.Tensor; variance: tf.Tensor }

class TensorFlow implements Peer {
  readonly title = `TensorFlow.js ${tf.version_core}, wasm`
  #operations: Record<string, () => tf.Tensor[]> = {}

  constructor() {
    tf.engine().startScope()
  }

  load({ extent, ...inputs }: Inputs): void {
    // Lets go of the last shape's tensors.
    tf.engine().endScope()
    tf.engine().startScope()
    const { outer, channels, inner } = extent
    // Channels last: the only place where tf.batchNorm takes them.
    const toPlace = (values: Float32Array) =>
      tf.tidy(() => tf.transpose(tf.tensor3d(values, [outer, channels, inner]), [0, 2, 1]))
    const x = toPlace(inputs.x)
    const gradOutput = toPlace(inputs.gradOutput)
    const weight: tf.Tensor = tf.tensor1d(inputs.weight)
    const bias: tf.Tensor = tf.tensor1d(inputs.bias)
    const running = { mean: tf.tensor1d(inputs.runningMean), variance: tf.tensor1d(inputs.runningVariance) }
    const normalizeWith = ({ mean, variance }: Moments, x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) =>
      tf.batchNorm(x, mean as Vector, variance as Vector, bias as Vector, weight as Vector, eps)
    const normalize = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor =>
      normalizeWith(tf.moments(x, [0, 1]), x, weight, bias)
    this.#operations = {
      forward: () => [normalize(x, weight, bias)],
      step: () => tf.grads(normalize)([x, weight, bias], gradOutput),
      eval: () => [normalizeWith(running, x, weight, bias)],
    }
  }

  call(operation: string): Call {
    const run = this.#operations[operation]
    if (run === undefined) throw new Error(`unknown operation ${operation}`)
    return () => tf.dispose(tf.tidy(run))
  }

  results(operation: string): Results {
    return tf.tidy(() => {
      const [first, ...others] = this.#operations[operation]()
      const inPlace = tf.transpose(first, [0, 2, 1])
      return [inPlace, ...others].map((result) => result.dataSync<'float32'>())
    })
  }
}

await serve(new TensorFlow())
