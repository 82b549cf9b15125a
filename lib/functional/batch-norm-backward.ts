import { type ActivationName, activationOf } from '../activation.ts'
import type { Activated } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import type { FloatData } from '../data-type.ts'
import { contradiction, invalidType } from '../errors.ts'
import type { Layout } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import {
  assertApart,
  assertSameOrApart,
  boolean,
  type FloatTensorLike,
  type FloatVector,
  float64Vector,
  optionsObject,
  outArray,
  perChannelVector,
  type StatisticsVector,
  type TensorLike,
} from '../validate.ts'
import {
  alike,
  type Input,
  inputOf,
  type ParameterData,
  parameterTensor,
  type ResultData,
  resultTensor,
} from './arguments.ts'

export interface BatchNormBackwardOptions {
  /** The mean that the forward normalized with: the batch's, or in eval the running one. */
  mean: StatisticsVector
  /** `1 / sqrt(variance + eps)` of the forward. */
  invstd: StatisticsVector
  /** gamma; none stands for ones. */
  weight?: FloatVector | null
  /** Whether the statistics are those of the input, so that the gradient flows through them. Default true. */
  training?: boolean
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
  /** That of the forward; its gradient is told by the sign of `output`. */
  activation?: ActivationName | null
  /** That of the forward. */
  negativeSlope?: number
  /** What the forward gave, with an activation. */
  output?: FloatTensorLike
  /**
   * Where to write the gradient of the residual - gradOutput, or what the activation lets through of it -
   * of the input's length and type; may be `gradOutput`. Without it that gradient is not kept.
   */
  gradResidual?: FloatVector
  /** Where to write gradInput, of the input's length and type; may be `gradOutput` or the input. */
  out?: FloatVector
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
 * const { mean, invstd } = functional.batchNormStats(x, { eps })
 * const { gradInput } = functional.batchNormBackward(gradOutput, x, { mean, invstd, weight })
 * ```
 *
 * @throws TypeError or RangeError for an argument that does not fit. Nothing has changed then.
 */
export function batchNormBackward<Data extends FloatData = Float32Array>(
  gradOutput: TensorLike<Data>,
  input: TensorLike<Data>,
  options: BatchNormBackwardOptions,
): BatchNormGradients<Data> {
  const { training = true, layout, out, gradResidual } = optionsObject(options)
  const given = inputOf('input', input, layout)
  const { x, extent, shape, type } = given
  const gradY = alike('gradOutput', gradOutput, given)
  const { channels } = extent
  const activated = activatedOf(options, given)
  boolean('training', training)
  const mean = float64Vector('mean', options.mean, channels)
  const invstd = float64Vector('invstd', options.invstd, channels)
  const weight = perChannelVector('weight', options.weight, channels, type)
  const gradX = outArray(out, shape, x.length, type)
  assertSameOrApart('out', gradX, 'gradOutput', gradY)
  assertSameOrApart('out', gradX, 'input', x)
  assertApart('out', gradX, { mean, invstd, weight, output: activated?.output })
  const gradZ =
    gradResidual === undefined ? null : outArray(gradResidual, shape, x.length, type, 'gradResidual')
  if (gradZ) {
    assertSameOrApart('gradResidual', gradZ, 'gradOutput', gradY)
    assertApart('gradResidual', gradZ, {
      out: gradX,
      input: x,
      output: activated?.output,
      mean,
      invstd,
      weight,
    })
  }

  const gradWeight = parameterTensor<Data>(given)
  const gradBias = parameterTensor<Data>(given)
  if (x.length > 0) {
    if (!activated) gradZ?.set(gradY)
    const gradients = { input: gradX, weight: gradWeight.data, bias: gradBias.data, residual: gradZ }
    currentBackend().backward(gradY, x, extent, { mean, invstd }, weight, training, gradients, activated)
  }
  return { gradInput: resultTensor(gradX, given), gradWeight, gradBias }
}

function activatedOf(
  { activation: name, negativeSlope, output }: BatchNormBackwardOptions,
  given: Input,
): Activated | undefined {
  const activation = activationOf(name, negativeSlope)
  if (activation === null) {
    if (output === undefined) return undefined
    throw contradiction('activation: null', 'output')
  }
  if (output === undefined) {
    throw invalidType('output', 'what the forward with this activation gave', output)
  }
  return { activation, output: alike('output', output, given) }
}
