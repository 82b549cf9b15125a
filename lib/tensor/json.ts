/**
 * Numbers as JSON and back, to the bit. JavaScript writes a number with as many digits as tell it from
 * its neighbours. What JSON has no number for stands as text: 'NaN', 'Infinity', '-Infinity', '-0', and
 * integers beyond 2^53 by their digits.
 */
import type { DataType } from './data-type.ts'
import type { Shape } from './shape.ts'

/** The texts that stand for a number of floating point. */
export const numberTexts = ['NaN', 'Infinity', '-Infinity', '-0'] as const

/** A number of floating point; what JSON has no number for, as text. */
export type NumberJSON = number | (typeof numberTexts)[number]

/** An int64: a number up to 2^53, beyond that its digits. */
export type IntegerJSON = number | `${bigint}`

/** What `JSON.stringify` makes of a `Tensor`. */
export interface TensorJSON {
  /** The type of the elements. */
  readonly dtype: DataType
  /** The size of each axis. */
  readonly shape: Shape
  /** The elements as numbers, those of bfloat16 and float16 too. */
  readonly data: readonly (NumberJSON | IntegerJSON)[]
}

export function writeNumbers(numbers: Float32Array | Float64Array): NumberJSON[] {
  const isNumber = (value: number) => Number.isFinite(value) && !Object.is(value, -0)
  const text = (value: number) => (Object.is(value, -0) ? '-0' : String(value)) as NumberJSON
  return Array.from(numbers, (value) => (isNumber(value) ? value : text(value)))
}

export function writeIntegers(integers: BigInt64Array): IntegerJSON[] {
  return Array.from(integers, (value) =>
    Number.isSafeInteger(Number(value)) ? Number(value) : (String(value) as IntegerJSON),
  )
}

/** The number that an item of JSON stands for; any other item as it is. */
export function readNumber(item: unknown): unknown {
  return numberTexts.includes(item as never) ? Number(item) : item
}

/** The integer that an item of JSON stands for; any other item as it is. */
export function readInteger(item: unknown): unknown {
  return typeof item === 'string' && /^-?\d+$/.test(item) ? BigInt(item) : item
}
