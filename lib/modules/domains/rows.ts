import type { Values } from '../../backend/backend.ts'
import { rowMajor } from '../../tensor/row-major.ts'
import type { Flags } from '../methods/counted.ts'

/** Shorter runs are copied value by value, for which a view of each takes longer. */
const shortRun = 32

/** The samples of a batch that belong to one domain, in their order. */
export class Rows {
  /** How many. */
  readonly count: number
  /** Begin and end of each run of neighbours, one after another. */
  readonly #runs: readonly number[]

  private constructor(runs: readonly number[]) {
    this.#runs = runs
    this.count = runs.reduce(
      (count, end, index) => (index % 2 === 1 ? count + end - runs[index - 1] : count),
      0,
    )
  }

  /** The rows of each domain that is there, ascending, from the number of the domain of each sample. */
  static ofEach(domains: Uint32Array): [domain: number, rows: Rows][] {
    const runs = new Map<number, number[]>()
    for (let begin = 0, end = 1; begin < domains.length; begin = end++) {
      const domain = domains[begin]
      while (domains[end] === domain) end++
      const known = runs.get(domain)
      if (known === undefined) runs.set(domain, [begin, end])
      else known.push(begin, end)
    }
    return [...runs].sort(([a], [b]) => a - b).map(([domain, each]) => [domain, new Rows(each)])
  }

  /** Whether they lie one after another, so that a view of the batch shows them. */
  get areNeighbours(): boolean {
    return this.#runs.length === 2
  }

  /** They as a part of an array with `length` values a sample, where they are neighbours. */
  viewOf(array: Values, length: number): Values {
    const [begin, end] = this.#runs
    return array.subarray(begin * length, end * length)
  }

  /** Copies them, one after another. */
  gather(array: Values, length: number, copy: Values): Values {
    let to = 0
    this.#eachRun(length, (begin, end) => {
      copyValues(array, begin, end, copy, to)
      to += end - begin
    })
    return copy
  }

  /** Puts a copy of them back to where they come from. */
  scatter(copy: Values, length: number, array: Values): void {
    let from = 0
    this.#eachRun(length, (begin, end) => {
      copyValues(copy, from, from + end - begin, array, begin)
      from += end - begin
    })
  }

  /** What a `mask`, `lengths` or `weights` of the whole batch of `samples` says of them. */
  flagsOf(name: string, flags: Flags, samples: number): Float64Array {
    const data = 'data' in flags ? rowMajor(name, flags) : flags
    const length = data.length / samples
    const own = new Float64Array(this.count * length)
    let to = 0
    this.#eachRun(length, (begin, end) => {
      for (let index = begin; index < end; index++) own[to++] = Number(data[index])
    })
    return own
  }

  #eachRun(length: number, run: (begin: number, end: number) => void): void {
    const runs = this.#runs
    for (let index = 0; index < runs.length; index += 2) run(runs[index] * length, runs[index + 1] * length)
  }
}

function copyValues(from: Values, begin: number, end: number, to: Values, at: number): void {
  if (end - begin > shortRun) to.set(from.subarray(begin, end), at)
  else for (let index = begin; index < end; index++) to[at + index - begin] = from[index]
}
