/** A batch over the ranks of a collective, each of which has a part: the statistics and the gradients of the whole. */
import type { ChannelMoments, Extent, GradientSums, Statistics } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { emptyMoments } from '../../backend/moments.ts'
import type { Collective } from '../../distributed/collective.ts'
import { mergeOverRanks } from '../../distributed/merge-over-ranks.ts'
import { sumOverRanks } from '../../distributed/sum-over-ranks.ts'
import { runSync } from '../../modules/methods/steps.ts'

/** Whose statistics those of a batch are. */
export interface Ranks {
  readonly collective: Collective
  /** How many values a channel has on all ranks. */
  readonly count: number
}

/** The same bits on every rank; this one's part may be empty. */
export function momentsOfRanks(x: Float32Array, extent: Extent, collective: Collective): ChannelMoments {
  const own = emptyMoments(extent.channels)
  if (x.length > 0) currentBackend().statistics(x, extent, own)
  const part = { moments: own, largestWeight: 1, facts: [] }
  return runSync(mergeOverRanks(collective, 'forward of BatchNormalization', part)).moments
}

/** Sets the gradient of this rank's part, made of the sums of all ranks, and returns the sums of the part alone. */
export function setGradientOfRanks(
  gradInput: Float32Array,
  gradOutput: Float32Array,
  x: Float32Array,
  extent: Extent,
  statistics: Statistics,
  weight: Float32Array | null,
  { collective, count }: Ranks,
): GradientSums {
  const { channels } = extent
  const own = { gradient: new Float64Array(channels), product: new Float64Array(channels) }
  if (x.length > 0) currentBackend().gradientSums(gradOutput, x, extent, statistics, own)
  const all = runSync(sumOverRanks(collective, 'backward of BatchNormalization', own))
  if (x.length > 0) {
    const wanted = { input: gradInput }
    currentBackend().inputGradient(gradOutput, x, extent, statistics, weight, all, count, wanted)
  }
  return own
}
