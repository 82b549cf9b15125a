import type { ChannelMoments, Statistics } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { emptyMoments, invstdOfMoments } from '../backend/moments.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { nonNegative } from '../checks/scalars.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import { type Layout, valuesPerChannel } from '../tensor/shape.ts'
import { type Input, inputOf } from './arguments.ts'

/** Options of `batchNormStats`. */
export interface BatchNormStatsOptions {
  /** Added to the variance before its square root. Default 1e-5. */
  eps?: number
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
}

const names = optionNames<BatchNormStatsOptions>({ eps: true, layout: true })

/** The statistics of a batch, `[C]` each, in float64. */
export interface BatchNormStats {
  /** How many values each channel has. */
  readonly count: number
  /** The mean of each channel. */
  readonly mean: Float64Array
  /** The low part of the mean, below the last digit of float64: `mean + meanLow` has twice the digits. */
  readonly meanLow: Float64Array
  /** `1 / sqrt(variance + eps)`, the variance the biased one; 0 for a constant channel with an eps of 0. */
  readonly invstd: Float64Array
}

/**
 * The batch's own statistics, as `batchNormBackward` wants them. Of an empty batch they are zeros.
 *
 * @throws TypeError or RangeError for an argument that does not fit
 */
export function batchNormStats(input: FloatTensorLike, options: BatchNormStatsOptions = {}): BatchNormStats {
  const { eps = 1e-5, layout } = optionsObject(options, names)
  const given = inputOf('input', input, layout)
  nonNegative('eps', eps)
  const { moments, statistics } = statisticsFor(given)
  const { mean, meanLow, invstd } = statistics
  const count = valuesPerChannel(given.extent)
  if (count > 0) {
    currentBackend().statistics(given.x, given.extent, moments)
    invstdOfMoments(moments, eps, invstd)
  }
  return { count, mean, meanLow, invstd }
}

/** Room for the statistics of an input: its moments, and what normalizes with the mean of those, in arrays of their own. */
export function statisticsFor({ extent: { channels } }: Input): {
  moments: Required<Omit<ChannelMoments, 'numbers'>>
  statistics: Required<Omit<Statistics, 'numbers'>>
} {
  const moments = emptyMoments(channels)
  const { mean, meanLow } = moments
  return { moments, statistics: { mean, invstd: new Float64Array(channels), meanLow } }
}
