import type { Channel, Study } from './study.ts'

/** Why train and eval differ; the names of verdicts. */
export type GapCause =
  | 'non-finite'
  | 'negative variance'
  | 'non-finite batches'
  | 'never updated'
  | 'not arrived'
  | 'unbiased variance'
  | 'noisy average'
  | 'drift'
  | 'batch size'
  | 'single value'
  | 'variance near eps'
  | 'switched'

/** A number that a verdict rests on. */
export interface GapFigure {
  /** What it is. */
  readonly name: string
  /** The number. */
  readonly value: number
  /** Its unit: `batches`, `values`, `standard deviations`, or `''` for a ratio. */
  readonly unit: string
}

/** What a verdict says beside its channels. */
export interface Explanation {
  readonly figures: readonly GapFigure[]
  /** One sentence. */
  readonly sentence: string
  readonly remedy: string
}

/** One cause: how it is seen, and what is said of it. */
export interface Cause {
  readonly name: GapCause
  /**
   * The part of a channel's mean square that it explains, which it takes from what is left of it; `null`: the
   * channel does not have it.
   */
  explain(channel: Channel, study: Study): number | null
  /** Of the channels that have it, of which there is at least one. */
  describe(channels: readonly Channel[], study: Study): Explanation
}

/** A figure; `text` writes its number in sentences. */
export function figure(name: string, value: number, unit = ''): GapFigure {
  return { name, value, unit }
}

/** Three digits, as people read them. */
export function text(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  return String(Number(value.toPrecision(3)))
}

/** The largest of a number over channels. */
export function largest(channels: readonly Channel[], of: (channel: Channel) => number): number {
  return channels.reduce((most, channel) => Math.max(most, of(channel)), Number.NEGATIVE_INFINITY)
}

/** The average of a number over channels where it is one; NaN where it is none of them. */
export function average(channels: readonly Channel[], of: (channel: Channel) => number): number {
  const known = channels.map(of).filter(Number.isFinite)
  return known.reduce((sum, value) => sum + value, 0) / known.length
}
