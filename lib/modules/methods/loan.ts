/**
 * What a kernel on another thread works on in the place of memory that JavaScript can reach. That may be
 * transferred, resized or grown meanwhile, here or by its receiver, and is freed with its last owner: Node-API
 * has no way to hold it. So a kernel is lent copies. Shared memory of a fixed size stays where it is: no copy.
 */
import { setImmediate } from 'node:timers/promises'
import { types } from 'node:util'
import type { Values } from '../../backend/backend.ts'
import { sameMemory } from '../../checks/aliasing.ts'
import { overlap } from '../../checks/in-flight.ts'
import type { FloatType } from '../../tensor/data-type.ts'
import { disposeOutput, outputArray } from '../../tensor/output-memory.ts'

/** What is copied in one turn of the event loop: some 0.5 ms. */
const bytesOfTurn = 4 * 1024 * 1024

const typeOfSize: Readonly<Record<number, FloatType>> = { 2: 'bfloat16', 4: 'float32', 8: 'float64' }

export type MaybeArray = Values | null

interface Copy {
  readonly from: Values
  readonly to: Values
}

/** The arrays that one asynchronous call reads and writes, and that a caller can reach. */
export class Loan {
  /** With their bytes. */
  readonly #reachable: ReadonlyMap<Values, number>
  readonly #written: readonly Values[]

  constructor(read: readonly MaybeArray[], written: readonly MaybeArray[]) {
    this.#written = written.filter(isLent)
    this.#reachable = new Map(
      [...read.filter(isLent), ...this.#written].map((array) => [array, array.byteLength]),
    )
  }

  /** Does `work` with the arguments of a call of the backend, and brings back what it wrote. */
  async lend<Result>(
    call: readonly unknown[],
    work: (call: readonly unknown[]) => Promise<Result>,
  ): Promise<Result> {
    const copies: Copy[] = []
    const lent = call.map((argument) => this.#replaced(argument, copies))
    try {
      // Results too: a kernel that refuses the input leaves them as they were.
      for (const _ of this.#move(copies)) await this.#turn()
      const result = await work(lent)
      this.assertThere()
      const results = copies.filter(({ from }) => overlapsAny(from, this.#written))
      // Those of the module are small and come last, when nothing can fail any more.
      results.sort((a, b) => b.to.byteLength - a.to.byteLength)
      const back = results.map(({ from, to }) => ({ from: to, to: from }))
      for (const _ of this.#move(back)) await this.#turn()
      return result
    } finally {
      for (const { to } of copies) disposeOutput(to)
    }
  }

  /** @throws TypeError where an array has not the memory that it had */
  assertThere(): void {
    for (const [array, bytes] of this.#reachable) {
      if (array.byteLength === bytes) continue
      throw new TypeError(
        'Expected the arrays of an asynchronous call to keep their memory until it has ended but received one that ' +
          `was transferred or resized, from ${bytes} bytes to ${array.byteLength} (await the call first)`,
      )
    }
  }

  /** An argument, or a property of one, with copies in the place of what a caller can reach. */
  #replaced(argument: unknown, copies: Copy[]): unknown {
    if (ArrayBuffer.isView(argument)) return this.#copyOf(argument as Values, copies)
    if (typeof argument !== 'object' || argument === null) return argument
    const replaced: Record<string, unknown> = {}
    let isSame = true
    for (const [name, value] of Object.entries(argument)) {
      replaced[name] = ArrayBuffer.isView(value) ? this.#copyOf(value as Values, copies) : value
      isSame &&= replaced[name] === value
    }
    // The moments pass as they are: a kernel sets their count.
    return isSame ? argument : replaced
  }

  #copyOf(array: Values, copies: Copy[]): Values {
    if (!overlapsAny(array, this.#reachable.keys())) return array
    const known = copies.find(({ from }) => from.length === array.length && sameMemory(from, array))
    if (known !== undefined) return known.to
    const copy = outputArray(array.length, typeOfSize[array.BYTES_PER_ELEMENT])
    copies.push({ from: array, to: copy })
    return copy
  }

  /** Copies, and yields after each 4 MiB: what is smaller is done when it returns. */
  *#move(copies: readonly Copy[]): Generator<void> {
    let left = bytesOfTurn
    for (const { from, to } of copies) {
      const part = bytesOfTurn / to.BYTES_PER_ELEMENT
      for (let begin = 0; begin < to.length; begin += part) {
        if (left <= 0) {
          yield
          left = bytesOfTurn
        }
        const values = from.subarray(begin, begin + part)
        to.set(values, begin)
        left -= values.byteLength
      }
    }
  }

  async #turn(): Promise<void> {
    await setImmediate()
    this.assertThere()
  }
}

function isLent(array: MaybeArray): array is Values {
  if (array === null) return false
  const buffer: ArrayBufferLike & { growable?: boolean } = array.buffer
  return !types.isSharedArrayBuffer(buffer) || buffer.growable === true
}

function overlapsAny(array: Values, others: Iterable<Values>): boolean {
  for (const other of others) if (overlap(array, other)) return true
  return false
}
