import { invalidShape } from '../checks/errors.ts'
import { oneOf } from '../checks/scalars.ts'
import { float32Tensor, type TensorLike } from '../checks/tensors.ts'
import { extentOf, type Layout, layouts } from '../tensor/shape.ts'

/** Of each channel, in float64. */
interface ChannelMoments {
  /** Values of each channel. */
  readonly count: number
  readonly mean: Float64Array
  /** The biased one, divided by `count`. */
  readonly variance: Float64Array
  readonly least: Float64Array
  readonly most: Float64Array
}

/** Straight from the definitions, in two passes. */
export function channelMoments(name: string, x: TensorLike, layout: Layout): ChannelMoments {
  const values = float32Tensor(name, x)
  oneOf('layout', layout, layouts)
  if (x.shape.length < 2 || values.length === 0) {
    throw invalidShape(name, layout === 'channels-last' ? '[N, ..., C]' : '[N, C, ...]', x.shape)
  }
  const { channels, inner } = extentOf(x.shape, layout)
  const count = values.length / channels
  const channelOf = (at: number) => Math.floor(at / inner) % channels
  const mean = new Float64Array(channels)
  const variance = new Float64Array(channels)
  const least = new Float64Array(channels).fill(Number.POSITIVE_INFINITY)
  const most = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY)
  values.forEach((value, at) => {
    const c = channelOf(at)
    mean[c] += value / count
    least[c] = Math.min(least[c], value)
    most[c] = Math.max(most[c], value)
  })
  values.forEach((value, at) => {
    const c = channelOf(at)
    variance[c] += (value - mean[c]) ** 2 / count
  })
  return { count, mean, variance, least, most }
}
