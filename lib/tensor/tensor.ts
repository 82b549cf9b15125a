import { types } from 'node:util'
import { describe, invalidType, invalidValue, wrongLength } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { oneOf } from '../checks/scalars.ts'
import {
  type DataType,
  dataTypeOf,
  dataTypesOf,
  type FloatArray,
  type FloatData,
  type FloatType,
  floatTypes,
  type TensorData,
  valuesOf,
} from './data-type.ts'
import { type ForeignArray, readForeign, valuesOfBytes } from './foreign.ts'
import { formatTensor } from './format.ts'
import { type HalfType, halfOfNumber, isHalf, numberOfHalf, widened } from './half.ts'
import { type TensorJSON, writeIntegers, writeNumbers } from './json.ts'
import { disposeOutput } from './output-memory.ts'
import { elementCount, mostAxes, product, type Shape } from './shape.ts'

export type { DataType, FloatType, TensorData } from './data-type.ts'

/** Numbers, nested as deep as the tensor has axes. */
export type NestedNumbers = number | readonly NestedNumbers[]

/** What `toArray` gives: elements, nested as deep as the tensor has axes. */
export type NestedArray<Element extends number | bigint = number> = Element | NestedArray<Element>[]

/** Options of `tensor`. */
export interface TensorOptions {
  /** What the elements are, or are to be rounded to. */
  dtype?: DataType
}

/** Of nested arrays, which are slow beyond that; a typed array may be longer. */
const mostNumbers = 2 ** 28

const names = optionNames<TensorOptions>({ dtype: true })

/**
 * A typed array and its shape, row by row (the last axis runs fastest). No algebra: that is other
 * libraries' work. Whatever has `data` and `shape` can stand where a `Tensor` is asked for.
 */
export class Tensor<Data extends TensorData = Float32Array> {
  /** The elements, row by row: the last axis runs fastest. Of bfloat16 and float16 their bits. */
  readonly data: Data
  /** The size of each axis. */
  readonly shape: Shape
  /** The type of the elements. */
  readonly dtype: DataType

  /**
   * Views `data`, without a copy. Throws as `tensor` does.
   *
   * @param dtype - what `data` holds; a `Uint16Array` does not say whether bfloat16 or float16
   */
  constructor(data: Data, shape: Shape, dtype?: DataType) {
    this.dtype = dataTypeOf(data, dtype)
    assertLength(data, shape)
    this.data = data
    this.shape = shape
  }

  /** The elements as numbers: `data` itself, and of bfloat16 and float16 a float32 copy. */
  numbers(): Float32Array | Float64Array | BigInt64Array {
    const { data, dtype } = this
    if (isHalf(dtype)) return widened(valuesOf(data as never) as Uint16Array, dtype)
    return data as Float32Array | Float64Array | BigInt64Array
  }

  /**
   * The elements in nested arrays, one level an axis, as PyTorch's `tolist`: numbers, those of bfloat16 and float16
   * too, and bigints of int64. Of a tensor of shape `[]` its only element. A copy.
   *
   * ```ts
   * tensor([1, 2, 3, 4], [2, 2]).toArray()   // [[1, 2], [3, 4]]
   * ```
   *
   * https://pytorch.org/docs/stable/generated/torch.Tensor.tolist.html
   *
   * @throws RangeError for a tensor that was disposed of or transferred
   */
  toArray(): NestedArray<Data extends BigInt64Array ? bigint : number> {
    assertLength(this.data, this.shape)
    return nested(this.numbers(), this.shape) as NestedArray<Data extends BigInt64Array ? bigint : number>
  }

  /**
   * The numbers, to the bit, with their shape and type: `JSON.stringify(bn.stateDict())` uses it, and
   * `loadStateDict` reads what `JSON.parse` makes of that.
   *
   * @throws RangeError for a tensor that was disposed of or transferred
   */
  toJSON(): TensorJSON {
    const { dtype, shape } = this
    assertLength(this.data, shape)
    const numbers = this.numbers()
    const isInteger = dtype === 'int64'
    const data = isInteger ? writeIntegers(numbers as BigInt64Array) : writeNumbers(numbers as Float64Array)
    return { dtype, shape, data }
  }

