/**
 * Batch normalization without a module: nothing is remembered, the caller holds the buffers. An
 * input is `[N, C, ...]`, with `layout: 'channels-last'` `[N, ..., C]`.
 * https://pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
 */
import type { Extent, Moments, Running } from './backend/backend.ts'
import { currentBackend } from './backend/load.ts'
import { describe, invalidShape, singleValueError } from './errors.ts'
import { assertWritable } from './in-flight.ts'
import { OverflowWarning } from './non-finite.ts'
import { extentOf, type Layout, layouts, type Shape, sameShape, valuesPerChannel } from './shape.ts'
import { Tensor } from './tensor.ts'
import {
  assertApart,
  assertSameOrApart,
  boolean,
  float32Tensor,
  float32Vector,
  float64Vector,
  fraction,
  nonNegative,
  oneOf,
  optionsObject,
  outArray,
  type StatisticsVector,
  type TensorLike,
  type Vector,
} from './validate.ts'

export interface BatchNormFunctionOptions {
  /** Read in eval; in training moved, in place, toward the batch's. Together with `runningVar` or not at all. */
  runningMean?: Vector | null
  /** The unbiased variance. */
  runningVar?: Vector | null
  /** gamma; none stands for ones. */
  weight?: Vector | null
  /** beta; none stands for zeros. */
  bias?: Vector | null
  /** Whether to normalize with the batch's statistics. Default false, as in PyTorch. */
  training?: boolean
  /** The weight of the new statistic. Default 0.1. */
  momentum?: number
  /** Added to the variance before its square root. Default 1e-5. */
  eps?: number
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
  /** Where to write, of the input's length; may be the input itself. */
  out?: Vector
}

export interface BatchNormStatsOptions {
  /** Added to the variance before its square root. Default 1e-5. */
  eps?: number
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
}

export interface BatchNormStats {
  /** How many values each channel has. */
  readonly count: number
  readonly mean: Float64Array
  /** `1 / sqrt(variance + eps)`, the variance the biased one. */
  readonly invstd: Float64Array
}

export interface BatchNormBackwardOptions {
  /** The mean that the forward normalized with: the batch's, or in eval the running one. */
  mean: StatisticsVector
  /** `1 / sqrt(variance + eps)` of the forward. */
  invstd: StatisticsVector
  /** gamma; none stands for ones. */
  weight?: Vector | null
  /** Whether the statistics are those of the input, so that the gradient flows through them. Default true. */
  training?: boolean
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
  /** Where to write gradInput, of the input's length; may be `gradOutput` or the input. */
  out?: Vector
}

export interface BatchNormGradients {
  readonly gradInput: Tensor
  /** `sum(gradOutput * xhat)` of each channel. */
  readonly gradWeight: Tensor
  /** `sum(gradOutput)` of each channel. */
  readonly gradBias: Tensor
}

const overflowWarning = new OverflowWarning()

/**
 * `y = (x - mean) / sqrt(variance + eps) * weight + bias`: with the batch's statistics in training,
 * with the running ones in eval. An empty batch gives an empty output and changes nothing.
 *
 * @returns the output, of the input's shape; a view of `out` if there is one
 * @throws TypeError or RangeError for an argument that does not fit, for running statistics that are
 * missing in eval, and for one value a channel in training. Nothing has changed then.
 */
export function batchNorm(input: TensorLike, options: BatchNormFunctionOptions = {}): Tensor {
  const { training = false, momentum = 0.1, eps = 1e-5, layout, weight, bias, out } = optionsObject(options)
  const x = float32Tensor('input', input)
  const extent = inputExtent(input.shape, layout)
  const { channels } = extent
  boolean('training', training)
  fraction('momentum', momentum)
  nonNegative('eps', eps)
  const affine = {
    weight: float32Vector('weight', weight, channels),
    bias: float32Vector('bias', bias, channels),
  }
  const running = runningOf(options, channels)
  const y = outArray(out, input.shape, x.length)
  assertSameOrApart('out', y, 'input', x)
  assertApart('out', y, { ...affine, runningMean: running?.mean, runningVar: running?.variance })
  const moments = momentsOf(channels)
  const statistics = { mean: moments.mean, invstd: new Float64Array(channels) }

  if (!training) {
    if (running === null) {
      throw new TypeError(
        'Expected runningMean and runningVar in eval but received neither (give both, or training: true)',
      )
    }
    currentBackend().evalStatistics(running, eps, statistics)
    currentBackend().normalize(x, extent, statistics, affine, y)
    return new Tensor(y, input.shape.slice())
  }

  if (valuesPerChannel(extent) === 1) throw singleValueError(input.shape, 'a last batch of 1? Drop it')
  if (running) {
    assertWritable('runningMean', running.mean)
    assertWritable('runningVar', running.variance)
    assertApart('runningMean', running.mean, { input: x, ...affine, runningVar: running.variance })
    assertApart('runningVar', running.variance, { input: x, ...affine })
  }
  if (x.length > 0) {
    const settings = { eps, momentum, nonFinite: 'propagate' } as const
    const { invstd } = statistics
    const fits = currentBackend().forward(x, extent, settings, affine, running, moments, invstd, y)
    if (!fits && running) overflowWarning.give(moments)
  }
  return new Tensor(y, input.shape.slice())
}

