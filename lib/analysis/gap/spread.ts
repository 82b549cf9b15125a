/** How the statistics of batches scatter, beside what independent values would have them scatter by. */
import type { StoredVariance } from '../../modules/stored-variance.ts'
import type { ChannelBatch } from './parts.ts'
import { fewestDegrees, unknownTails } from './thresholds.ts'

/** Of one channel. */
export interface Spread {
  /** Values of a batch, on the average. */
  readonly count: number
  /** The variance within the batches that the running variance averages, by `storedVariance`. */
  readonly within: number
  /** The measured variance of batch means in times of `within / count`; 1 for independent values, NaN of one batch. */
  readonly means: number
  /** The measured variance of batch variances in times of `2 within^2 / (count - 1)`, which normal values have. */
  readonly variances: number
}

/** The same two ratios, as tests may take them. */
export interface Doubt {
  /** Never less than 1, nor than the average over the channels. */
  readonly means: number
  readonly variances: number
}

export function spreadOf(batches: readonly ChannelBatch[], stored: StoredVariance): Spread {
  const total = batches.reduce((sum, { count }) => sum + count, 0)
  const mean = batches.reduce((sum, batch) => sum + batch.count * batch.mean, 0) / total
  const degrees = total - batches.length
  const squares = batches.reduce((sum, { count, variance }) => sum + count * variance, 0)
  const within = squares / degrees
  // The ratio of the analysis of variance, between batches to within them.
  const between = batches.reduce((sum, batch) => sum + batch.count * (batch.mean - mean) ** 2, 0)
  const ofVariances = batches.reduce((sum, { count, variance }) => {
    return sum + ((count - 1) / 2) * ((variance * count) / (count - 1) / within - 1) ** 2
  }, 0)
  const others = batches.length - 1
  return {
    count: total / batches.length,
    within: stored === 'biased' ? squares / total : within,
    means: between / others / within,
    variances: ofVariances / others,
  }
}

/**
 * What tests have to reckon with: one channel's ratio is known to a few digits at best, so the average over the
 * channels counts where it is larger. Of hardly any batches nothing is measured, and the positions of a sample count as
 * one value, because they may be all alike, and the tails as heavy ones, on which variances depend.
 *
 * @param positions - values of a channel in a sample
 */
export function doubtsOf(spreads: readonly Spread[], batches: number, positions: number): Doubt[] {
  const isMeasured = isScatterMeasured(batches, spreads.length)
  const least = isMeasured
    ? { means: 1, variances: 1 }
    : { means: positions, variances: unknownTails * positions }
  const [means, variances] = (['means', 'variances'] as const).map((key) => {
    const known = spreads.map((spread) => spread[key]).filter(Number.isFinite)
    return known.reduce((sum, ratio) => sum + ratio / known.length, 0)
  })
  const largest = (...ratios: number[]) => Math.max(...ratios.filter(Number.isFinite))
  return spreads.map((spread) => ({
    means: largest(least.means, means, spread.means),
    variances: largest(least.variances, variances, spread.variances),
  }))
}

export function isScatterMeasured(batches: number, channels: number): boolean {
  return (batches - 1) * channels >= fewestDegrees
}