  /** The values as PyTorch prints them: 4 decimals, aligned, with the middle left out above 1000 elements. */
  toString(): string {
    const { data, shape, dtype } = this
    if (data.length !== product(shape)) return `tensor(disposed of or transferred, shape=${describe(shape)})`
    const isBits = data[Symbol.toStringTag] === 'Uint16Array'
    const element = (index: number) =>
      isBits ? numberOfHalf(data[index] as number, dtype as HalfType) : data[index]
    return formatTensor(element, shape, dtype)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  /**
   * Gives the memory of an output of 64 KiB or more back at once, for the next output of its size,
   * instead of when it is collected. All arrays over that memory have no elements then. Nothing
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

function assertLength(data: TensorData, shape: Shape): void {
  const length = elementCount('tensor', shape)
  if (data.length !== length) throw wrongLength('data', data, length, `the shape ${describe(shape)}`)
}

/** The elements, row by row, in arrays of arrays. */
function nested(elements: ArrayLike<number | bigint>, shape: Shape): NestedArray<number | bigint> {
  let next = 0
  const level = (axis: number): NestedArray<number | bigint> =>
    axis === shape.length ? elements[next++] : Array.from({ length: shape[axis] }, () => level(axis + 1))
  return level(0)
}

/**
 * A tensor of nested arrays of numbers, or of a flat array and a shape (float32 unless told), or of a
 * typed array and its shape (a view of it, not a copy; the shape is `[data.length]` unless told). Numbers
 * of a Float32Array or Float64Array are rounded, into a new array, to another `dtype` that is asked for; a
 * `Uint16Array` holds bits, of the `dtype` that has to be told. Bytes (a `Buffer`, wherever it begins) are values of the
 * `dtype` that is told, little-endian.
 *
 * Arrays of other libraries tell their shape: ndarrays of scijs and stdlib, ml-matrix (float64), vectors, lists of a
 * fixed size and tables of Apache Arrow, tensors and buffers of TensorFlow.js. A view of what lies row by row in one
 * array, otherwise a copy.
 *
 * ```ts
 * tensor([[1, 2], [3, 4]])
 * tensor([1, 2, 3, 4], [2, 2])
 * tensor(new Float32Array(3200), [32, 100])
 * tensor(new Float32Array(3200), [32, 100], { dtype: 'bfloat16' })   // rounded to nearest even
 * tensor([[0.1, 0.2]], { dtype: 'float64' })
 * tensor(buffer.subarray(8), [32, 100], { dtype: 'float32' })
 * tensor(new Matrix([[1, 2], [3, 4]]), { dtype: 'float32' })
 * ```
 *
 * @throws TypeError for values that are not numbers and typed arrays of another type; RangeError for
 * ragged arrays and for a shape that does not have as many elements as the data.
 */
export function tensor<Type extends FloatType = 'float32'>(
  values: NestedNumbers,
  options?: { dtype?: Type },
): Tensor<FloatArray<Type>>
export function tensor<Type extends FloatType = 'float32'>(
  values: readonly number[],
  shape: Shape,
  options?: { dtype?: Type },
): Tensor<FloatArray<Type>>
export function tensor<Data extends TensorData>(data: Data, shape?: Shape): Tensor<Data>
export function tensor<Type extends FloatType>(
  data: Float32Array | Float64Array,
  shape: Shape | undefined,
  options: { dtype: Type },
): Tensor<FloatArray<Type>>
export function tensor(
  data: Uint16Array,
  shape: Shape | undefined,
  options: TensorOptions,
): Tensor<Uint16Array>
export function tensor(data: TensorData, shape: Shape | undefined, options: TensorOptions): Tensor<TensorData>
export function tensor(bytes: Uint8Array, shape: Shape | undefined, options: TensorOptions): Tensor<FloatData>
export function tensor(array: ForeignArray, options?: TensorOptions): Tensor<FloatData>
export function tensor(array: ForeignArray, shape: Shape, options?: TensorOptions): Tensor<FloatData>
export function tensor(
  values: NestedNumbers | TensorData | Uint8Array | ForeignArray,
  shapeOrOptions?: Shape | TensorOptions,
  options: TensorOptions = {},
): Tensor<TensorData> {
  if (ArrayBuffer.isView(values)) {
    const { dtype } = optionsObject(options, names)
    const data = types.isUint8Array(values)
      ? valuesOfBytes(values, oneOf('dtype', dtype as string, floatTypes))
      : (values as TensorData)
    const shape = shapeOrOptions === undefined ? [data.length] : (shapeOrOptions as Shape)
    assertLength(data, shape)
    return new Tensor(asType(data, dtype), [...shape], dtype)
  }
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) {
    const given = Array.isArray(shapeOrOptions) ? (shapeOrOptions as Shape) : undefined
    const { dtype } = optionsObject(given ? options : ((shapeOrOptions ?? options) as TensorOptions), names)
    const { data, ...read } = readForeign(values)
    const shape = given ?? read.shape
    assertLength(data, shape)
    return new Tensor(asType(data, dtype), [...shape], dtype ?? read.dtype)
  }
  if (Array.isArray(shapeOrOptions))
    return ofNumbers(values as NestedNumbers, options, shapeOrOptions as Shape)
  return ofNumbers(
    values as NestedNumbers,
    (shapeOrOptions === undefined ? {} : shapeOrOptions) as TensorOptions,
  )
}

/** @param shape - of an array that is flat; nested ones have their own */
function ofNumbers(values: NestedNumbers, options: TensorOptions, shape?: Shape): Tensor<TensorData> {
  const { dtype = 'float32' } = optionsObject(options, names)
  const nested = shapeOfNested(values)
  if (shape !== undefined && nested.length !== 1) {
    const fix = nested.length > 1 ? 'leave out the shape: nested arrays tell it' : ''
    throw invalidType('values', 'a flat array of numbers, since a shape was given,', values, fix)
  }
  const length = product(nested)
  // Walked before there is memory for it: an array can be long and empty.
  forEachNumber(values, nested, () => {})
  const numbers = dtype === 'float32' ? new Float32Array(length) : new Float64Array(length)
  let index = 0
  forEachNumber(values, nested, (number) => {
    numbers[index++] = number
  })
  assertLength(numbers, shape ?? nested)
  return new Tensor(asType(numbers, dtype), [...(shape ?? nested)], dtype)
}

/** `data` itself, or its numbers rounded to a type that it does not hold. */
function asType(data: TensorData, dtype: DataType | undefined): TensorData {
  const held = dataTypesOf(data)
  const isRounded = held[0] === 'float32' || held[0] === 'float64'
  if (!isRounded || dtype === undefined || held.includes(dtype)) return data
  const numbers = data as Float32Array | Float64Array
  switch (oneOf('dtype', dtype, floatTypes)) {
    case 'float32':
      return Float32Array.from(numbers)
    case 'float64':
      return Float64Array.from(numbers)
    default:
      return Uint16Array.from(numbers, (value) => halfOfNumber(value, dtype as HalfType))
  }
}

function shapeOfNested(values: NestedNumbers): number[] {
  const shape: number[] = []
  for (let level = values; Array.isArray(level); level = level[0]) {
    shape.push(level.length)
    if (shape.length <= mostAxes) continue
    const place = `values${'[0]'.repeat(mostAxes)}`
    throw invalidType(
      place,
      `a number, since a tensor has at most ${mostAxes} axes,`,
      level,
      'is it in itself?',
    )
  }
  const length = product(shape)
  if (length <= mostNumbers) return shape
  throw invalidValue('values', `at most ${mostNumbers} numbers`, length, 'is an array there again and again?')
}

function forEachNumber(values: NestedNumbers, shape: Shape, take: (value: number) => void): void {
  const path: number[] = []
  const name = () => `values${path.map((position) => `[${position}]`).join('')}`
  const visit = (value: NestedNumbers): void => {
    const size = shape[path.length]
    if (size === undefined) {
      if (typeof value !== 'number') throw invalidType(name(), 'a number', value)
      take(value)
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
