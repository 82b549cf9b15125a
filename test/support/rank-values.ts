import { Random } from './random.ts'

/** What a rank brings: of many magnitudes, so that each order of additions has its own bits. */
export function randomValues(rank: number): Float64Array {
  const random = new Random(17 + rank)
  return Float64Array.from({ length: 1000 }, () => random.normal() * 10 ** (random.below(12) - 6))
}
