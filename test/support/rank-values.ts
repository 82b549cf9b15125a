import { createHash } from 'node:crypto'
import { type Tensor, tensor } from '../../lib/index.ts'
import { Random } from './random.ts'

/** What a rank brings: of many magnitudes, so that each order of additions has its own bits. */
export function randomValues(rank: number): Float64Array {
  const random = new Random(17 + rank)
  return Float64Array.from({ length: 1000 }, () => random.normal() * 10 ** (random.below(12) - 6))
}

/** The same as a batch, of fewer rows on each further rank. */
export function inputOfRank(rank: number): Tensor<Float64Array> {
  const rows = 125 - 40 * rank
  return tensor(randomValues(rank).slice(0, 8 * rows), [rows, 8])
}

/** Of the bits of numbers. */
export function hashOf(values: ArrayLike<number>): string {
  return createHash('sha256').update(Float64Array.from(values)).digest('hex')
}
