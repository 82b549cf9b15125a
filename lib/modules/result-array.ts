/** The arrays that a forward and a backward are given, checked before anything is written. */
import type { Values } from '../backend/backend.ts'
import { describe, invalidShape } from '../errors.ts'
import { sameShape } from '../shape.ts'
import {
  assertApart,
  assertSameOrApart,
  type FloatTensorLike,
  type FloatVector,
  floatTensor,
  outArray,
} from '../validate.ts'
import type { Channels } from './channels.ts'
import type { Pass } from './pass.ts'

/** The values of a tensor that has the shape and type of the pass's `what`. */
export function valuesLike(
  { shape, type }: Pass,
  what: 'input' | 'last output',
  name: string,
  tensor: FloatTensorLike,
): Values {
  const values = floatTensor(name, tensor, type)
  if (!sameShape(tensor.shape, shape)) {
    throw invalidShape(name, `${describe(shape)}, the shape of the ${what},`, tensor.shape)
  }
  return values
}

/** Where a result goes: a new array, or `out` if it fits and is safe to write. */
export function resultArray(
  out: FloatVector | undefined,
  { shape, type }: Pass,
  readName: string,
  read: Values,
  { arrays }: Channels,
): Values {
  const array = outArray(out, shape, read.length, type)
  if (out === undefined) return array
  assertSameOrApart('out', array, readName, read)
  assertApart('out', array, arrays)
  return array
}
