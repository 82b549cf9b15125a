/**
 * The checks that stand between a caller and a backend, which trusts what it gets. Each throws an
 * error that names the argument; on the way through they allocate nothing.
 */
import { types } from 'node:util'
import type { PerChannel, Values } from './backend/backend.ts'
import {
  dataTypeOf,
  dataTypesOf,
  type FloatData,
  type FloatType,
  type ParameterType,
  valuesOf,
} from './data-type.ts'
import { describe, invalidShape, invalidType, invalidValue, wrongLength } from './errors.ts'
import { assertReadable, assertWritable, meet } from './in-flight.ts'
import { outputArray } from './output-memory.ts'
import { elementCount, type Shape, sameShape } from './shape.ts'

/** Anything with `data` and `shape` is an input: a `Tensor`, or another library's array. */
export interface TensorLike<Data = Float32Array> {
  readonly data: Data
  readonly shape: Shape
  /** Which half the bits of a `Uint16Array` are: `'bfloat16'` or `'float16'`. Other arrays say it themselves. */
  readonly dtype?: string
}

/** A tensor of any of the types that are computed with. */
export type FloatTensorLike = TensorLike<FloatData>

/** float32 values, bare or as a tensor. */
export type Vector = Float32Array | TensorLike

/** Values of any of the types that are computed with, bare or as a tensor. */
export type FloatVector = FloatData | FloatTensorLike

/** Statistics of each channel; float64 keeps the digits that float32 would round off. */
export type StatisticsVector = Vector | Float64Array | { readonly data: Float32Array | Float64Array }

/** The elements of a float32 tensor, as many as its shape says. */
export function float32Tensor(name: string, value: TensorLike): Float32Array {
  return floatTensor(name, value, 'float32') as Float32Array
}

/** The elements of a tensor whose values are of `type`, as many as its shape says; halves as their bits. */
export function floatTensor(name: string, value: FloatTensorLike, type: FloatType): Values {
  const actual = floatTypeOf(name, value, type)
  if (actual !== type) {
    const areHalves = arrayNames[actual] === arrayNames[type]
    throw areHalves
      ? invalidValue(`${name}.dtype`, `'${type}'`, actual)
      : wrongType(`${name}.data`, type, value.data)
  }
  const { data, shape } = value
  const length = elementCount(name, shape)
  if (data.length !== length) throw wrongLength(`${name}.data`, data, length, `the shape ${describe(shape)}`)
  assertReadable(name, data)
  return valuesOf(data)
}

/** The type of a tensor's values. `expected` is what an error names for what is no tensor. */
export function floatTypeOf(
  name: string,
  value: FloatTensorLike,
  expected: FloatType = 'float32',
): FloatType {
  if (typeof value !== 'object' || value === null) throw notATensor(name, value, expected)
  const { data } = value
  if (types.isFloat32Array(data)) return 'float32'
  if (data === undefined) throw notATensor(name, value, expected)
  const [type] = dataTypesOf(data)
  if (type === undefined || type === 'int64') throw wrongType(`${name}.data`, expected, data)
  return data.BYTES_PER_ELEMENT === 2 ? (dataTypeOf(data, value.dtype, `${name}.dtype`) as FloatType) : type
}

/** A bare array whose values are of `type`; halves as their bits. */
function floatArray(name: string, array: FloatData, type: FloatType): Values {
  if (!dataTypesOf(array).includes(type)) throw wrongType(name, type, array)
  return valuesOf(array)
}

const arrayNames: Readonly<Record<FloatType, string>> = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  bfloat16: 'Uint16Array',
  float16: 'Uint16Array',
}

function notATensor(name: string, value: unknown, type: FloatType): TypeError {
  const fix = ArrayBuffer.isView(value) || Array.isArray(value) ? 'give it a shape: tensor(data, shape)' : ''
  return invalidType(name, `a tensor { data: ${arrayNames[type]}, shape }`, value, fix)
}

