/**
 * The operators that exporters put between a stored tensor and a batch norm, evaluated: those that name,
 * convert, reshape or repeat it. None moves a value to another place.
 * https://onnx.ai/onnx/operators/
 */
import { describe } from '../../checks/errors.ts'
import { mostChannels } from '../../checks/scalars.ts'
import { halfOfNumber, numberOfHalf } from '../../tensor/half.ts'
import { mostAxes } from '../../tensor/shape.ts'
import { attributeOf, integerOf, integersOf } from './attributes.ts'
import { dataTypes, type Node } from './messages.ts'
import { denseConstant } from './sparse-tensor.ts'
import { type Constant, sizeOf, storedConstant } from './stored-tensor.ts'

/** A node whose inputs are known. */
export interface Evaluation {
  /** How errors call its output. */
  readonly name: string
  readonly node: Node
  /** `undefined` in the place of an input that is left out. */
  readonly inputs: readonly (Constant | undefined)[]
  /** An error that says why the node has no constant output. */
  readonly refused: (why: string) => Error
}

export type Operation = (evaluation: Evaluation) => Constant

/** Each under the name of its operator. */
export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['Constant', constant],
  ['ConstantOfShape', constantOfShape],
  ['Identity', (evaluation) => input(evaluation, 0)],
  ['Cast', cast],
  ['Expand', expand],
  ['Flatten', flatten],
  ['Reshape', reshape],
  ['Squeeze', squeeze],
  ['Transpose', transpose],
  ['Unsqueeze', unsqueeze],
])

function constant({ name, node, refused }: Evaluation): Constant {
  const tensor = attributeOf(node, 'value', 'tensor')?.t
  if (tensor !== undefined) return storedConstant(name, tensor)
  const sparse = attributeOf(node, 'sparse_value', 'sparseTensor')?.sparseTensor
  if (sparse !== undefined) return denseConstant(name, sparse)
  const float = attributeOf(node, 'value_float', 'float')?.f
  if (float !== undefined) return scalar(float, dataTypes.float32)
  const floats = attributeOf(node, 'value_floats', 'floats')?.floats
  if (floats !== undefined) return vector(floats, dataTypes.float32)
  const int = attributeOf(node, 'value_int', 'int')?.i
  if (int !== undefined) return scalar(Number(int), dataTypes.int64)
  const ints = integersOf(node, 'value_ints')
  if (ints !== undefined) return vector(ints, dataTypes.int64)
  throw refused('its Constant holds no numbers')
}

function scalar(value: number, dataType: number): Constant {
  return { dims: [], dataType, values: Float64Array.of(value) }
}

function vector(values: readonly number[], dataType: number): Constant {
  return { dims: [values.length], dataType, values: Float64Array.from(values) }
}

function constantOfShape(evaluation: Evaluation): Constant {
  const { name, node } = evaluation
  const tensor = attributeOf(node, 'value', 'tensor')?.t
  const one = tensor === undefined ? scalar(0, dataTypes.float32) : storedConstant(`value of ${name}`, tensor)
  return repeated(evaluation, one, sizesIn(evaluation, 0))
}

function cast(evaluation: Evaluation): Constant {
  const { node, refused } = evaluation
  const { dims, values } = input(evaluation, 0)
  const dataType = integerOf(node, 'to', 0)
  const rounded = roundings.get(dataType)
  if (rounded === undefined) throw refused(`Cast to data_type ${dataType} makes no batch norm's values`)
  return { dims, dataType, values: values.map(rounded) }
}

const roundings: ReadonlyMap<number, (value: number) => number> = new Map([
  [dataTypes.float32, Math.fround],
  [dataTypes.float64, Number],
  [dataTypes.float16, (value: number) => numberOfHalf(halfOfNumber(value, 'float16'), 'float16')],
  [dataTypes.bfloat16, (value: number) => numberOfHalf(halfOfNumber(value, 'bfloat16'), 'bfloat16')],
  [dataTypes.int32, Math.trunc],
  [dataTypes.int64, Math.trunc],
])

function expand(evaluation: Evaluation): Constant {
  const from = input(evaluation, 0)
  const to = sizesIn(evaluation, 1)
  const rank = Math.max(from.dims.length, to.length)
  const padded = (dims: readonly number[]) => [...Array<number>(rank - dims.length).fill(1), ...dims]
  const wanted = padded(to)
  const dims = padded(from.dims).map((dim, axis) => (wanted[axis] === 1 ? dim : wanted[axis]))
  if (from.values.length === 1) return repeated(evaluation, from, dims)
  return reshaped(evaluation, from, dims)
}

