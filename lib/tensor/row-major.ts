/** Arrays of other libraries that are views: a transposed one, a part of a larger one, one in Fortran's order. */
import { types } from 'node:util'
import { invalidType, invalidValue } from '../checks/errors.ts'
import { elementCount, product, type Shape } from './shape.ts'

/** Whatever is indexed. */
type Elements = ArrayLike<unknown> & object

/**
 * What says where the elements lie, in elements, under the names that libraries have for it: scijs' `stride`,
 * stdlib's `strides` and `order`, numpy's `fortranOrder` as readers of its files give it.
 */
interface Placed {
  readonly stride?: unknown
  readonly strides?: unknown
  readonly offset?: unknown
  readonly order?: unknown
  readonly fortranOrder?: unknown
}

/** A view of one element can say that it is more than memory holds. */
const mostRepeated = 2 ** 28

const rowOrders: readonly unknown[] = [undefined, 'row-major', 'C']
const columnOrders: readonly unknown[] = ['column-major', 'F']

/**
 * The elements of a tensor row by row, the last axis fastest: its `data` where nothing says otherwise, a view of
 * it where they lie one after another, else a copy.
 *
 * @throws TypeError or RangeError for what does not say where each element lies
 */
export function rowMajor<Data extends Elements>(
  name: string,
  tensor: { readonly data: Data; readonly shape: Shape },
): Data {
  const { data, shape } = tensor
  const { stride, strides = stride, offset = 0, order, fortranOrder } = tensor as Placed
  if (strides === undefined && offset === 0 && rowOrders.includes(order) && !fortranOrder) return data
  const length = elementCount(name, shape)
  const steps =
    strides === undefined ? stepsOf(name, shape, order, fortranOrder) : checkedSteps(name, shape, strides)
  const first = checkedOffset(name, offset)
  if (length === 0) return part(data, 0, 0)
  assertWithin(name, data, shape, steps, first)
  const dense = rowSteps(shape)
  const isDense = steps.every((step, axis) => step === dense[axis] || shape[axis] === 1)
  if (length > Math.max(data.length, mostRepeated)) {
    const fix = 'its strides repeat elements: give a copy'
    throw invalidValue(`${name}.shape`, `of at most ${mostRepeated} elements`, [...shape], fix)
  }
  return isDense ? part(data, first, first + length) : gathered(data, shape, steps, first)
}

/** How far apart neighbours on each axis lie, row by row. */
function rowSteps(shape: Shape): number[] {
  return shape.map((_, axis) => product(shape.slice(axis + 1)))
}

/** The same where only the order is told. */
function stepsOf(name: string, shape: Shape, order: unknown, fortranOrder: unknown): number[] {
  if (columnOrders.includes(order) || (order === undefined && fortranOrder === true)) {
    return shape.map((_, axis) => product(shape.slice(0, axis)))
  }
  if (!rowOrders.includes(order)) throw invalidType(`${name}.order`, "'row-major' or 'column-major'", order)
  if (order === undefined && fortranOrder)
    throw invalidType(`${name}.fortranOrder`, 'true or false', fortranOrder)
  return rowSteps(shape)
}

function checkedSteps(name: string, shape: Shape, strides: unknown): number[] {
  const isList = Array.isArray(strides) || types.isTypedArray(strides)
  const fits = isList && strides.length === shape.length
  const steps = fits ? Array.from(strides as ArrayLike<number>) : []
  if (fits && steps.every(Number.isSafeInteger)) return steps
  throw invalidType(`${name}.strides`, `${shape.length} integers, one an axis,`, strides)
}

function checkedOffset(name: string, offset: unknown): number {
  if (Number.isSafeInteger(offset) && (offset as number) >= 0) return offset as number
  throw invalidType(`${name}.offset`, 'an integer, at least 0,', offset)
}

/** @throws RangeError for strides that lead out of the data */
function assertWithin(
  name: string,
  data: Elements,
  shape: Shape,
  steps: readonly number[],
  first: number,
): void {
  const spans = shape.map((size, axis) => (size - 1) * steps[axis])
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, first)
  const least = sum(spans.filter((span) => span < 0))
  const most = sum(spans.filter((span) => span > 0))
  if (least >= 0 && most < data.length) return
  throw invalidValue(
    `${name}.strides`,
    `such that all elements lie within the ${data.length} of its data`,
    [...steps],
    `with offset ${first} they reach from ${least} to ${most}; they count elements, not bytes`,
  )
}

function part<Data extends Elements>(data: Data, begin: number, end: number): Data {
  if (begin === 0 && end === data.length) return data
  const { subarray } = data as unknown as { subarray?: (begin: number, end: number) => Data }
  return subarray ? subarray.call(data, begin, end) : (Array.prototype.slice.call(data, begin, end) as never)
}

function gathered<Data extends Elements>(
  data: Data,
  shape: Shape,
  steps: readonly number[],
  first: number,
): Data {
  const length = product(shape)
  const Kind = data.constructor as new (length: number) => unknown[]
  const values = new Kind(length)
  const last = shape.length - 1
  const place = new Array<number>(shape.length).fill(0)
  let from = first
  for (let to = 0; to < length; ) {
    for (let position = 0; position < shape[last]; position++)
      values[to++] = data[from + position * steps[last]]
    // The next row: the axes before the last count up.
    for (let axis = last - 1; axis >= 0; axis--) {
      from += steps[axis]
      if (++place[axis] < shape[axis]) break
      from -= shape[axis] * steps[axis]
      place[axis] = 0
    }
  }
  return values as unknown as Data
}
