import { customGrad, type Tensor, tensor } from '@tensorflow/tfjs-core'
import type { Affine, Extent, Running, Statistics } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { emptyMoments, invstdOfMoments } from '../../backend/moments.ts'
import type { Collective } from '../../distributed/collective.ts'
import { type AffineTensors, gradientsOf, type StatisticsSource } from './gradients.ts'
import type { Rows } from './mask.ts'
import { type BatchStatistics, statisticsOfRows } from './masked.ts'
import { momentsOfRanks } from './ranks.ts'
import { float32Of } from './values.ts'

interface NormalizedBatch {
  readonly output: Tensor
  /** For whoever keeps moving statistics. */
  readonly batch: BatchStatistics
}

/** Normalizes with the statistics of `input` itself, which the gradient flows through. */
export function normalizeWithBatch(
  input: Tensor,
  extent: Extent,
  affine: AffineTensors,
  epsilon: number,
): NormalizedBatch {
  const { channels } = extent
  const moments = emptyMoments(channels)
  const invstd = new Float64Array(channels)
  const settings = { eps: epsilon, momentum: 0, nonFinite: 'propagate' } as const

  const output = differentiable(input, extent, affine, 'batch', (x, arrays, y) => {
    currentBackend().forward(x, extent, settings, arrays, null, moments, invstd, y)
    return { mean: moments.mean, invstd }
  })
  const { count, mean, m2 } = moments
  const counts = new Float64Array(channels).fill(count)
  return { output, batch: { counts, mean, variance: m2.map((sum) => sum / count) } }
}

/** Normalizes all of `input` with the statistics of its unmasked values, which the gradient flows through. */
export function normalizeWithUnmasked(
  input: Tensor,
  extent: Extent,
  affine: AffineTensors,
  epsilon: number,
  unmasked: readonly Rows[],
): NormalizedBatch {
  const batch = statisticsOfRows(float32Of(input), extent.channels, unmasked, epsilon)
  const output = differentiable(input, extent, affine, unmasked, (x, arrays, y) => {
    currentBackend().normalize(x, extent, batch, arrays, y)
    return batch
  })
  return { output, batch }
}

/** Normalizes with the statistics of all ranks' inputs, which the gradient flows through on every rank. */
export function normalizeWithRanks(
  input: Tensor,
  extent: Extent,
  affine: AffineTensors,
  epsilon: number,
  collective: Collective,
): NormalizedBatch {
  const moments = momentsOfRanks(float32Of(input), extent, collective)
  const { count, mean, meanLow, m2 } = moments
  const statistics = { mean, invstd: invstdOfMoments(moments, epsilon), ...(meanLow && { meanLow }) }
  const output = differentiable(input, extent, affine, { collective, count }, (x, arrays, y) => {
    if (x.length > 0) currentBackend().normalize(x, extent, statistics, arrays, y)
    return statistics
  })
  const counts = new Float64Array(extent.channels).fill(count)
  return { output, batch: { counts, mean, variance: m2.map((sum) => sum / count) } }
}

/** Normalizes with moving statistics, which are constants to the gradient. */
export function normalizeWithMoving(
  input: Tensor,
  extent: Extent,
  affine: AffineTensors,
  moving: Omit<Running, 'correction'>,
  epsilon: number,
): Tensor {
  const { channels } = extent
  return differentiable(input, extent, affine, 'moving', (x, arrays, y) => {
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
  source: StatisticsSource,
  forward: (x: Float32Array, affine: Affine, y: Float32Array) => Statistics,
): Tensor {
  const parameters = [gamma, beta].filter((parameter) => parameter !== null)
  return customGrad(() => {
    const x = float32Of(input)
    const affine = { weight: gamma && float32Of(gamma), bias: beta && float32Of(beta) }
    const y = new Float32Array(x.length)
    const statistics = forward(x, affine, y)
    const normalized = { input, gamma, beta, x, weight: affine.weight, extent, statistics, source }
    const gradFunc = (gradOutput: Tensor) => gradientsOf(gradOutput, normalized)
    return { value: tensor(y, input.shape), gradFunc }
  })(input, ...parameters)
}
