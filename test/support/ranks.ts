/** Ranks in one process, and what each has of a batch. */
import type { Collective } from '../../lib/distributed/collective.ts'
import { guarded } from '../../lib/distributed/guarded.ts'
import { tensor } from '../../lib/index.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { product } from '../../lib/tensor/shape.ts'
import type { FloatArray } from './bits.ts'
import { localEngines } from './local-engine.ts'
import type { Problem } from './reference.ts'

/** Collectives of as many ranks, whose asynchronous operations meet. */
export function localCollectives(size: number): Collective[] {
  return localEngines(size).map(guarded)
}

/** Does on every rank what is there to do, at the same time. */
export function onEachRank<Result>(
  ranks: readonly Collective[],
  work: (collective: Collective, rank: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(ranks.map((collective, rank) => work(collective, rank)))
}

/** The samples of each rank, of as many as `sizes` says. */
export function partsOf<Data extends FloatArray>(
  { data, shape: [, ...rest] }: { readonly data: Data; readonly shape: Shape },
  sizes: readonly number[],
) {
  return slices(data, sizes, product(rest)).map((part, rank) => tensor(part as Data, [sizes[rank], ...rest]))
}

/** What each rank gives its forward, of the options of one for the whole batch. */
export function callsOf(call: Problem['call'], sizes: readonly number[]): Problem['call'][] {
  const samples = sizes.reduce((sum, size) => sum + size, 0)
  const parts = Object.entries(call).map(([name, values]) => {
    const numbers = Array.from(values)
    return slices(numbers, sizes, numbers.length / samples).map((part) => [name, part] as const)
  })
  return sizes.map((_, rank) => Object.fromEntries(parts.map((part) => part[rank])))
}

function slices<Values extends { slice(begin: number, end: number): unknown }>(
  values: Values,
  sizes: readonly number[],
  perSample: number,
): ReturnType<Values['slice']>[] {
  let end = 0
  return sizes.map((size) => {
    const begin = end
    end += size
    return values.slice(begin * perSample, end * perSample) as ReturnType<Values['slice']>
  })
}
