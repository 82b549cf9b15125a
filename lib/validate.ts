/**
 * The checks that stand between a caller and a backend, which trusts what it gets. Each throws an
 * error that names the argument; on the way through they allocate nothing.
 */
import { types } from 'node:util'
import { describe, invalidShape, invalidType, invalidValue, wrongLength } from './errors.ts'
import { assertReadable, assertWritable, meet } from './in-flight.ts'
import { outputArray } from './output-memory.ts'
import { elementCount, type Shape, sameShape } from './shape.ts'

/** Anything with `data` and `shape` is an input: a `Tensor`, or another library's array. */
export interface TensorLike {
  readonly data: Float32Array
  readonly shape: Shape
}

/** float32 values, bare or as a tensor. */
export type Vector = Float32Array | TensorLike

/** Statistics of each channel; float64 keeps the digits that float32 would round off. */
export type StatisticsVector = Vector | Float64Array | { readonly data: Float64Array }

/** The elements of a float32 tensor, as many as its shape says. */
export function float32Tensor(name: string, value: TensorLike): Float32Array {
  if (typeof value !== 'object' || value === null) {
    throw invalidType(name, 'a tensor { data: Float32Array, shape }', value)
  }
  const { data, shape } = value
  if (!types.isFloat32Array(data)) throw notFloat32(name, value, data)
  const length = elementCount(name, shape)
  if (data.length !== length) throw wrongLength(`${name}.data`, data, length, `the shape ${describe(shape)}`)
  assertReadable(name, data)
  return data
}

function notFloat32(name: string, value: object, data: unknown): TypeError {
  if (data === undefined) {
    const fix =
      ArrayBuffer.isView(value) || Array.isArray(value) ? 'give it a shape: tensor(data, shape)' : ''
    return invalidType(name, 'a tensor { data: Float32Array, shape }', value, fix)
  }
  const fix = ArrayBuffer.isView(data) || Array.isArray(data) ? 'convert it with Float32Array.from' : ''
  return invalidType(`${name}.data`, 'a Float32Array (dtype float32)', data, fix)
}

/** One float32 value for each of `length` channels; `null` stays `null`. */
export function float32Vector(
  name: string,
  value: Vector | null | undefined,
  length: number,
): Float32Array | null {
  if (value === null || value === undefined) return null
  const data = types.isFloat32Array(value) ? value : float32Tensor(name, value)
  if (data.length !== length) throw wrongLength(name, data, length, 'one value a channel')
  assertReadable(name, data)
  return data
}

/** Statistics of `length` channels, in float64 whatever they came in. */
export function float64Vector(name: string, value: StatisticsVector, length: number): Float64Array {
  const given = types.isFloat64Array(value) || types.isFloat32Array(value) ? value : value?.data
  const data = types.isFloat32Array(given) ? Float64Array.from(given) : given
  if (!types.isFloat64Array(data)) throw invalidType(name, 'a Float64Array or Float32Array', value)
  if (data.length !== length) throw wrongLength(name, data, length, 'one value a channel')
  assertReadable(name, given)
  return data
}

/**
 * Where a result is written: `out`, if it has room for exactly the result (the same length and, if it
 * has one, the same shape); a new array without it.
 */
export function outArray(out: Vector | undefined, shape: Shape, length: number): Float32Array {
  if (out === undefined) return outputArray(length)
  const data = types.isFloat32Array(out) ? out : float32Tensor('out', out)
  if (data.length !== length) throw wrongLength('out', data, length, `a result of shape ${describe(shape)}`)
  if (data !== out && !sameShape((out as TensorLike).shape, shape)) {
    throw invalidShape('out', describe(shape), (out as TensorLike).shape)
  }
  assertWritable('out', data)
  return data
}

/** Whether two arrays of the same length are the same memory. */
export function sameMemory(a: Float32Array, b: Float32Array): boolean {
  return a === b || (a.byteOffset === b.byteOffset && a.buffer === b.buffer)
}

/** An array that is written may be the one that is read, element for element, but not share a part of it. */
export function assertSameOrApart(
  writtenName: string,
  written: Float32Array,
  readName: string,
  read: Float32Array,
): void {
  if (written === read || written.buffer !== read.buffer) return
  if (written.length === read.length && sameMemory(written, read)) return
  if (meet(written, read)) throw overlapError(writtenName, written, readName, read)
}

/** An array that is written must not share memory with the others that are in use. */
export function assertApart(
  writtenName: string,
  written: Float32Array,
  others: Readonly<Record<string, Float32Array | Float64Array | null | undefined>>,
): void {
  const { buffer } = written
  for (const name in others) {
    const other = others[name]
    if (!other || other.buffer !== buffer) continue
    if (meet(written, other)) throw overlapError(writtenName, written, name, other)
  }
}

function overlapError(
  writtenName: string,
  written: ArrayBufferView,
  otherName: string,
  other: ArrayBufferView,
): RangeError {
  const range = ({ byteOffset, byteLength }: ArrayBufferView) => `${byteOffset} to ${byteOffset + byteLength}`
  return new RangeError(
    `Expected ${writtenName} not to overlap ${otherName} but received bytes ${range(written)} and ` +
      `${range(other)} of one buffer (give ${writtenName} memory of its own)`,
  )
}

export function positiveInteger(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a positive integer', value)
  if (!(Number.isInteger(value) && value > 0)) throw invalidValue(name, 'a positive integer', value)
  return value
}

export function nonNegative(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a finite number, at least 0,', value)
  if (!(Number.isFinite(value) && value >= 0)) throw invalidValue(name, 'a finite number, at least 0,', value)
  return value
}

export function fraction(name: string, value: number, orElse = ''): number {
  const expected = `a number from 0 to 1${orElse}`
  if (typeof value !== 'number') throw invalidType(name, expected, value)
  if (!(value >= 0 && value <= 1)) throw invalidValue(name, expected, value)
  return value
}

export function optionsObject<Options extends object>(options: Options): Options {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options)
  return options
}

export function boolean(name: string, value: boolean): boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'true or false', value)
  return value
}

export function oneOf<Choice extends string>(
  name: string,
  value: string,
  choices: readonly Choice[],
): Choice {
  if (!choices.includes(value as Choice)) {
    const expected = choices.length === 0 ? 'nothing: there is no choice' : `one of ${choices.join(', ')}`
    throw typeof value === 'string' ? invalidValue(name, expected, value) : invalidType(name, expected, value)
  }
  return value as Choice
}
