import { customGrad, type Tensor, tensor } from '@tensorflow/tfjs-core'
import type { Affine, ChannelMoments, Extent, Running, Statistics } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { emptyMoments } from '../../backend/moments.ts'
import { type AffineTensors, gradientsOf } from './gradients.ts'

/**
 * Normalizes with the statistics of `input` itself, which the gradient flows through.
 *
 * @returns the output, and the moments of the batch for whoever keeps moving statistics
 */
export function normalizeWithBatch(
  input: Tensor,
  extent: Extent,
  affine: AffineTensors,
  epsilon: number,
): { output: Tensor; moments: ChannelMoments } {
  const { channels } = extent
  const moments = emptyMoments(channels)
  const invstd = new Float64Array(channels)
  const settings = { eps: epsilon, momentum: 0, nonFinite: 'propagate' } as const

  const output = differentiable(input, extent, affine, true, (x, arrays, y) => {
    currentBackend().forward(x, extent, settings, arrays, null, moments, invstd, y)
    return { mean: moments.mean, invstd }
  })
  return { output, moments }
}

/** Normalizes with moving statistics, which are constants to the gradient. */
export function normalizeWithMoving(
  input: Tensor,
  extent: Extent,
  affine: AffineTensors,
  moving: Running,
  epsilon: number,
): Tensor {
  const { channels } = extent
  return differentiable(input, extent, affine, false, (x, arrays, y) => {
    const statistics = { mean: new Float64Array(channels), invstd: new Float64Array(channels) }
    currentBackend().evalStatistics(moving, epsilon, statistics)
    currentBackend().normalize(x, extent, statistics, arrays, y)
    return statistics
  })
}

/** Runs `forward` on the tensors' arrays and gives the result the gradient of `Backend.backward`. */
function differentiable(
  input: Tensor,
  extent: Extent,
  { gamma, beta }: AffineTensors,
  training: boolean,
  forward: (x: Float32Array, affine: Affine, y: Float32Array) => Statistics,
): Tensor {
  const parameters = [gamma, beta].filter((parameter) => parameter !== null)
  return customGrad(() => {
    const x = input.dataSync<'float32'>()
    const affine = { weight: gamma?.dataSync<'float32'>() ?? null, bias: beta?.dataSync<'float32'>() ?? null }
    const y = new Float32Array(x.length)
    const statistics = forward(x, affine, y)
    const normalized = { input, gamma, beta, x, weight: affine.weight, extent, statistics, training }
    const gradFunc = (gradOutput: Tensor) => gradientsOf(gradOutput, normalized)
    return { value: tensor(y, input.shape), gradFunc }
  })(input, ...parameters)
}
