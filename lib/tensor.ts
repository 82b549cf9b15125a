import { describe, invalidType, invalidValue, wrongLength } from './errors.ts'
import { formatTensor } from './format.ts'
import { disposeOutput } from './output-memory.ts'
import { elementCount, type Shape } from './shape.ts'

export type DataType = 'float32' | 'float64' | 'int64'

export type TensorData = Float32Array | Float64Array | BigInt64Array

/** Numbers, nested as deep as the tensor has axes. */
export type NestedNumbers = number | readonly NestedNumbers[]

/**
 * A typed array and its shape, row by row (the last axis runs fastest). No algebra: that is other
 * libraries' work. Whatever has `data` and `shape` can stand where a `Tensor` is asked for.
 */
export class Tensor<Data extends TensorData = Float32Array> {
  readonly data: Data
  readonly shape: Shape
  readonly dtype: DataType

  /** Views `data`, without a copy. Throws as `tensor` does. */
  constructor(data: Data, shape: Shape) {
    this.dtype = dataTypeOf(data)
    const length = elementCount('tensor', shape)
    if (data.length !== length) throw wrongLength('data', data, length, `the shape ${describe(shape)}`)
    this.data = data
    this.shape = shape
  }

  /** The values as PyTorch prints them: 4 decimals, aligned, with the middle left out above 1000 elements. */
  toString(): string {
    return formatTensor(this.data, this.shape, this.dtype)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  /**
   * Gives the memory of a large output of the native backend back at once, for the next output of its
   * size, instead of when it is collected. All arrays over that memory have no elements then. Nothing
   * happens to memory that the caller brought.
   */
  dispose(): void {
    disposeOutput(this.data)
  }

  /** `using y = bn.forward(x)` disposes of `y` at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/**
 * A tensor of nested arrays of numbers (float32), or of a typed array and its shape (a view of it,
 * not a copy; the shape is `[data.length]` unless told).
 *
 * ```ts
 * tensor([[1, 2], [3, 4]])
 * tensor(new Float32Array(3200), [32, 100])
 * ```
 *
 * @throws TypeError for values that are not numbers and typed arrays of another type; RangeError for
 * ragged arrays and for a shape that does not have as many elements as the data.
 */
export function tensor(values: NestedNumbers): Tensor
export function tensor<Data extends TensorData>(data: Data, shape?: Shape): Tensor<Data>
export function tensor(values: NestedNumbers | TensorData, shape?: Shape): Tensor<TensorData> {
  if (ArrayBuffer.isView(values)) return new Tensor(values, shape ? [...shape] : [values.length])
  if (shape !== undefined) throw invalidType('data', 'a typed array, since a shape was given,', values)
  const nestedShape = shapeOfNested(values)
  const data = new Float32Array(nestedShape.reduce((count, size) => count * size, 1))
  fill(data, values, nestedShape)
  return new Tensor(data, nestedShape)
}

const dataTypes: Readonly<Record<string, DataType>> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
}

function dataTypeOf(data: TensorData): DataType {
  // By its tag: an array of another realm (a vm context, a test runner's) is not an instance of ours.
  const dtype = ArrayBuffer.isView(data) ? dataTypes[data[Symbol.toStringTag]] : undefined
  if (dtype === undefined) throw invalidType('data', 'a Float32Array, Float64Array or BigInt64Array', data)
  return dtype
}

function shapeOfNested(values: NestedNumbers): number[] {
  const shape: number[] = []
  for (let level = values; Array.isArray(level); level = level[0]) shape.push(level.length)
  return shape
}

function fill(data: Float32Array, values: NestedNumbers, shape: Shape): void {
  const path: number[] = []
  const name = () => `values${path.map((position) => `[${position}]`).join('')}`
  let index = 0
  const visit = (value: NestedNumbers): void => {
    const size = shape[path.length]
    if (size === undefined) {
      if (typeof value !== 'number') throw invalidType(name(), 'a number', value)
      data[index++] = value
      return
    }
    if (!Array.isArray(value)) throw invalidType(name(), `an array of length ${size}`, value)
    if (value.length !== size) throw invalidValue(name(), `of length ${size}, as the first is,`, value)
    for (let position = 0; position < size; position++) {
      path.push(position)
      visit(value[position])
      path.pop()
    }
  }
  visit(values)
}
