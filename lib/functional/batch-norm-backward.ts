import { currentBackend } from '../backend/load.ts'
import { aliasing, assertAliasing } from '../checks/aliasing.ts'
import { assertAgreeing } from '../checks/contradictions.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { type FloatInput, type FloatTensorLike, type FloatVector, outArray } from '../checks/tensors.ts'
import type { TensorData } from '../tensor/data-type.ts'
import type { Tensor } from '../tensor/tensor.ts'
import {
  matchingValues,
  type ParameterData,
  parameterTensor,
  type ResultData,
  resultTensor,
} from './arguments.ts'
import { backwardArguments, type ForwardFacts, factNames } from './backward-arguments.ts'
import { type FusedActivationOptions, fusedActivation } from './fused-activation.ts'

/** Options of `batchNormBackward`. */
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

const names = optionNames<BatchNormBackwardOptions>({
  ...factNames,
  activation: true,
  negativeSlope: true,
  output: true,
  out: true,
  gradResidual: true,
})

/** The gradients of the arguments of `batchNorm`. */
export interface BatchNormGradients<Data extends TensorData = Float32Array> {
  /** Of the input's shape and type. */
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
 * @throws TypeError or RangeError for an argument that does not fit. After an error nothing has changed.
 */
export function batchNormBackward<Data extends TensorData = Float32Array>(
  gradOutput: FloatInput<Data>,
  input: FloatInput<Data>,
  options: BatchNormBackwardOptions,
): BatchNormGradients<Data> {
  const { output, out } = optionsObject(options, names)
  const activation = fusedActivation(options)
  if (output !== undefined) assertAgreeing({ activation, output })
  const { given, gradY, statistics, weight, training } = backwardArguments(gradOutput, input, options)
  const { x, extent, shape, type } = given
  const gradX = outArray(out, shape, x.length, type)
  const activated =
    activation === null
      ? undefined
      : { activation, output: matchingValues('output', output as FloatTensorLike, given) }
  const gradZ =
    options.gradResidual === undefined
      ? null
      : outArray(options.gradResidual, shape, x.length, type, 'gradResidual')
  const { mean, meanLow, invstd } = statistics
  assertAliasing(aliasing.batchNormBackward, {
    out: gradX,
    gradResidual: gradZ,
    gradOutput: gradY,
    input: x,
    mean,
    meanLow,
    invstd,
    weight,
    output: activated?.output,
  })

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
