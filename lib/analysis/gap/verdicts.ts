import type { Cause, Explanation, GapCause } from './cause.ts'
import { batchSize, singleValue } from './causes/batch-size.ts'
import { negativeVariance, nonFinite, nonFiniteBatches } from './causes/broken.ts'
import { drift } from './causes/drift.ts'
import { varianceNearEps } from './causes/near-eps.ts'
import { neverUpdated } from './causes/never-updated.ts'
import { noisyAverage } from './causes/noisy-average.ts'
import { notArrived } from './causes/not-arrived.ts'
import { switched } from './causes/switched.ts'
import { unbiasedVariance } from './causes/unbiased-variance.ts'
import { modesDiffer } from './norm.ts'
import { squareOf } from './parts.ts'
import type { Channel, Study } from './study.ts'

/** One reason why train and eval differ. */
export interface GapVerdict extends Explanation {
  /** What is wrong. */
  readonly name: GapCause
  /**
   * The part of the mean square of the gap that it explains, over all channels whose gap is a number; 0 for what makes
   * none by itself, NaN where it makes the gap NaN.
   */
  readonly share: number
  /** The channels that it concerns. */
  readonly channels: readonly number[]
}

/** What is certain comes first: each explains what those before it have left. */
const causes: readonly Cause[] = [
  nonFinite,
  negativeVariance,
  nonFiniteBatches,
  neverUpdated,
  notArrived,
  unbiasedVariance,
  noisyAverage,
  drift,
  batchSize,
  singleValue,
  varianceNearEps,
  switched,
]

/** Those that can be told where no mode normalizes with running statistics. */
const causesWithoutRunning: readonly Cause[] = [nonFiniteBatches, singleValue, switched]

/** Sorted by how much of the gap they explain, what makes it NaN first. */
export function verdictsOf(study: Study): GapVerdict[] {
  const { norm, channels } = study
  const isUsed = norm.running !== null && norm.useBatchStats !== true
  const total = channels.reduce((sum, { parts }) => sum + finite(squareOf(parts)), 0)
  const shareOf = (explained: number) => {
    if (!modesDiffer(norm)) return 0
    return explained === 0 ? 0 : explained / total
  }
  const verdicts = (isUsed ? causes : causesWithoutRunning).flatMap((cause): GapVerdict[] => {
    const concerned: Channel[] = []
    let explained = 0
    for (const channel of channels) {
      const part = cause.explain(channel, study)
      if (part === null) continue
      concerned.push(channel)
      explained += part
    }
    if (concerned.length === 0) return []
    const { figures, sentence, remedy } = cause.describe(concerned, study)
    const indices = concerned.map(({ index }) => index)
    return [{ name: cause.name, share: shareOf(explained), channels: indices, figures, sentence, remedy }]
  })
  const rank = ({ share }: GapVerdict) => (Number.isNaN(share) ? Number.POSITIVE_INFINITY : share)
  return verdicts.sort((one, other) => (rank(one) === rank(other) ? 0 : rank(other) - rank(one)))
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0
}
