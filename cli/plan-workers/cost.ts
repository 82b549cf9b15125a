/** What an all-reduce costs, by the model of latency and bandwidth. */
export interface Network {
  /** Seconds that a message takes however short it is. */
  readonly alpha: number
  /** Seconds that each of its bytes adds. */
  readonly beta: number
}

export type Algorithm = 'tree' | 'ring'

/**
 * Seconds of an all-reduce of so many bytes over so many ranks; the additions are not counted. Thakur, Rabenseifner and
 * Gropp, Optimization of Collective Communication Operations in MPICH (2005), have both.
 *
 * Tree (recursive doubling): in each of ceil(log2 P) rounds every rank exchanges the whole message with another one:
 * ceil(log2 P) (alpha + bytes beta). Where P is no power of two, real ones take up to one round more.
 *
 * Ring: the message is cut into P pieces. In P - 1 rounds every rank passes a piece on and adds, after which each has the
 * sum of one; in P - 1 further rounds the sums go around: 2 (P - 1) (alpha + bytes / P beta).
 */
export function allReduceTime(
  algorithm: Algorithm,
  { alpha, beta }: Network,
  ranks: number,
  bytes: number,
): number {
  return algorithm === 'tree'
    ? rounds(ranks) * (alpha + bytes * beta)
    : 2 * (ranks - 1) * (alpha + (bytes / ranks) * beta)
}

/**
 * The length in bytes from which on the ring is faster: where the two above are equal. `Infinity` for 2 ranks, where the
 * tree sends as little.
 */
export function ringWinsFrom({ alpha, beta }: Network, ranks: number): number {
  const fewerRounds = 2 * (ranks - 1) - rounds(ranks)
  const fewerMessages = rounds(ranks) - (2 * (ranks - 1)) / ranks
  return fewerMessages > 0 ? (alpha / beta) * (fewerRounds / fewerMessages) : Number.POSITIVE_INFINITY
}

function rounds(ranks: number): number {
  return Math.ceil(Math.log2(ranks))
}