function wrongType(name: string, type: FloatType, data: unknown): TypeError {
  const fixes = {
    numbers: `convert it with ${arrayNames[type]}.from`,
    bits: 'numbers() of its tensor makes a Float32Array of the bits of halves',
    halves: `tensor(data, shape, { dtype: '${type}' }) rounds numbers`,
  }
  const isArray = ArrayBuffer.isView(data) || Array.isArray(data)
  const wanted =
    arrayNames[type] === 'Uint16Array' ? 'halves' : types.isUint16Array(data) ? 'bits' : 'numbers'
  return invalidType(name, `a ${arrayNames[type]} (dtype ${type})`, data, isArray ? fixes[wanted] : '')
}

/** The type of parameters and running statistics beside values of `type`. */
export function parameterType(type: FloatType): ParameterType {
  return type === 'float64' ? 'float64' : 'float32'
}

/** One value for each of `length` channels, of the type that goes with values of `type`; `null` stays `null`. */
export function perChannelVector(
  name: string,
  value: FloatVector | null | undefined,
  length: number,
  type: FloatType,
): PerChannel | null {
  if (value === null || value === undefined) return null
  const own = parameterType(type)
  const data = ArrayBuffer.isView(value) ? floatArray(name, value, own) : floatTensor(name, value, own)
  if (data.length !== length) throw wrongLength(name, data, length, 'one value a channel')
  assertReadable(name, data)
  return data as PerChannel
}

/** One float32 value for each of `length` channels; `null` stays `null`. */
export function float32Vector(
  name: string,
  value: Vector | null | undefined,
  length: number,
): Float32Array | null {
  return perChannelVector(name, value, length, 'float32') as Float32Array | null
}

/** Statistics of `length` channels, in float64 whatever they came in. */
export function float64Vector(name: string, value: StatisticsVector, length: number): Float64Array {
  const given = types.isFloat64Array(value) || types.isFloat32Array(value) ? value : value?.data
  if (!(types.isFloat64Array(given) || types.isFloat32Array(given))) {
    throw invalidType(name, 'a Float64Array or Float32Array', value)
  }
  if (given.length !== length) throw wrongLength(name, given, length, 'one value a channel')
  assertReadable(name, given)
  return types.isFloat32Array(given) ? Float64Array.from(given) : given
}

/**
 * Where a result with values of `type` is written: `out`, if it has room for exactly the result (the
 * same length and, if it has one, the same shape); a new array without it.
 */
export function outArray(out: Vector | undefined, shape: Shape, length: number): Float32Array
export function outArray(
  out: FloatVector | undefined,
  shape: Shape,
  length: number,
  type: FloatType,
  name?: string,
): Values
export function outArray(
  out: FloatVector | undefined,
  shape: Shape,
  length: number,
  type: FloatType = 'float32',
  name = 'out',
): Values {
  if (out === undefined) return outputArray(length, type)
  const isTensor = !ArrayBuffer.isView(out)
  const data = isTensor ? floatTensor(name, out, type) : floatArray(name, out, type)
  if (data.length !== length) throw wrongLength(name, data, length, `a result of shape ${describe(shape)}`)
  if (isTensor && !sameShape(out.shape, shape)) throw invalidShape(name, describe(shape), out.shape)
  assertWritable(name, data)
  return data
}

/** Whether two arrays of the same length are the same memory. */
export function sameMemory(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return a === b || (a.byteOffset === b.byteOffset && a.buffer === b.buffer)
}

/** An array that is written may be the one that is read, element for element, but not share a part of it. */
export function assertSameOrApart(
  writtenName: string,
  written: Values,
  readName: string,
  read: Values,
): void {
  if (written === read || written.buffer !== read.buffer) return
  if (written.length === read.length && sameMemory(written, read)) return
  if (meet(written, read)) throw overlapError(writtenName, written, readName, read)
}

/** An array that is written must not share memory with the others that are in use. */
export function assertApart(
  writtenName: string,
  written: ArrayBufferView,
  others: Readonly<Record<string, ArrayBufferView | null | undefined>>,
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
  if (!(Number.isSafeInteger(value) && value > 0)) throw invalidValue(name, 'a positive integer', value)
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

/** An array is none: it is an `out` that was given bare. */
export function optionsObject<Options extends object>(options: Options, name = 'options'): Options {
  const isObject = typeof options === 'object' && options !== null
  if (isObject && !Array.isArray(options) && !ArrayBuffer.isView(options)) return options
  throw invalidType(name, 'an object', options, ArrayBuffer.isView(options) ? 'as in { out: array }' : '')
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
