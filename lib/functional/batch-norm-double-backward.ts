import type { Values } from '../backend/backend.ts'
import { singleValueError } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import {
  type FloatInput,
  type FloatTensorLike,
  type FloatVector,
  perChannelVector,
} from '../checks/tensors.ts'
import { parameterType, type TensorData } from '../tensor/data-type.ts'
import { widened } from '../tensor/half.ts'
import { valuesPerChannel } from '../tensor/shape.ts'
import { type Tensor, tensor } from '../tensor/tensor.ts'
import { type Input, matchingValues, type ParameterData, type ResultData } from './arguments.ts'
import { backwardArguments, type ForwardFacts, factNames } from './backward-arguments.ts'
import { secondGradients } from './second-gradients.ts'

/** Options of `batchNormDoubleBackward`. */
export interface BatchNormDoubleBackwardOptions extends ForwardFacts {
  /** u: what is asked of `gradInput`, of the input's shape and type; none stands for zeros. */
  gradGradInput?: FloatTensorLike | null
  /** v: what is asked of `gradWeight`, of the type of the parameters; none stands for zeros. */
  gradGradWeight?: FloatVector | null
  /** w: what is asked of `gradBias`; none stands for zeros. */
  gradGradBias?: FloatVector | null
}

const names = optionNames<BatchNormDoubleBackwardOptions>({
  ...factNames,
  gradGradInput: true,
  gradGradWeight: true,
  gradGradBias: true,
})

/** The gradients of the arguments of `batchNormBackward`. */
export interface BatchNormSecondGradients<Data extends TensorData = Float32Array> {
  /** With respect to the input, of its shape and type. */
  readonly gradInput: Tensor<ResultData<Data>>
  /** Of the type of the parameters. */
  readonly gradWeight: Tensor<ParameterData<Data>>
  /** With respect to gradOutput, of the input's shape and type. */
  readonly gradGradOutput: Tensor<ResultData<Data>>
}

/**
 * The gradients of `batchNormBackward`, for losses that are made of gradients (gradient penalties): those
 * of `L = sum(u * gradInput) + sum(v * gradWeight) + sum(w * gradBias)` with respect to the input, the
 * weight and gradOutput. As PyTorch's `batchnorm_double_backward`
 * (https://pytorch.org/docs/stable/generated/torch.autograd.grad.html, `create_graph`).
 *
 * With g = gradOutput, s = invstd, scale = weight * s, xhat = (x - mean) * s, and avg the average over a
 * channel, L of a channel with n values is in training
 *
 *     L = n * scale * (c - a * b) + n * v * b + w * sum(g)
 *     a = avg(u * xhat)   b = avg(g * xhat)   c = avg(u * (g - avg(g)))
 *
 * and since `dxhat_j / dx_i = s * ([i = j] - 1 / n - xhat_i * xhat_j / n)` and `ds / dx_i = -s^2 * xhat_i / n`,
 * with k = v - scale * a
 *
 *     gradGradOutput = scale * (u - avg(u)) + k * xhat + w
 *     gradWeight     = n * s * (c - a * b)
 *     gradInput      = s * (k * (g - avg(g)) - scale * b * (u - avg(u)) - (k * b + scale * (c - 2 * a * b)) * xhat)
 *
 * In eval, where the statistics are constants,
 *
 *     gradGradOutput = scale * u + v * xhat + w
 *     gradWeight     = s * sum(u * g)
 *     gradInput      = v * s * g
 *
 * All of it is computed in float64 and rounded once. It is not a kernel: TypeScript does it on every
 * backend, with the same bits, and takes several times as long as a backward. Of an empty batch the
 * results are empty, and zeros.
 *
 * ```ts
 * // The penalty sum(gradInput ** 2) / 2, whose gradient with respect to gradInput is gradInput itself:
 * const { gradInput } = functional.batchNormBackward(gradOutput, x, { mean, invstd, weight })
 * const options = { mean, invstd, weight, gradGradInput: gradInput }
 * const second = functional.batchNormDoubleBackward(gradOutput, x, options)
 * ```
 *
 * @throws TypeError or RangeError for an argument that does not fit, and for one value a channel in training
 */
export function batchNormDoubleBackward<Data extends TensorData = Float32Array>(
  gradOutput: FloatInput<Data>,
  input: FloatInput<Data>,
  options: BatchNormDoubleBackwardOptions,
): BatchNormSecondGradients<Data> {
  const { gradGradInput: u = null } = optionsObject(options, names)
  const { given, gradY, statistics, weight, training } = backwardArguments(gradOutput, input, options)
  const { x, extent, shape, type } = given
  const { channels } = extent
  const perChannel = (name: 'gradGradWeight' | 'gradGradBias') => {
    const vector = perChannelVector(name, options[name], channels, type)
    return vector && Float64Array.from(vector)
  }
  const gradGrad = {
    input: u === null ? null : inFloat64(matchingValues('gradGradInput', u, given), given),
    weight: perChannel('gradGradWeight'),
    bias: perChannel('gradGradBias'),
  }
  if (training && valuesPerChannel(extent) === 1) throw singleValueError(shape, 'a last batch of 1? Drop it')

  const first = {
    gradOutput: inFloat64(gradY, given),
    x: inFloat64(x, given),
    extent: { outer: extent.outer, channels, inner: extent.inner },
    statistics,
    weight,
    training,
  }
  const second = secondGradients(first, gradGrad)
  const rounded = (values: Float64Array) =>
    tensor(values, shape.slice(), { dtype: type }) as unknown as Tensor<ResultData<Data>>
  return {
    gradInput: rounded(second.input),
    gradWeight: tensor(second.weight, [channels], { dtype: parameterType(type) }) as unknown as Tensor<
      ParameterData<Data>
    >,
    gradGradOutput: rounded(second.gradOutput),
  }
}

function inFloat64(values: Values, { extent: { half } }: Input): Float64Array {
  return Float64Array.from(half ? widened(values as Uint16Array, half) : values)
}
