/** A backward before and after its arithmetic: what is checked, and where its gradients go. */
import type { Values } from '../backend/backend.ts'
import { aliasing, assertAliasing, sameMemory } from '../checks/aliasing.ts'
import { wrongLength } from '../checks/errors.ts'
import { assertReadable } from '../checks/in-flight.ts'
import { optionNames } from '../checks/options.ts'
import { type FloatTensorLike, type FloatVector, outArray } from '../checks/tensors.ts'
import { matchingValues, type ResultData } from '../functional/arguments.ts'
import type { TensorData } from '../tensor/data-type.ts'
import { elementCount } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Channels } from './channels.ts'
import type { Pass } from './pass.ts'
import { assertReusable, resultArray } from './result-array.ts'
import { noteRewritten, versionOf } from './reused-memory.ts'

/** Options of one `backward`. */
export interface BackwardOptions {
  /** Where to write gradInput, of the input's length and type; may be `gradOutput` or the input. */
  out?: FloatVector
  /**
   * Where to write the gradient of the residual of the last forward, of its length and type; may be
   * `gradOutput`. Without it that gradient is not kept.
   */
  gradResidual?: FloatVector
}

/** Their names. */
export const backwardOptions = optionNames<BackwardOptions>({ out: true, gradResidual: true })

/** A backward before its arithmetic. */
export interface StartedBackward {
  readonly pass: Pass
  readonly gradY: Values
  /** Whether nobody has the array of gradInput yet. */
  readonly gradXIsNew: boolean
}

/** Checks everything, and says where the gradients go. */
export function startBackward(
  channels: Channels,
  gradOutput: FloatTensorLike,
  { out, gradResidual }: BackwardOptions,
): StartedBackward {
  channels.assertIntact()
  const pass = passToFollow(channels)
  const gradY = matchingValues('gradOutput', gradOutput, pass, 'the shape of the last output')
  const { reusedGradInput } = channels
  const gradX = resultArray(out, pass, reusedGradInput)
  if (out === undefined && reusedGradInput !== null) {
    assertReusable(gradX, { gradOutput: gradY, 'the input of forward()': pass.input })
  }
  const gradZ = gradResidual === undefined ? null : gradResidualArray(gradResidual, pass)
  if (out !== undefined || gradZ !== null) {
    const arrays = {
      out: gradX,
      gradResidual: gradZ,
      gradOutput: gradY,
      'the input of forward()': pass.input,
      'the output of forward()': pass.activation === null ? null : pass.output,
    }
    assertAliasing(aliasing.backward, arrays, channels.arrays)
  }
  assertReadable('the input of forward()', pass.input)
  if (pass.activation !== null) assertReadable('the output of forward()', pass.output)
  assertUnchanged(pass, channels.weight)
  if (out === undefined && reusedGradInput !== null) noteRewritten(gradX)
  channels.positiveScale?.refresh()
  channels.startGradients(gradX, gradZ)
  return { pass, gradY, gradXIsNew: out === undefined && reusedGradInput === null }
}

/** Adds to the gradients of what is trained, and makes gradInput a tensor. */
export function endBackward<Data extends TensorData>(
  channels: Channels,
  pass: Pass,
): Tensor<ResultData<Data>> {
  const gradX = channels.gradients.input as Values
  channels.gradients.input = null
  channels.gradients.residual = null
  if (gradX.length > 0) channels.addGradients()
  pass.inputIsGone ||= sameMemory(gradX, pass.input)
  return new Tensor(gradX as ResultData<Data>, pass.shape, pass.type)
}

/** The last forward, if `backward` can follow it. */
function passToFollow({ last: pass, weight }: Channels): Pass {
  if (pass === null) throw noForward()
  if (!pass.isAlone) throw severalForwards()
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
    throw changed(
      'input',
      'a result in its place (give forward() or backward() an out that is not the input)',
    )
  }
  if (versionOf(pass.input) !== pass.inputVersion) {
    const which = 'a result of a module with reuse: true, which has written another one there since'
    throw changed('input', `${which} (leave out reuse there)`)
  }
  return pass
}

/** For a `backward` before any forward. */
export function noForward(): TypeError {
  return new TypeError(
    'Expected a forward() before backward(gradOutput) but received none (call forward(input) first)',
  )
}

/** For a `backward` where nobody knows which forward was the last. */
export function severalForwards(): TypeError {
  return new TypeError(
    'Expected one forward() at a time before backward(gradOutput) but received several under way at once ' +
      '(await each before the next)',
  )
}

/** @throws TypeError where another batch was written over what the forward left, as far as a few values tell */
function assertUnchanged(pass: Pass, weight: Channels['weight']): void {
  const received =
    'other values there (write the next batch elsewhere, or recompute(input) with those that were there)'
  const readsInput = pass.fromBatch || weight !== null
  if (readsInput && !pass.inputPrint.fits(pass.input)) throw changed('input', received)
  if (pass.activation !== null && !pass.outputPrint.fits(pass.output)) throw changed('output', received)
}

function changed(array: 'input' | 'output', received: string): TypeError {
  return new TypeError(
    `Expected the ${array} of forward() to be unchanged until backward(gradOutput) but received ${received}`,
  )
}

/** Where the gradient of the residual goes. */
function gradResidualArray(gradResidual: FloatVector, { hasResidual, shape, type, input }: Pass): Values {
  if (hasResidual) return outArray(gradResidual, shape, input.length, type, 'gradResidual')
  throw new TypeError(
    'Expected gradResidual after a forward with a residual but received it after one without (leave it out)',
  )
}
