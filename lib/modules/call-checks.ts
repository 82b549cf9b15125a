/** What a forward or backward checks about its arrays before anything is written. */
import type { Values } from '../backend/backend.ts'
import { describe, invalidShape, wrongLength } from '../errors.ts'
import { elementCount, sameShape } from '../shape.ts'
import {
  assertApart,
  assertSameOrApart,
  type FloatTensorLike,
  type FloatVector,
  floatTensor,
  floatTypeOf,
  outArray,
  parameterType,
} from '../validate.ts'
import type { Channels } from './channels.ts'
import type { Pass } from './pass.ts'

/** The values of an input, of a type that goes with the pass's parameters; the pass takes that type. */
export function valuesFor(pass: Pass, input: FloatTensorLike): Values {
  const type = floatTypeOf('input', input, pass.dtype)
  pass.type = parameterType(type) === pass.dtype ? type : pass.dtype
  return floatTensor('input', input, pass.type)
}

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

/** The last forward, if `backward` can follow it. */
export function passToFollow({ last: pass, weight }: Channels): Pass {
  if (pass === null) {
    throw new TypeError(
      'Expected a forward() before backward(gradOutput) but received none (call forward(input) first)',
    )
  }
  const length = elementCount('input', pass.shape)
  if (pass.input.length !== length) {
    throw wrongLength('the input of forward()', pass.input, length, 'backward(gradOutput)')
  }
  if (pass.activation !== null) {
    if (pass.output.length !== length) {
      throw wrongLength('the output of forward()', pass.output, length, 'backward(gradOutput)')
    }
  }
  if (pass.inputIsGone && (pass.fromBatch || weight !== null)) {
    throw new TypeError(
      'Expected the input of forward() to be unchanged until backward(gradOutput) but received a result ' +
        'in its place (give forward() or backward() an out that is not the input)',
    )
  }
  return pass
}

/** Where the gradient of the residual goes. */
export function gradResidualArray(
  gradResidual: FloatVector,
  pass: Pass,
  gradY: Values,
  gradX: Values,
  { arrays }: Channels,
): Values {
  if (!pass.hasResidual) {
    throw new TypeError(
      'Expected gradResidual after a forward with a residual but received it after one without (leave it out)',
    )
  }
  const array = outArray(gradResidual, pass.shape, gradY.length, pass.type, 'gradResidual')
  assertSameOrApart('gradResidual', array, 'gradOutput', gradY)
  assertApart('gradResidual', array, { out: gradX, 'the input of forward()': pass.input, ...arrays })
  if (pass.activation !== null) assertApart('gradResidual', array, { 'the output of forward()': pass.output })
  return array
}
