/** What is said about a batch whose statistics are not finite, or do not fit float32. */
import type { Moments } from './backend/backend.ts'

const channelsShown = 5

/** The error of `nonFinite: 'throw'`: which channels, and what is wrong with them. */
export function nonFiniteError(moments: Moments): RangeError {
  const channels = [...moments.mean.keys()]
  const broken = channels.filter((channel) => holdsNonFinite(moments, channel))
  const tooLarge = channelsTooLarge(moments)
  const found = [
    ...(broken.length > 0 ? [`NaN or Infinity in ${list(broken, moments)}`] : []),
    ...(tooLarge.length > 0 ? [`a variance that does not fit float32 in ${list(tooLarge, moments)}`] : []),
  ]
  return new RangeError(
    `Expected input to have finite statistics that fit float32 but received ${found.join(' and ')} ` +
      "(nothing was changed; nonFinite: 'skip' or 'propagate' lets such a batch pass)",
  )
}

/** Says once, and not for every batch, that finite data have a variance which runningVar cannot hold. */
export class OverflowWarning {
  #given = false

  give(moments: Moments): void {
    const channels = this.#given ? [] : channelsTooLarge(moments)
    if (channels.length === 0) return
    this.#given = true
    process.emitWarning(
      `The variance of ${list(channels, moments)} does not fit float32: runningVar is Infinity there ` +
        '(scale the input down; the output of this batch is right)',
      'BatchNormWarning',
    )
  }
}

function holdsNonFinite({ mean, m2 }: Moments, channel: number): boolean {
  return !(Number.isFinite(mean[channel]) && Number.isFinite(m2[channel]))
}

function channelsTooLarge(moments: Moments): number[] {
  return [...moments.mean.keys()].filter((channel) => {
    const variance = moments.m2[channel] / (moments.count - 1)
    return !holdsNonFinite(moments, channel) && !Number.isFinite(Math.fround(variance))
  })
}

/** `channels 0, 5 (2 of 100)` */
function list(channels: readonly number[], { mean }: Moments): string {
  const shown = channels.slice(0, channelsShown).join(', ')
  const rest = channels.length > channelsShown ? ', ...' : ''
  return `channel${channels.length === 1 ? '' : 's'} ${shown}${rest} (${channels.length} of ${mean.length})`
}
