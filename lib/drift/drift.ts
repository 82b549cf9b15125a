/** How far moments are from running statistics, channel by channel, and whether that is more than chance. */
import type { ChannelMoments } from '../backend/backend.ts'

/** What inputs are held against: the running statistics, and eps. */
export interface Reference {
  readonly mean: ArrayLike<number>
  readonly variance: ArrayLike<number>
  readonly eps: number
}

/** From where on a channel has drifted. */
export interface Thresholds {
  readonly meanShift: number
  readonly varianceRatio: number
  readonly falseAlarms: number
}

/** The drift of the channels of one batch norm. */
export interface ChannelDrift {
  /** `(mean - runningMean) / sqrt(runningVar + eps)` of each channel: how far the normalized input lies from 0. */
  readonly meanShift: Float64Array
  /** `(variance + eps) / (runningVar + eps)` of each channel: what became of the unit variance. */
  readonly varianceRatio: Float64Array
  /** How far off chance alone may put `meanShift`, in a channel that has not drifted. */
  readonly meanDoubt: Float64Array
  /** How large chance alone may make `varianceRatio` in such a channel. */
  readonly varianceDoubt: number
  /** The channels that have drifted, ascending. */
  readonly drifted: readonly number[]
}

/**
 * A channel has drifted when it is beyond a threshold by more than chance: where `|meanShift|` less its doubt is above
 * the one for means, or where a channel at the threshold for variances would hardly have such a ratio. So many samples
 * alone never make a drift of a small difference, and few samples none of chance.
 *
 * Chance is that of `samples` independent normal ones, however many positions each has: positions of a sample are alike.
 * Chernoff's bounds hold for any number of them: the mean of n lies more than `z sqrt(variance / n)` off to one side with a
 * probability of at most `exp(-z^2 / 2)`, and a variance of n - 1 degrees of freedom beyond x times the true one with at
 * most `exp(-(n - 1) / 2 (x - 1 - ln x))`. Each channel has four such sides, which share `falseAlarms`.
 */
export function driftOf(
  { count, mean, m2 }: ChannelMoments,
  samples: number,
  reference: Reference,
  { meanShift: most, varianceRatio: largest, falseAlarms }: Thresholds,
): ChannelDrift {
  const channels = mean.length
  const exponent = Math.log((4 * channels) / falseAlarms)
  const z = Math.sqrt(2 * exponent)
  // What `x - 1 - ln x` is at the end of what chance can do.
  const furthest = samples > 1 ? (2 * exponent) / (samples - 1) : Number.POSITIVE_INFINITY
  const meanShift = new Float64Array(channels)
  const varianceRatio = new Float64Array(channels)
  const meanDoubt = new Float64Array(channels)
  const drifted: number[] = []
  for (let channel = 0; channel < channels; channel++) {
    const scale = reference.variance[channel] + reference.eps
    const variance = m2[channel] / count
    meanShift[channel] = (mean[channel] - reference.mean[channel]) / Math.sqrt(scale)
    varianceRatio[channel] = (variance + reference.eps) / scale
    // The larger of what was seen and what is expected: a constant input is no proof of a constant source.
    meanDoubt[channel] = z * Math.sqrt(Math.max(varianceRatio[channel], 1) / samples)
    const isShifted = Math.abs(meanShift[channel]) - meanDoubt[channel] > most
    // Of what a channel at the threshold has.
    const above = varianceRatio[channel] / largest
    const below = varianceRatio[channel] * largest
    const isStretched = (above > 1 && distance(above) > furthest) || (below < 1 && distance(below) > furthest)
    if (isShifted || isStretched) drifted.push(channel)
  }
  return { meanShift, varianceRatio, meanDoubt, varianceDoubt: largestRatio(furthest), drifted }
}

/** How far a ratio of variances lies from 1, in the exponent of Chernoff's bound. */
function distance(ratio: number): number {
  return ratio - 1 - Math.log(ratio)
}

/** The ratio above 1 that has this distance: `x = 1 + distance + ln x` again and again, where it is steady. */
function largestRatio(distance: number): number {
  let ratio = 2 + 2 * distance
  for (let last = 0; ratio !== last && Number.isFinite(ratio); ) {
    last = ratio
    ratio = Math.min(1 + distance + Math.log(ratio), last)
  }
  return ratio
}
