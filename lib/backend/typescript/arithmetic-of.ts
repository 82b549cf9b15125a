import type { Values } from '../backend.ts'
import type { Arithmetic } from './arithmetic.ts'
import { float32 } from './float32.ts'
import { float64 } from './float64.ts'

/** The arithmetic for float32 or float64 values. */
export function arithmeticOf(values: Values): Arithmetic {
  return values.BYTES_PER_ELEMENT === Float64Array.BYTES_PER_ELEMENT ? float64 : float32
}
