import { invalidType } from '../checks/errors.ts'

/**
 * Workers that compute together, each a process with a `rank` from 0 to `size - 1`. Every rank calls the same
 * operations in the same order; an operation ends when all have called it.
 */
export interface Collective {
  /** Which worker this is, from 0 to `size - 1`. */
  readonly rank: number
  /** How many workers there are. */
  readonly size: number

  /**
   * Writes the sum over all ranks into `values`, the same bits on every rank. Waits for the others on this thread.
   *
   * @param values - of the same length on every rank
   * @param key - what is summed: another key on another rank is an error on all
   * @throws CollectiveError; the collective is dead then, and says so in every further call
   */
  allReduceSum(values: Float64Array, key?: string): void

  /** The same, off this thread. Operations run one after another, in the order in which they were called. */
  allReduceSumAsync(values: Float64Array, key?: string): Promise<void>

  /** Ends it. What is under way fails, and so does every further call. A second time does nothing. */
  close(): void
}

/** @throws TypeError for what is not a collective */
export function assertCollective(name: string, collective: unknown): asserts collective is Collective {
  const { rank, size, allReduceSum, allReduceSumAsync } = (collective ?? {}) as Partial<Collective>
  const isOne =
    Number.isInteger(rank) &&
    Number.isInteger(size) &&
    typeof allReduceSum === 'function' &&
    typeof allReduceSumAsync === 'function'
  if (!isOne)
    throw invalidType(name, 'a collective', collective, 'await gloo(), await mpi() and solo() make one')
}
