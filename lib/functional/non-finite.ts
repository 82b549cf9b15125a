/** What is said about a batch whose statistics are not finite, or do not fit the type of the parameters. */
import process from 'node:process'
import type { ChannelMoments, NonFinite, Running } from '../backend/backend.ts'
import { type ParameterType, roundedTo } from '../tensor/data-type.ts'

const channelsShown = 5

/** What a variance has to fit: running statistics; `null`: there are none to take it. */
export interface Taking {
  readonly type: ParameterType
  readonly correction: Running['correction']
}

/** Whether every statistic is finite, and fits what takes it. */
export function statisticsFit(moments: ChannelMoments, taking: Taking | null): boolean {
  const broken = moments.mean.some((_, channel) => holdsNonFinite(moments, channel))
  return !broken && channelsTooLarge(moments, taking).length === 0
}

/**
 * `statisticsFit`, where `nonFinite` lets the others pass.
 *
 * @throws RangeError for what `nonFinite: 'throw'` names
 */
export function checkFit(
  moments: ChannelMoments,
  taking: Taking | null,
  type: ParameterType,
  nonFinite: NonFinite,
): boolean {
  const fits = statisticsFit(moments, taking)
  if (!fits && nonFinite === 'throw') throw nonFiniteError(moments, taking, type)
  return fits
}

/** The error of `nonFinite: 'throw'`: which channels, and what is wrong with them. */
export function nonFiniteError(
  moments: ChannelMoments,
  taking: Taking | null,
  type: ParameterType,
): RangeError {
  const channels = [...moments.mean.keys()]
  const broken = channels.filter((channel) => holdsNonFinite(moments, channel))
  const tooLarge = channelsTooLarge(moments, taking)
  const found = [
    ...(broken.length > 0 ? [`NaN or Infinity in ${list(broken, moments)}`] : []),
    ...(tooLarge.length > 0 ? [`a variance that does not fit ${type} in ${list(tooLarge, moments)}`] : []),
  ]
  return new RangeError(
    `Expected input to have finite statistics that fit ${type} but received ${found.join(' and ')} ` +
      "(nothing was changed; nonFinite: 'skip' or 'propagate' lets such a batch pass)",
  )
}

/** Says once, and not for every batch, that finite data have a variance which runningVar cannot hold. */
export class OverflowWarning {
  #given = false

  give(moments: ChannelMoments, taking: Taking): void {
    const channels = this.#given ? [] : channelsTooLarge(moments, taking)
    if (channels.length === 0) return
    this.#given = true
    process.emitWarning(
      `The variance of ${list(channels, moments)} does not fit ${taking.type}: runningVar is Infinity there ` +
        '(scale the input down; the output of this batch is right)',
      'BatchNormWarning',
    )
  }
}

function holdsNonFinite({ mean, m2 }: ChannelMoments, channel: number): boolean {
  return !(Number.isFinite(mean[channel]) && Number.isFinite(m2[channel]))
}

function channelsTooLarge(moments: ChannelMoments, taking: Taking | null): number[] {
  if (taking === null) return []
  const { type, correction } = taking
  return [...moments.mean.keys()].filter((channel) => {
    const variance = moments.m2[channel] / (moments.count - correction)
    return !holdsNonFinite(moments, channel) && !Number.isFinite(roundedTo(type, variance))
  })
}

/** `channels 0, 5 (2 of 100)` */
function list(channels: readonly number[], { mean }: ChannelMoments): string {
  const shown = channels.slice(0, channelsShown).join(', ')
  const rest = channels.length > channelsShown ? ', ...' : ''
  return `channel${channels.length === 1 ? '' : 's'} ${shown}${rest} (${channels.length} of ${mean.length})`
}
