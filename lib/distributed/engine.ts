/**
 * What moves numbers between the ranks, and nothing else: `guarded` makes a `Collective` of it, and calls it for one
 * operation at a time, with the same length on every rank.
 */
export interface Engine {
  readonly rank: number
  readonly size: number

  /** Writes the sum over all ranks into `values`. */
  allReduceSum(values: Float64Array): void

  /** The same, off this thread. Nobody else touches `values` until it has ended. */
  allReduceSumAsync(values: Float64Array): Promise<void>

  /** Lets the others go. What is under way fails, here and on every rank. */
  close(): void
}