function repeated({ node, refused }: Evaluation, one: Constant, dims: readonly number[]): Constant {
  const size = sizeOf(dims)
  if (one.values.length === 1 && size <= mostChannels) {
    return { dims, dataType: one.dataType, values: new Float64Array(size).fill(one.values[0]) }
  }
  throw refused(
    `${node.opType} of ${one.values.length} values to ${describe(dims)} makes no batch norm's values`,
  )
}

function flatten(evaluation: Evaluation): Constant {
  const from = input(evaluation, 0)
  const axis = integerOf(evaluation.node, 'axis', 1)
  const split = axis < 0 ? axis + from.dims.length : axis
  return reshaped(evaluation, from, [sizeOf(from.dims.slice(0, split)), sizeOf(from.dims.slice(split))])
}

/** 0 copies a size, unless `allowzero` is set; -1 is what remains. */
function reshape(evaluation: Evaluation): Constant {
  const from = input(evaluation, 0)
  const copies = integerOf(evaluation.node, 'allowzero', 0) === 0
  const dims = sizesIn(evaluation, 1).map((dim, axis) =>
    dim === 0 && copies ? (from.dims[axis] ?? Number.NaN) : dim,
  )
  const open = dims.indexOf(-1)
  if (open >= 0) dims[open] = from.values.length / sizeOf(dims.toSpliced(open, 1))
  return reshaped(evaluation, from, dims)
}

function squeeze(evaluation: Evaluation): Constant {
  const from = input(evaluation, 0)
  const axes = axesOf(evaluation, from.dims.length)
  const isLeft = (dim: number, axis: number) => (axes === undefined ? dim !== 1 : !axes.includes(axis))
  return reshaped(evaluation, from, from.dims.filter(isLeft))
}

/** The axes are those of the output. */
function unsqueeze(evaluation: Evaluation): Constant {
  const from = input(evaluation, 0)
  const count = axesOf(evaluation, 0)?.length ?? 0
  const axes = axesOf(evaluation, from.dims.length + count) ?? []
  const dims = [...from.dims]
  for (const axis of axes.toSorted((one, other) => one - other)) dims.splice(axis, 0, 1)
  return reshaped(evaluation, from, dims)
}

/** An attribute, from operator set 13 on an input. */
function axesOf(evaluation: Evaluation, rank: number): number[] | undefined {
  const { node, inputs } = evaluation
  const axes = integersOf(node, 'axes') ?? (inputs[1] && sizesIn(evaluation, 1))
  return axes && axesWithin(evaluation, axes)?.map((axis) => (axis < 0 ? axis + rank : axis))
}

/** Sizes or axes that another tensor holds. */
function sizesIn(evaluation: Evaluation, index: number): number[] {
  return Array.from(axesWithin(evaluation, input(evaluation, index).values))
}

/** What has a number for each axis, and not for more than there can be. */
function axesWithin<Numbers extends ArrayLike<number>>(
  { node, refused }: Evaluation,
  axes: Numbers,
): Numbers {
  if (axes.length <= mostAxes) return axes
  throw refused(`${node.opType} is given ${axes.length} axes, of which a tensor has at most ${mostAxes}`)
}

function transpose(evaluation: Evaluation): Constant {
  const from = input(evaluation, 0)
  const { dims } = from
  const order = integersOf(evaluation.node, 'perm') ?? dims.map((_, axis) => dims.length - 1 - axis)
  const moved = order.filter((axis) => dims[axis] !== 1)
  if (moved.every((axis, index) => index === 0 || moved[index - 1] < axis)) {
    return reshaped(
      evaluation,
      from,
      order.map((axis) => dims[axis] ?? Number.NaN),
    )
  }
  throw evaluation.refused(`Transpose of ${describe(dims)} moves its values, which is not evaluated here`)
}

/** The same values under another shape. */
function reshaped({ node, refused }: Evaluation, from: Constant, dims: readonly number[]): Constant {
  if (sizeOf(dims) === from.values.length) return { ...from, dims }
  throw refused(`${node.opType} cannot make ${describe(dims)} of ${describe(from.dims)}`)
}

function input({ node, inputs, refused }: Evaluation, index: number): Constant {
  const constant = inputs[index]
  if (constant === undefined) throw refused(`${node.opType} lacks an input: is the file damaged?`)
  return constant
}
