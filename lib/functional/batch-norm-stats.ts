import type { Moments, Statistics } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { invstdOf } from '../invstd.ts'
import { type Layout, valuesPerChannel } from '../shape.ts'
import { type FloatTensorLike, nonNegative, optionsObject } from '../validate.ts'
import { type Input, inputOf } from './arguments.ts'

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
  /** What the mean lost when it was rounded to float64: `mean + meanLow` has twice the digits. */
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
  const { eps = 1e-5, layout } = optionsObject(options)
  const given = inputOf('input', input, layout)
  nonNegative('eps', eps)
  const { moments, statistics } = statisticsFor(given)
  const { mean, lost: meanLow, invstd } = statistics
  const count = valuesPerChannel(given.extent)
  if (count > 0) {
    currentBackend().statistics(given.x, given.extent, moments)
    moments.m2.forEach((sum, channel) => {
      invstd[channel] = invstdOf(sum, count, eps)
    })
  }
  return { count, mean, meanLow, invstd }
}

/** Room for the statistics of an input: its moments, and what normalizes with the mean of those, in arrays of their own. */
export function statisticsFor({ extent: { channels } }: Input): {
  moments: Required<Omit<Moments, 'numbers'>>
  statistics: Required<Omit<Statistics, 'numbers'>>
} {
  const mean = new Float64Array(channels)
  const lost = new Float64Array(channels)
  return {
    moments: { count: 0, mean, m2: new Float64Array(channels), lost },
    statistics: { mean, invstd: new Float64Array(channels), lost },
  }
}
