/** Values on their way through layers and batch norms, in float64 whatever they came in. */
import { type FloatTensorLike, floatTensor, floatTypeOf } from '../checks/tensors.ts'
import type { FloatType } from '../tensor/data-type.ts'
import { isHalf, widened } from '../tensor/half.ts'
import { channelAxis, extentOf, type Layout, product, type Shape } from '../tensor/shape.ts'

/** Values in float64 and their shape. */
export interface Float64Values {
  readonly data: Float64Array
  readonly shape: Shape
}

/** What the elements of a tensor are as numbers: halves are widened, which changes none. */
export function numbersOf(
  name: string,
  value: FloatTensorLike,
): { readonly numbers: Float32Array | Float64Array; readonly type: FloatType } {
  const type = floatTypeOf(name, value)
  const values = floatTensor(name, value, type)
  const numbers = isHalf(type) ? widened(values as Uint16Array, type) : values
  return { numbers: numbers as Float32Array | Float64Array, type }
}

/** Applies `change` to every value. */
export function mapChannels(
  { data, shape }: Float64Values,
  layout: Layout,
  change: (value: number, channel: number) => number,
): Float64Values {
  const { channels, inner } = extentOf(shape, layout)
  return { data: data.map((value, at) => change(value, Math.floor(at / inner) % channels)), shape }
}

/** `[N, ..., C]` as `[N, C, ...]`. */
export function channelsFirst({ data, shape }: Float64Values): Float64Values {
  const [samples, ...sizes] = shape
  const channels = sizes.pop() as number
  return {
    data: exchanged(data, samples, product(sizes), channels),
    shape: [samples, channels, ...sizes],
  }
}

/** `[N, C, ...]` as `[N, ..., C]`. */
export function channelsLast({ data, shape }: Float64Values): Float64Values {
  const [samples, channels, ...sizes] = shape
  return {
    data: exchanged(data, samples, channels, product(sizes)),
    shape: [samples, ...sizes, channels],
  }
}

/** `[outer, rows, columns]` as `[outer, columns, rows]`. */
function exchanged(data: Float64Array, outer: number, rows: number, columns: number): Float64Array {
  const result = new Float64Array(data.length)
  let at = 0
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < columns; c++) {
      for (let r = 0; r < rows; r++) result[at++] = data[(o * rows + r) * columns + c]
    }
  }
  return result
}

/** How many values of a channel a sample has. */
export function positionsOf(shape: Shape, layout: Layout): number {
  const axis = channelAxis(shape, layout)
  return product(shape.filter((_, each) => each !== 0 && each !== axis))
}