/**
 * The batch's own statistics, as `batchNormBackward` wants them. Of an empty batch they are zeros.
 *
 * @throws TypeError or RangeError for an argument that does not fit
 */
export function batchNormStats(input: TensorLike, options: BatchNormStatsOptions = {}): BatchNormStats {
  const { eps = 1e-5, layout } = optionsObject(options)
  const x = float32Tensor('input', input)
  const extent = inputExtent(input.shape, layout)
  nonNegative('eps', eps)
  const moments = momentsOf(extent.channels)
  if (x.length === 0) return { count: 0, mean: moments.mean, invstd: new Float64Array(extent.channels) }
  currentBackend().statistics(x, extent, moments)
  const { count, mean, m2 } = moments
  return { count, mean, invstd: m2.map((sum) => 1 / Math.sqrt(sum / count + eps)) }
}

/**
 * The gradients of `batchNorm`; see `batchNormStats` for its statistics. Of an empty batch they are
 * empty, and zeros.
 *
 * ```ts
 * const { mean, invstd } = functional.batchNormStats(x, { eps })
 * const { gradInput } = functional.batchNormBackward(gradOutput, x, { mean, invstd, weight })
 * ```
 *
 * @throws TypeError or RangeError for an argument that does not fit. Nothing has changed then.
 */
export function batchNormBackward(
  gradOutput: TensorLike,
  input: TensorLike,
  options: BatchNormBackwardOptions,
): BatchNormGradients {
  const { training = true, layout, out } = optionsObject(options)
  const gradY = float32Tensor('gradOutput', gradOutput)
  const x = float32Tensor('input', input)
  const extent = inputExtent(input.shape, layout)
  if (!sameShape(gradOutput.shape, input.shape)) {
    throw invalidShape('gradOutput', `${describe(input.shape)}, the input's,`, gradOutput.shape)
  }
  const { channels } = extent
  boolean('training', training)
  const mean = float64Vector('mean', options.mean, channels)
  const invstd = float64Vector('invstd', options.invstd, channels)
  const weight = float32Vector('weight', options.weight, channels)
  const gradX = outArray(out, input.shape, x.length)
  assertSameOrApart('out', gradX, 'gradOutput', gradY)
  assertSameOrApart('out', gradX, 'input', x)
  assertApart('out', gradX, { mean, invstd, weight })

  const gradWeight = new Float32Array(channels)
  const gradBias = new Float32Array(channels)
  if (x.length > 0) {
    const gradients = { input: gradX, weight: gradWeight, bias: gradBias }
    currentBackend().backward(gradY, x, extent, { mean, invstd }, weight, training, gradients)
  }
  return {
    gradInput: new Tensor(gradX, input.shape.slice()),
    gradWeight: new Tensor(gradWeight, [channels]),
    gradBias: new Tensor(gradBias, [channels]),
  }
}

function inputExtent(shape: Shape, layout: Layout = 'channels-first'): Extent {
  oneOf('layout', layout, layouts)
  const extent = shape.length < 2 ? null : extentOf(shape, layout)
  if (extent === null || extent.channels === 0) {
    const expected = layout === 'channels-last' ? '[N, ..., C]' : '[N, C, ...]'
    throw invalidShape('input', `${expected} with at least one channel`, shape)
  }
  return extent
}

function runningOf({ runningMean, runningVar }: BatchNormFunctionOptions, channels: number): Running | null {
  const mean = float32Vector('runningMean', runningMean, channels)
  const variance = float32Vector('runningVar', runningVar, channels)
  if (mean && variance) return { mean, variance }
  if (mean === variance) return null
  const [given, lacking] = mean ? ['runningMean', 'runningVar'] : ['runningVar', 'runningMean']
  throw new TypeError(`Expected runningMean and runningVar together but received ${given} without ${lacking}`)
}

function momentsOf(channels: number): Moments {
  return { count: 0, mean: new Float64Array(channels), m2: new Float64Array(channels) }
}
