/** Arrays with guards: they start off any alignment, and a write outside of them shows. */
import type { Values } from '../../lib/backend/backend.ts'

const guardLength = 24
const guardValue = 12345

/** `length` elements, `offset` of them off the buffer's alignment, between guard elements. */
function space<T extends Values>(ofType: new (length: number) => T, length: number, offset: number): T {
  const start = guardLength + offset
  const whole = new ofType(start + length + guardLength)
  whole.fill(guardValue, 0, start).fill(guardValue, start + length)
  return whole.subarray(start, start + length) as T
}

/** A copy of `source` between guards. */
export function guarded<T extends Values>(source: T, offset = 0): T {
  const copy = space(source.constructor as new (length: number) => T, source.length, offset)
  copy.set(source)
  return copy
}

/** An output like `source` between guards, filled with a number that shows where nothing was written. */
export function unwritten<T extends Values>(source: T, offset = 0): T {
  return space(source.constructor as new (length: number) => T, source.length, offset).fill(777) as T
}

/** Whether nothing was written around a view that `guarded` made. */
export function guardsHold(view: Values): boolean {
  const SameArray = view.constructor as new (buffer: ArrayBufferLike) => Values
  const whole = new SameArray(view.buffer)
  const start = view.byteOffset / view.BYTES_PER_ELEMENT
  return [whole.subarray(0, start), whole.subarray(start + view.length)].every((guard) =>
    guard.every((value) => value === guardValue),
  )
}
