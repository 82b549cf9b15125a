import { currentBackend } from '../backend/load.ts'
import { assertAgreeing } from '../contradictions.ts'
import type { FloatData } from '../data-type.ts'
import { type FusedActivationOptions, fusedActivation } from '../fused-activation.ts'
import type { Tensor } from '../tensor.ts'
import {
  assertApart,
  assertSameOrApart,
  type FloatTensorLike,
  type FloatVector,
  optionsObject,
  outArray,
  type TensorLike,
} from '../validate.ts'
import { alike, type ParameterData, parameterTensor, type ResultData, resultTensor } from './arguments.ts'
import { backwardArguments, type ForwardFacts } from './backward-arguments.ts'

export interface BatchNormBackwardOptions extends ForwardFacts, FusedActivationOptions {
  /** What the forward gave, where an activation was in it: its sign tells what went through. */
  output?: FloatTensorLike
  /** Where to write gradInput, of the input's length and type; may be `gradOutput` or the input. */
  out?: FloatVector
  /**
   * Where to write the gradient of a residual, of its length and type; may be `gradOutput`. Without it
   * that gradient is not kept.
   */
  gradResidual?: FloatVector
}

export interface BatchNormGradients<Data extends FloatData = Float32Array> {
  readonly gradInput: Tensor<ResultData<Data>>
  /** `sum(gradOutput * xhat)` of each channel, of the type of the parameters. */
  readonly gradWeight: Tensor<ParameterData<Data>>
  /** `sum(gradOutput)` of each channel. */
  readonly gradBias: Tensor<ParameterData<Data>>
}

/**
 * The gradients of `batchNorm`; see `batchNormStats` for its statistics. Of an empty batch they are
 * empty, and zeros.
 *
 * ```ts
 * const { mean, meanLow, invstd } = functional.batchNormStats(x, { eps })
 * const { gradInput } = functional.batchNormBackward(gradOutput, x, { mean, meanLow, invstd, weight })
 * ```
 *
 * @throws TypeError or RangeError for an argument that does not fit. Nothing has changed then.
 */
export function batchNormBackward<Data extends FloatData = Float32Array>(
  gradOutput: TensorLike<Data>,
  input: TensorLike<Data>,
  options: BatchNormBackwardOptions,
): BatchNormGradients<Data> {
  const { output, out } = optionsObject(options)
  const activation = fusedActivation(options)
  if (output !== undefined) assertAgreeing({ activation, output })
  const { given, gradY, statistics, weight, training } = backwardArguments(gradOutput, input, options)
  const { x, extent, shape, type } = given
  const gradX = outArray(out, shape, x.length, type)
  assertSameOrApart('out', gradX, 'gradOutput', gradY)
  assertSameOrApart('out', gradX, 'input', x)
  const activated =
    activation === null
      ? undefined
      : { activation, output: alike('output', output as FloatTensorLike, given) }
  const { mean, lost: meanLow, invstd } = statistics
  const others = { mean, meanLow, invstd, weight, output: activated?.output }
  assertApart('out', gradX, others)
  const gradZ =
    options.gradResidual === undefined
      ? null
      : outArray(options.gradResidual, shape, x.length, type, 'gradResidual')
  if (gradZ !== null) {
    assertSameOrApart('gradResidual', gradZ, 'gradOutput', gradY)
    assertApart('gradResidual', gradZ, { out: gradX, input: x, ...others })
  }

  const gradWeight = parameterTensor<Data>(given)
  const gradBias = parameterTensor<Data>(given)
  if (x.length > 0) {
    // Without an activation it is gradOutput, which may be overwritten then.
    if (activated === undefined) gradZ?.set(gradY)
    const gradients = { input: gradX, weight: gradWeight.data, bias: gradBias.data, residual: gradZ }
    currentBackend().backward(gradY, x, extent, statistics, weight, training, gradients, activated)
  }
  return { gradInput: resultTensor(gradX, given), gradWeight, gradBias }
}
