import { types } from 'node:util'
import { describe, invalidShape, invalidType, invalidValue } from '../../checks/errors.ts'
import { mostChannels } from '../../checks/scalars.ts'
import { partsOf } from '../../modules/state-dict.ts'
import type { Shape } from '../../tensor/shape.ts'

/** One number a channel: a typed array, an array of numbers, or a tensor of one axis; halves as a tensor. */
export type ConventionValues =
  | ArrayLike<number>
  | { readonly data: ArrayLike<number> | BigInt64Array; readonly shape: Shape; readonly dtype?: string }

export type Vector = Float32Array | Float64Array

/** A copy: in float32 of what is float32, in float64 of anything else, so that no digit is lost here. */
export function vectorOf(name: string, value: ConventionValues): Vector {
  const data = dataOf(name, value)
  if (data.length === 0) throw invalidValue(name, 'one number a channel', data)
  if (types.isFloat32Array(data)) return Float32Array.from(data)
  const wrong = Array.prototype.findIndex.call(data, (item) => typeof item !== 'number')
  if (wrong >= 0) throw invalidType(`${name}[${wrong}]`, 'a number', data[wrong])
  return Float64Array.from(data as ArrayLike<number>)
}

/** Whether float32 takes digits from a Float64Array: one that somebody chose, unlike an array of numbers. */
export function isRounded(value: ConventionValues): boolean {
  const data = 'data' in value ? value.data : value
  return types.isFloat64Array(data) && data.some((each) => !Object.is(Math.fround(each), each))
}

function dataOf(name: string, value: ConventionValues): ArrayLike<number | bigint> {
  const { numbers, shape, length } = partsOf(value)
  if (numbers === null) {
    const fix = 'halves are a tensor with their dtype: bits alone do not tell'
    throw invalidType(name, 'an array of numbers, or a tensor { data, shape },', value, fix)
  }
  if (shape.length !== 1) throw invalidShape(name, describe([length]), shape)
  if (shape[0] > mostChannels) throw invalidValue(name, `of at most ${mostChannels} channels`, shape[0])
  const data = numbers()
  if (shape[0] !== data.length) throw invalidShape(name, describe([data.length]), shape)
  return data
}
