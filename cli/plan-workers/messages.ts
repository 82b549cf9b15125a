import { headerOf } from '../../lib/distributed/header.ts'
import { mostMoments } from '../../lib/distributed/merge-over-ranks.ts'

/** Numbers beside the moments in each slot: the count, and what else every rank tells of its part. */
const facts = 5

const bytesOfNumber = 8

/** How the moments of a forward travel: each rank's own in a slot, or sums over the ranks. */
export type Way = 'slots' | 'sums'

export function wayOf(channels: number, ranks: number): Way {
  return channels * ranks <= mostMoments ? 'slots' : 'sums'
}

/** From so many ranks on sums travel. */
export function sumsFrom(channels: number): number {
  return Math.floor(mostMoments / channels) + 1
}

/** Bytes that travel before the numbers of each operation, in an all-reduce of their own. */
export const headerBytes = headerOf({ number: 0, key: '', length: 0 }).byteLength

/** The lengths in bytes of all that is reduced for one layer in one step of training. */
export function messagesOf(channels: number, ranks: number): number[] {
  const forward =
    wayOf(channels, ranks) === 'slots'
      ? [ranks * (3 * channels + facts)]
      : [ranks * facts, channels, 2 * channels]
  return [...forward, 2 * channels].flatMap((numbers) => [headerBytes, numbers * bytesOfNumber])
}

/** The least there could be: two numbers a channel, forward and backward. */
export function leastMessagesOf(channels: number): number[] {
  return [2 * channels, 2 * channels].map((numbers) => numbers * bytesOfNumber)
}
