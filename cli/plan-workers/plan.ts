import { type Algorithm, allReduceTime, type Network, ringWinsFrom } from './cost.ts'
import { leastMessagesOf, messagesOf, type Way, wayOf } from './messages.ts'

/** What synchronizing adds to one step of training, in seconds, and why. */
export interface Plan {
  readonly ranks: number
  /** 2 ceil(log2 P) (alpha + 16 C beta) a layer: a tree, were there only sums to send. */
  readonly least: number
  readonly tree: number
  readonly ring: number
  /** How the layers' moments travel. */
  readonly ways: ReadonlySet<Way>
  /** The bytes from which on a ring is the faster one. */
  readonly ringWinsFrom: number
}

export function planFor(network: Network, channels: readonly number[], ranks: number): Plan {
  const time = (algorithm: Algorithm, messagesOf: (channels: number) => number[]) =>
    channels
      .flatMap(messagesOf)
      .reduce((sum, bytes) => sum + allReduceTime(algorithm, network, ranks, bytes), 0)
  const messages = (channels: number) => messagesOf(channels, ranks)
  return {
    ranks,
    least: time('tree', leastMessagesOf),
    tree: time('tree', messages),
    ring: time('ring', messages),
    ways: new Set(channels.map((each) => wayOf(each, ranks))),
    ringWinsFrom: ringWinsFrom(network, ranks),
  }
}

/** The ranks for which a ring is faster, as `3 to 12, 17`. */
export function ringRanges(plans: readonly Plan[]): string {
  const ranges: { from: number; to: number }[] = []
  let wasFaster = false
  for (const { ranks, ring, tree } of plans) {
    const isFaster = ring < tree
    if (isFaster && wasFaster) ranges[ranges.length - 1].to = ranks
    else if (isFaster) ranges.push({ from: ranks, to: ranks })
    wasFaster = isFaster
  }
  return ranges.map(({ from, to }) => (from === to ? String(from) : `${from} to ${to}`)).join(', ')
}

/** Powers of two, and both ends: what a table has room for. */
export function shown(plans: readonly Plan[]): Plan[] {
  return plans.filter(
    ({ ranks }, index) => index === 0 || index === plans.length - 1 || Number.isInteger(Math.log2(ranks)),
  )
}

/**
 * By how much the variance that a rank finds alone is off, relative to itself: one standard error, of values that are
 * distributed normally. `Infinity` where a rank has fewer than two.
 */
export function errorAlone(valuesOfAll: number, ranks: number): number {
  const values = valuesOfAll / ranks
  return values >= 2 ? Math.sqrt(2 / (values - 1)) : Number.POSITIVE_INFINITY
}
