/** Ranks in one process: engines whose asynchronous operations meet. */
import { CollectiveError } from '../../lib/distributed/collective-error.ts'
import type { Engine } from '../../lib/distributed/engine.ts'

interface Waiting {
  readonly values: Float64Array
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** As many engines as there are ranks; the sums are added in the order of the ranks. */
export function localEngines(size: number): Engine[] {
  const waiting = new Map<number, Waiting>()
  let isLost = false
  const lost = () => new CollectiveError('ERR_COLLECTIVE_PEER_LOST', 'A rank has closed.')

  const meet = () => {
    const all = [...waiting].sort(([one], [other]) => one - other).map(([, each]) => each)
    waiting.clear()
    const sums = all[0].values.map((_, index) => all.reduce((sum, { values }) => sum + values[index], 0))
    for (const { values, resolve } of all) {
      values.set(sums)
      resolve()
    }
  }

  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    allReduceSum() {
      throw new Error('Ranks of one thread cannot wait for each other.')
    },
    allReduceSumAsync: (values: Float64Array) =>
      new Promise<void>((resolve, reject) => {
        if (isLost) return reject(lost())
        if (waiting.has(rank)) return reject(new Error(`Rank ${rank} is in two operations at once.`))
        waiting.set(rank, { values, resolve, reject })
        if (waiting.size === size) meet()
      }),
    close() {
      isLost = true
      for (const { reject } of waiting.values()) reject(lost())
      waiting.clear()
    },
  }))
}
