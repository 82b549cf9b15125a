/** What the functions have in common: how an input is seen, and of which type their results are. */
import type { Affine, Extent, Values } from '../backend/backend.ts'
import { describe, invalidShape } from '../checks/errors.ts'
import { channelCount, oneOf } from '../checks/scalars.ts'
import {
  type FloatTensorLike,
  type FloatVector,
  floatTensor,
  floatTypeOf,
  perChannelVector,
} from '../checks/tensors.ts'
import { type FloatType, parameterArray, parameterType, type TensorData } from '../tensor/data-type.ts'
import { isHalf } from '../tensor/half.ts'
import { extentOf, type Layout, layouts, type Shape, sameShape } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'

/** The array of a result beside an input's: of the same type, bits where that is a `Float16Array`. */
export type ResultData<Data extends TensorData> = Data extends BigInt64Array
  ? never
  : Data extends Values
    ? Data
    : Uint16Array

/** The array of parameters and running statistics beside an input's. */
export type ParameterData<Data extends TensorData> = Data extends Float64Array ? Float64Array : Float32Array

/** An extent that says what halves the values are. */
export function withHalf(extent: Extent, type: FloatType): Extent {
  return isHalf(type) ? { ...extent, half: type } : extent
}

/** An input as a backend takes it. */
export interface Input {
  readonly x: Values
  readonly type: FloatType
  readonly shape: Shape
  readonly extent: Extent
}

/**
 * A tensor `[N, C, ...]`, with `layout: 'channels-last'` `[N, ..., C]`, of at least one channel.
 *
 * @param channels - how many it must have; any number unless told
 * @throws TypeError or RangeError for what is not one
 */
export function inputOf(
  name: string,
  input: FloatTensorLike,
  layout: Layout = 'channels-first',
  channels?: number,
): Input {
  oneOf('layout', layout, layouts)
  const type = floatTypeOf(name, input)
  const x = floatTensor(name, input, type)
  const { shape } = input
  const extent = shape.length < 2 ? null : extentOf(shape, layout)
  if (extent === null || extent.channels === 0 || extent.channels !== (channels ?? extent.channels)) {
    const axis = channels ?? 'C'
    const form = layout === 'channels-last' ? `[N, ..., ${axis}]` : `[N, ${axis}, ...]`
    throw invalidShape(name, channels === undefined ? `${form} with at least one channel` : form, shape)
  }
  // The results have channels where the input has no values.
  if (x.length === 0) channelCount(`the channels of ${name}`, extent.channels)
  return { x, type, shape, extent: withHalf(extent, type) }
}

/**
 * The values of a tensor that goes with an input: of its shape and type.
 *
 * @param whose - whose shape that is, for the error
 */
export function matchingValues(
  name: string,
  value: FloatTensorLike,
  { type, shape }: Pick<Input, 'type' | 'shape'>,
  whose = "the input's",
): Values {
  const values = floatTensor(name, value, type)
  if (!sameShape(value.shape, shape)) throw invalidShape(name, `${describe(shape)}, ${whose},`, value.shape)
  return values
}

/** gamma and beta beside an input: one value a channel each, of the type of the parameters. */
export function affineOf(
  weight: FloatVector | null | undefined,
  bias: FloatVector | null | undefined,
  { extent: { channels }, type }: Input,
): Affine {
  return {
    weight: perChannelVector('weight', weight, channels, type),
    bias: perChannelVector('bias', bias, channels, type),
  }
}

/** A result of an input's shape and type. */
export function resultTensor<Data extends TensorData>(
  values: Values,
  { shape, type }: Input,
): Tensor<ResultData<Data>> {
  return new Tensor(values, shape.slice(), type) as unknown as Tensor<ResultData<Data>>
}

/** One value a channel, of the type of the parameters beside an input. */
export function parameterTensor<Data extends TensorData>({
  extent: { channels },
  type,
}: Input): Tensor<ParameterData<Data>> {
  return new Tensor(parameterArray(parameterType(type), channels), [channels]) as unknown as Tensor<
    ParameterData<Data>
  >
}
