import { type ChannelStatistics, modesDiffer, type Norm } from './norm.ts'
import { type GapParts, squareOf } from './parts.ts'
import type { Recording } from './recorder.ts'
import { type Channel, studyOf } from './study.ts'
import { type GapVerdict, verdictsOf } from './verdicts.ts'

/** One channel of a `GapReport`. Lengths are in standard deviations of the training output, as there. */
export interface ChannelGap {
  /** How far eval is from training. */
  readonly gap: number
  /** What of it would remain after `recalibrate` on these batches. */
  readonly gapAfterRecalibration: number
  /**
   * What running and batch statistics differ by, in three mean squares that add up to the square of the gap: of the running
   * mean, of the running variance, and of the scatter of the batches. Where a switch makes both modes alike they are
   * what they would be without it.
   */
  readonly parts: GapParts
  /** What eval normalizes with; `null`: there are no running statistics. */
  readonly running: ChannelStatistics | null
  /** Of all the values, the variance that the module stores: what `recalibrate` would make the running statistics. */
  readonly data: ChannelStatistics
  /** The standard deviation over the batches of their mean and of their unbiased variance; NaN of one batch. */
  readonly scatter: ChannelStatistics
}

/** Why train and eval of a batch norm differ; see `explainGap`. */
export interface GapReport {
  /** The name it was given, or its description. */
  readonly name: string
  /** Each channel by itself. */
  readonly channels: readonly ChannelGap[]
  /** Batches of more than one value a channel; ghost batches each count. */
  readonly batches: number
  /** Values a channel of a batch, on the average. */
  readonly valuesPerBatch: number
  /**
   * How far the output in eval is from the output in training for the same batches: the root mean square over values and
   * channels, before weight and bias, where the output in training has a standard deviation of 1 (eps aside). So it is in
   * units of `|weight|`, whatever the weight is. 0 where a switch makes both modes alike.
   */
  readonly gap: number
  /** The same after `recalibrate` on these batches. */
  readonly gapAfterRecalibration: number
  /** The part of the mean square that no verdict explains, from 0 to 1: what is too small to be named, or chance. */
  readonly unexplained: number
  /** Why, the largest part of the gap first. */
  readonly verdicts: readonly GapVerdict[]
}

/** @throws RangeError where there is no batch that training would take */
export function gapReport(norm: Norm, recording: Recording): GapReport {
  const study = studyOf(norm, recording)
  const isGap = modesDiffer(norm)
  const verdicts = verdictsOf(study)
  const channels = study.channels.map(
    (channel): ChannelGap => ({
      gap: isGap ? Math.sqrt(squareOf(channel.parts)) : 0,
      gapAfterRecalibration: isGap ? Math.sqrt(squareOf(channel.partsAfter)) : 0,
      parts: channel.parts,
      running: norm.running && channel.running,
      data: channel.population,
      scatter: scatterOf(channel),
    }),
  )
  const inAll = (of: (channel: ChannelGap) => number) =>
    Math.sqrt(channels.reduce((sum, channel) => sum + of(channel) ** 2 / channels.length, 0))
  const gap = inAll((channel) => channel.gap)
  const explained = verdicts.reduce((sum, { share }) => sum + (Number.isNaN(share) ? 0 : share), 0)
  return {
    name: norm.name,
    channels,
    batches: study.batches,
    valuesPerBatch: study.count,
    gap,
    gapAfterRecalibration: inAll((channel) => channel.gapAfterRecalibration),
    unexplained: channels.some((channel) => channel.gap > 0) ? Math.max(0, 1 - explained) : 0,
    verdicts,
  }
}

function scatterOf({ training: { batches } }: Channel): ChannelStatistics {
  const deviation = (values: readonly number[]) => {
    const mean = values.reduce((sum, value) => sum + value / values.length, 0)
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2 / (values.length - 1), 0))
  }
  return {
    mean: deviation(batches.map(({ mean }) => mean)),
    variance: deviation(batches.map(({ count, variance }) => (variance * count) / (count - 1))),
  }
}
