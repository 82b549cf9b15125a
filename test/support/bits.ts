/** Equality to the last bit: -0 is not 0, and NaN equals NaN. */
import type { Values } from '../../lib/backend/backend.ts'

export type FloatArray = Float32Array | Float64Array

function bytes(array: Values): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength)
}

/** What differs between two arrays, in words; `null` when they hold the same bits. */
export function difference(actual: Values, expected: Values): string | null {
  if (actual.length !== expected.length) return `length ${actual.length} instead of ${expected.length}`
  if (bytes(actual).equals(bytes(expected))) return null
  let count = 0
  let first = -1
  for (let index = 0; index < expected.length; index++) {
    if (Object.is(actual[index], expected[index])) continue
    if (count++ === 0) first = index
  }
  if (count === 0) return null
  return `${count} of ${expected.length} differ, first [${first}]: ${actual[first]} instead of ${expected[first]}`
}
