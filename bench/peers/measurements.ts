import { median, quantile } from '../../cli/measure/numbers.ts'
import { nameOf } from '../../cli/measure/shapes.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import type { ContestantName, Operation } from './contestants.ts'

/** What was timed: who does what, on which shape, with how many threads. */
export interface Subject {
  readonly contestant: ContestantName
  readonly operation: Operation
  readonly shape: Shape
  readonly threads: number
}

export interface Measurement extends Subject {
  /** Microseconds a call. */
  readonly median: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
  readonly note?: string
}

/** All samples, gathered round by round, and the medians of them. */
export class Measurements {
  readonly #samples = new Map<string, { subject: Subject; microseconds: number[]; note?: string }>()
  readonly #medians = new Map<string, number>()

  add(subject: Subject, microseconds: readonly number[], note?: string): void {
    const key = keyOf(subject)
    const entry = this.#samples.get(key) ?? { subject, microseconds: [] }
    entry.microseconds.push(...microseconds)
    if (note !== undefined) entry.note = note
    this.#samples.set(key, entry)
    this.#medians.delete(key)
  }

  /** Microseconds a call; `undefined` for what was not measured. */
  median(
    contestant: ContestantName,
    operation: Operation,
    shape: Shape,
    threads: number,
  ): number | undefined {
    const key = keyOf({ contestant, operation, shape, threads })
    if (!this.#medians.has(key)) {
      const entry = this.#samples.get(key)
      if (entry === undefined) return undefined
      this.#medians.set(key, median(entry.microseconds))
    }
    return this.#medians.get(key)
  }

  all(): Measurement[] {
    return [...this.#samples.values()].map(({ subject, microseconds, note }) => ({
      ...subject,
      median: rounded(median(microseconds)),
      lowerQuartile: rounded(quantile(microseconds, 0.25)),
      upperQuartile: rounded(quantile(microseconds, 0.75)),
      ...(note !== undefined && { note }),
    }))
  }
}

/** More digits are noise, and make a line long. */
function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

function keyOf({ contestant, operation, shape, threads }: Subject): string {
  return `${contestant} ${operation} ${nameOf(shape)} ${threads}`
}
