/** The types of a tensor's elements, and the arrays that hold them. */
import type { Values } from '../backend/backend.ts'
import { describe, invalidType, invalidValue } from '../checks/errors.ts'
import type { HalfType } from './half.ts'

/** The types of values that are computed with, and the array of each; of halves their bits. */
export const floatArrays = {
  float32: Float32Array,
  float64: Float64Array,
  bfloat16: Uint16Array,
  float16: Uint16Array,
} as const satisfies Readonly<Record<'float32' | 'float64' | HalfType, unknown>>

/** The types of values that are computed with: `'float32'`, `'float64'`, `'bfloat16'` and `'float16'`. */
export type FloatType = keyof typeof floatArrays

export const floatTypes = Object.keys(floatArrays) as readonly FloatType[]

/** The array that holds values of a type; of halves their bits. */
export type FloatArray<Type extends FloatType> = InstanceType<(typeof floatArrays)[Type]>

/** The types of parameters and running statistics: float64 beside float64 values, otherwise float32. */
export type ParameterType = 'float32' | 'float64'

/** The type of parameters and running statistics beside values of `type`. */
export function parameterType(type: FloatType): ParameterType {
  return type === 'float64' ? 'float64' : 'float32'
}

/** The array of parameters of a type. */
export type ParameterArray<Type extends ParameterType> = Type extends 'float64' ? Float64Array : Float32Array

/** The types that the elements of a tensor can have. */
export type DataType = FloatType | 'int64'

/** `Float16Array`, where the language has it. */
type Float16Data = typeof globalThis extends { Float16Array: { prototype: infer Data } } ? Data : never

/** Arrays of values; a `Uint16Array` holds the bits of bfloat16 or float16. */
export type FloatData = Values | Float16Data

/** The arrays that can be the data of a tensor. */
export type TensorData = FloatData | BigInt64Array

/** By its tag: an array of another realm (a vm context, a test runner's) is not an instance of ours. */
const dataTypes: Readonly<Record<string, readonly DataType[]>> = {
  Float32Array: ['float32'],
  Float64Array: ['float64'],
  Float16Array: ['float16'],
  Uint16Array: ['bfloat16', 'float16'],
  BigInt64Array: ['int64'],
}

/** The types that an array can hold: none, one, or for a `Uint16Array` two. */
export function dataTypesOf(data: unknown): readonly DataType[] {
  return (ArrayBuffer.isView(data) && dataTypes[(data as TensorData)[Symbol.toStringTag]]) || []
}

/**
 * The type of an array's elements: `dtype`, which errors call `name`, if it is among those that the array can hold.
 *
 * @throws TypeError for another kind of array, and for a `Uint16Array` without a dtype; RangeError for a
 * dtype that does not fit
 */
export function dataTypeOf(data: TensorData, dtype?: string, name = 'dtype'): DataType {
  const types = dataTypesOf(data)
  if (types.length === 0) {
    throw invalidType(
      'data',
      'a Float32Array, Float64Array, BigInt64Array or Uint16Array (bits of halves)',
      data,
    )
  }
  if (dtype === undefined && types.length === 1) return types[0]
  if (!types.includes(dtype as DataType)) {
    const expected = `${types.map((type) => `'${type}'`).join(' or ')}, for ${describe(data)},`
    throw dtype === undefined
      ? invalidType(name, expected, dtype, 'the bits alone do not tell: tensor(data, shape, { dtype })')
      : invalidValue(name, expected, dtype)
  }
  return dtype as DataType
}

/** Parameters or running statistics of `channels` channels, all zeros. */
export function parameterArray<Type extends ParameterType>(
  type: Type,
  channels: number,
): ParameterArray<Type> {
  const array = type === 'float64' ? new Float64Array(channels) : new Float32Array(channels)
  return array as ParameterArray<Type>
}

/** A number as a parameter of a type holds it. */
export function roundedTo(type: ParameterType, value: number): number {
  return type === 'float64' ? value : Math.fround(value)
}

/** A new array of the kind of another, all zeros. */
export function emptyLike<Kind extends Values>(values: Kind, length: number): Kind {
  return new (values.constructor as new (length: number) => Kind)(length)
}

/** A `Float16Array` as its bits, any other array as it is: what a backend takes. */
export function valuesOf(data: FloatData): Values {
  const tag: string = data[Symbol.toStringTag]
  return tag === 'Float16Array' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
}
