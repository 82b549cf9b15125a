import { currentBackend } from '../backend/load.ts'
import { assertAgreeing } from '../contradictions.ts'
import type { FloatData } from '../data-type.ts'
import { type FusedActivationOptions, fusedActivation } from '../fused-activation.ts'
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
  inputOf,
  type ParameterData,
  parameterTensor,
  type ResultData,
  resultTensor,
} from './arguments.ts'

export interface BatchNormBackwardOptions extends FusedActivationOptions {
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
  const { training = true, layout, output, out } = optionsObject(options)
  const activation = fusedActivation(options)
  if (output !== undefined) assertAgreeing({ activation, output })
  const given = inputOf('input', input, layout)
  const { x, extent, shape, type } = given
  const gradY = alike('gradOutput', gradOutput, given)
  const { channels } = extent
  boolean('training', training)
  const mean = float64Vector('mean', options.mean, channels)
  const invstd = float64Vector('invstd', options.invstd, channels)
  const weight = perChannelVector('weight', options.weight, channels, type)
  const gradX = outArray(out, shape, x.length, type)
  assertSameOrApart('out', gradX, 'gradOutput', gradY)
  assertSameOrApart('out', gradX, 'input', x)
  const activated =
    activation === null
      ? undefined
      : { activation, output: alike('output', output as FloatTensorLike, given) }
  const others = { mean, invstd, weight, output: activated?.output }
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
    currentBackend().backward(gradY, x, extent, { mean, invstd }, weight, training, gradients, activated)
  }
  return { gradInput: resultTensor(gradX, given), gradWeight, gradBias }
}
