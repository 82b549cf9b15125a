/** Arrays with guards: they start off any alignment, and a write outside of them shows. */
import type { FloatArray } from './bits.ts'

const guardLength = 24
const guardValue = -12345.5

/** `length` elements, `offset` of them off the buffer's alignment, between guard elements. */
function space<T extends FloatArray>(ofType: new (length: number) => T, length: number, offset: number): T {
  const start = guardLength + offset
  const whole = new ofType(start + length + guardLength)
  whole.fill(guardValue, 0, start).fill(guardValue, start + length)
  return whole.subarray(start, start + length) as T
}

/** A copy of `source` between guards. */
export function guarded<T extends FloatArray>(source: T, offset = 0): T {
  const copy = space(source.constructor as new (length: number) => T, source.length, offset)
  copy.set(source)
  return copy
}

/** An output between guards, filled with a number that shows where nothing was written. */
export function unwritten(length: number, offset = 0): Float32Array {
  return space(Float32Array, length, offset).fill(-777)
}

/** Whether nothing was written around a view that `guarded` made. */
export function guardsHold(view: FloatArray): boolean {
  const SameArray = view.constructor as new (buffer: ArrayBufferLike) => FloatArray
  const whole = new SameArray(view.buffer)
  const start = view.byteOffset / view.BYTES_PER_ELEMENT
  return [whole.subarray(0, start), whole.subarray(start + view.length)].every((guard) =>
    guard.every((value) => value === guardValue),
  )
}
