/**
 * How far the output in eval is from the output in training, without computing either.
 *
 * Before weight and bias both modes are affine in x, in each channel and batch:
 *
 *     eval      e = r (x - M)              r = 1 / sqrt(V + eps), M and V the running statistics
 *     training  t = s (x - m) + d          s = 1 / sqrt(v + eps), m and v the batch's, d = 0
 *
 * (batch renormalization multiplies s and has a d of its own). So their difference is affine as well,
 *
 *     e - t = (r - s) (x - m) + o          o = r (m - M) - d
 *
 * and since x - m has the mean 0 and the mean square v over the batch, the mean of (e - t)^2 over it is
 * (r - s)^2 v + o^2: of the batch, its moments are enough. Over batches that weigh w = n / N each, with O the mean
 * of o, Q the mean of v, and S the mean of s where v weighs, the two sums part as any sum of squares does:
 *
 *     sum w (e - t)^2 = O^2 + (r - S)^2 Q + [ sum w (o - O)^2 + sum w v (s - S)^2 ]
 *                       mean  variance        scatter
 *
 * The first is what the running mean is off by, the second what the running variance is off by, the third how the
 * statistics of the batches scatter, which no running statistics can follow.
 */
import { invstdOf } from '../../backend/moments.ts'
import type { Limits } from '../../modules/methods/renormalized.ts'
import type { ChannelStatistics } from './norm.ts'

/** What one channel of a batch has: its count, its mean, its biased variance. */
export interface ChannelBatch extends ChannelStatistics {
  readonly count: number
}

/** Mean squares that add up to that of the gap. */
export interface GapParts {
  /** What the running mean is off by. */
  readonly mean: number
  /** What the running variance is off by. */
  readonly variance: number
  /** What the statistics of the batches scatter by. */
  readonly scatter: number
}

/** How a channel normalizes in training. */
export interface Training {
  readonly batches: readonly ChannelBatch[]
  readonly eps: number
  readonly limits: Limits | null
}

/** The parts of the mean square between eval with these statistics and training on these batches. */
export function partsOf({ batches, eps, limits }: Training, { mean, variance }: ChannelStatistics): GapParts {
  const invstd = invstdOf(variance, 1, eps)
  const total = batches.reduce((sum, { count }) => sum + count, 0)
  const each = batches.map((batch) => {
    const own = invstdOf(batch.variance, 1, eps)
    const distance = invstd * (batch.mean - mean)
    const [scale, shift] =
      limits === null
        ? [own, 0]
        : [own * clip(invstd / own, 1 / limits.rMax, limits.rMax), clip(distance, -limits.dMax, limits.dMax)]
    return { weight: batch.count / total, offset: distance - shift, scale, variance: batch.variance }
  })
  const within = each.map((batch) => batch.weight * batch.variance)
  const sum = (term: (batch: (typeof each)[number], index: number) => number) =>
    each.reduce((all, batch, index) => all + term(batch, index), 0)
  const offset = sum(({ weight, offset }) => weight * offset)
  const power = sum((_, index) => within[index])
  const scale = power === 0 ? invstd : sum((batch, index) => within[index] * batch.scale) / power
  return {
    mean: offset ** 2,
    variance: (invstd - scale) ** 2 * power,
    scatter:
      sum((batch) => batch.weight * (batch.offset - offset) ** 2) +
      sum((batch, index) => within[index] * (batch.scale - scale) ** 2),
  }
}

/** What wrong running statistics explain. */
export function biasOf({ mean, variance }: GapParts): number {
  return mean + variance
}

/** The mean square of the gap. */
export function squareOf(parts: GapParts): number {
  return biasOf(parts) + parts.scatter
}

function clip(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}
