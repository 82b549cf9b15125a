/**
 * The memory that asynchronous calls are using. A kernel on another thread reads and writes it while
 * JavaScript runs on, so until the call has ended nobody may write what it reads, nor touch what it
 * writes: a second call on such an array throws.
 */
import { shared } from './copies.ts'

interface Use {
  readonly array: ArrayBufferView
  readonly written: boolean
}

const uses = shared('inFlight', () => new Set<Use>())

/** Whether any asynchronous call is under way. */
export function isAnythingInFlight(): boolean {
  return uses.size > 0
}

/** Throws if an asynchronous call is writing to memory of `array`. */
export function assertReadable(name: string, array: ArrayBufferView): void {
  if (uses.size > 0) assertIdle(name, array, false)
}

/** Throws if an asynchronous call is using memory of `array`. */
export function assertWritable(name: string, array: ArrayBufferView): void {
  if (uses.size > 0) assertIdle(name, array, true)
}

/** Marks arrays as in use until the promise is settled. */
export async function whileInFlight<Result>(
  read: readonly (ArrayBufferView | null)[],
  written: readonly (ArrayBufferView | null)[],
  call: () => Promise<Result>,
): Promise<Result> {
  const held = [
    ...read.map((array) => ({ array, written: false })),
    ...written.map((array) => ({ array, written: true })),
  ]
  const mine = held.filter((use): use is Use => use.array !== null)
  for (const use of mine) uses.add(use)
  try {
    return await call()
  } finally {
    for (const use of mine) uses.delete(use)
  }
}

function assertIdle(name: string, array: ArrayBufferView, toWrite: boolean): void {
  for (const use of uses) {
    if ((toWrite || use.written) && overlap(array, use.array)) {
      const what = use.written ? 'writing' : 'reading'
      throw new TypeError(
        `Expected ${name} to be idle but received an array that an asynchronous call is ${what} (await that call first)`,
      )
    }
  }
}

/** Whether two arrays share memory. */
export function overlap(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}
