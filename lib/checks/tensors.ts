/**
 * The checks that stand between a caller and a backend, which trusts what it gets. Each throws an
 * error that names the argument; on the way through they allocate nothing.
 */
import { types } from 'node:util'
import type { PerChannel, Values } from '../backend/backend.ts'
import {
  dataTypeOf,
  dataTypesOf,
  type FloatData,
  type FloatType,
  floatArrays,
  parameterType,
  type TensorData,
  valuesOf,
} from '../tensor/data-type.ts'
import { isForeign } from '../tensor/foreign.ts'
import { outputArray } from '../tensor/output-memory.ts'
import { rowMajor } from '../tensor/row-major.ts'
import { elementCount, type Shape, sameShape } from '../tensor/shape.ts'
import { describe, invalidShape, invalidType, invalidValue, wrongLength } from './errors.ts'
import { assertReadable, assertWritable } from './in-flight.ts'

/**
 * Anything with `data` and `shape` is an input: a `Tensor`, or another library's array. Where that is a view, as
 * its `stride` or `strides`, `offset`, `order` or `fortranOrder` say, it is gathered into a copy row by row.
 */
export interface TensorLike<Data = Float32Array> {
  /** The elements, row by row: the last axis runs fastest. */
  readonly data: Data
  /** The size of each axis; their product is the number of elements. */
  readonly shape: Shape
  /** Which half the bits of a `Uint16Array` are: `'bfloat16'` or `'float16'`. Other arrays say it themselves. */
  readonly dtype?: string
}

/**
 * A tensor of any of the types that are computed with: float32, float64, bfloat16, float16. What a file holds only the
 * file knows, so the type lets int64 pass, which is a TypeError at run time.
 */
export type FloatTensorLike = TensorLike<TensorData>

/** The same where the type of the array is known: one that can only be of int64 is none. */
export type FloatInput<Data extends TensorData> = TensorLike<Data> &
  ([Data] extends [BigInt64Array] ? TensorLike<FloatData> : unknown)

/** float32 values, bare or as a tensor. */
export type Vector = Float32Array | TensorLike

/** Values of any of the types that are computed with, bare or as a tensor. */
export type FloatVector = FloatData | FloatTensorLike

/** Statistics of each channel; float64 keeps the digits that float32 would round off. */
export type StatisticsVector = Vector | Float64Array | { readonly data: TensorData }

/** The elements of a float32 tensor, as many as its shape says. */
export function float32Tensor(name: string, value: TensorLike): Float32Array {
  return floatTensor(name, value, 'float32') as Float32Array
}

/** The elements of a tensor whose values are of `type`, as many as its shape says; halves as their bits. */
export function floatTensor(name: string, value: FloatTensorLike, type: FloatType): Values {
  const actual = floatTypeOf(name, value, type)
  if (actual !== type) {
    const areHalves = floatArrays[actual] === floatArrays[type]
    throw areHalves
      ? invalidValue(`${name}.dtype`, `'${type}'`, actual)
      : wrongType(`${name}.data`, type, value.data)
  }
  const { shape } = value
  const length = elementCount(name, shape)
  const data = rowMajor(name, value)
  if (data.length !== length) throw wrongLength(`${name}.data`, data, length, `the shape ${describe(shape)}`)
  assertReadable(name, data)
  return valuesOf(data as FloatData)
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
  if (type === undefined || type === 'int64') {
    // What a matrix or a column has as `data` is a list of its parts.
    throw Array.isArray(data) && isForeign(value)
      ? notATensor(name, value, expected)
      : wrongType(`${name}.data`, expected, data)
  }
  return data.BYTES_PER_ELEMENT === 2 ? (dataTypeOf(data, value.dtype, `${name}.dtype`) as FloatType) : type
}

/** A bare array whose values are of `type`; halves as their bits. */
function floatArray(name: string, array: FloatData, type: FloatType): Values {
  if (!dataTypesOf(array).includes(type)) throw wrongType(name, type, array)
  return valuesOf(array)
}

function notRowMajor(name: string, out: unknown): TypeError {
  const fix = 'a result cannot be written into such a view: give an array of its own'
  return invalidType(name, 'a tensor whose elements lie row by row', out, fix)
}

function notATensor(name: string, value: unknown, type: FloatType): TypeError {
  const isList = ArrayBuffer.isView(value) || Array.isArray(value)
  const isNested = Array.isArray(value) && Array.isArray(value[0])
  const fixes = {
    nested: 'tensor(values) makes one of nested arrays',
    bytes: 'a Float32Array over its buffer has the numbers of bytes, and wants a shape: tensor(data, shape)',
    flat: 'give it a shape: tensor(data, shape)',
  }
  const fix = fixes[isNested ? 'nested' : types.isUint8Array(value) ? 'bytes' : 'flat']
  const readable = isForeign(value) ? 'tensor(x) reads it' : ''
  return invalidType(
    name,
    `a tensor { data: ${floatArrays[type].name}, shape }`,
    value,
    isList ? fix : readable,
  )
}

function wrongType(name: string, type: FloatType, data: unknown): TypeError {
  const fixes = {
    numbers: `convert it with ${floatArrays[type].name}.from`,
    bits: 'numbers() of its tensor makes a Float32Array of the bits of halves',
    halves: `tensor(data, shape, { dtype: '${type}' }) rounds numbers`,
  }
  if (typeof data === 'function') {
    return invalidType(
      name,
      `a ${floatArrays[type].name} (dtype ${type})`,
      data,
      'await its values: tensor(await x.data(), x.shape)',
    )
  }
  const isArray = ArrayBuffer.isView(data) || Array.isArray(data)
  const wanted = floatArrays[type] === Uint16Array ? 'halves' : types.isUint16Array(data) ? 'bits' : 'numbers'
  return invalidType(name, `a ${floatArrays[type].name} (dtype ${type})`, data, isArray ? fixes[wanted] : '')
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

/** One number for each of `length` channels; a copy of what is no float array, because a getter may be behind an item. */
export function numberVector(name: string, value: ArrayLike<number>, length: number): ArrayLike<number> {
  if (typeof value !== 'object' || typeof value?.length !== 'number') {
    throw invalidType(name, 'an array of numbers', value)
  }
  if (value.length !== length) throw wrongLength(name, value, length, 'one value a channel')
  if (types.isFloat32Array(value) || types.isFloat64Array(value)) return value
  return Float64Array.from({ length }, (_, index) => {
    const item = value[index]
    if (typeof item !== 'number') throw invalidType(`${name}[${index}]`, 'a number', item)
    return item
  })
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
  const isBare = types.isFloat64Array(value) || types.isFloat32Array(value)
  const data = isBare ? value : value?.data
  if (!(types.isFloat64Array(data) || types.isFloat32Array(data))) {
    throw invalidType(name, 'a Float64Array or Float32Array', value)
  }
  const given = isBare || !('shape' in value) ? data : rowMajor<typeof data>(name, value)
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
  if (isTensor && data.buffer !== out.data.buffer) throw notRowMajor(name, out)
  if (data.length !== length) throw wrongLength(name, data, length, `a result of shape ${describe(shape)}`)
  if (isTensor && !sameShape(out.shape, shape)) throw invalidShape(name, describe(shape), out.shape)
  assertWritable(name, data)
  return data
}
