/** The layer of a graph whose output a batch norm takes. */
import { describe, quoted } from '../../checks/errors.ts'
import { type CheckedLayer, checkedLayer } from '../../fold/layer.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { floatOf, integerOf } from './attributes.ts'
import type { GraphEdit } from './graph-edit.ts'
import type { Node } from './messages.ts'
import type { FoundNode } from './nodes.ts'
import { isOwn } from './operator-sets.ts'
import type { Constant } from './stored-tensor.ts'
import { isFloating } from './vectors.ts'

/** Why a batch norm stays. */
export class Unfoldable extends Error {}

/** What a check gives; its error is why a batch norm stays. */
export function orUnfoldable<Result>(check: () => Result): Result {
  try {
    return check()
  } catch (error) {
    throw new Unfoldable((error as Error).message)
  }
}

export interface LayerBefore {
  readonly node: Node
  readonly title: string
  /** What adds a constant to the layer's output, if there is such a node. */
  readonly add: Node | null
  readonly weight: Constant
  /** As plain data in float64; its bias is all that is added. */
  readonly layer: CheckedLayer
}

const layers = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul']

/** @throws Unfoldable for another operator, an output that others take too, and parameters that are no constants */
export function layerBefore(edit: GraphEdit, { node: norm, rank }: FoundNode): LayerBefore {
  const last = onlyTaken(edit, norm.input[0])
  const isAdd = last?.opType === 'Add' && isOwn(last.domain)
  const place = isAdd ? last.input.findIndex((input) => isLayer(edit.producerOf(input))) : -1
  const add = place < 0 ? null : (last as Node)
  const node = add === null ? last : onlyTaken(edit, add.input[place])
  if (!isLayer(node)) {
    const before = last === undefined ? `an input of the model` : quoted(last.opType)
    throw new Unfoldable(`before it comes ${before}, and not one of ${layers.join(', ')}`)
  }
  const title = quoted(node.name === '' ? node.output[0] : node.name)
  const weight = constantOf(edit, `the weight of ${title}`, node.input[1])
  const layer = checkedOf(title, node, weight, rank)
  const axes = Math.max(2, weight.dims.length)
  const bias = new Float64Array(layer.outputs)
  const own = node.opType === 'MatMul' ? '' : (node.input[2] ?? '')
  if (own !== '') {
    const { dims, values } = constantOf(edit, `the bias of ${title}`, own)
    // That of a convolution has one axis, the channels.
    const aligned = [...dims, ...Array<number>(axes - 2).fill(1)]
    addTo(bias, title, aligned, values, axes, node.opType === 'Gemm' ? floatOf(node, 'beta', 1) : 1)
  }
  if (add !== null) {
    const { dims, values } = constantOf(edit, `what is added to ${title}`, add.input[1 - place])
    addTo(bias, title, dims, values, axes, 1)
  }
  return { node, title, add, weight, layer: { ...layer, bias } }
}

/** The node that gives a value which nothing else takes. */
function onlyTaken(edit: GraphEdit, value: string): Node | undefined {
  if (edit.usesOf(value) === 1) return edit.producerOf(value)
  throw new Unfoldable(`its input ${quoted(value)} is taken elsewhere too, or is an output of the model`)
}

function isLayer(node: Node | undefined): node is Node {
  return node !== undefined && isOwn(node.domain) && layers.includes(node.opType)
}

function constantOf(edit: GraphEdit, name: string, value: string): Constant {
  const constant = orUnfoldable(() => edit.constants.constant(name, value))
  if (isFloating(constant)) return constant
  throw new Unfoldable(`${name} has data_type ${constant.dataType}`)
}

/** A matrix that lies `[in, out]` is the weight of a transposed convolution whose kernel is one position. */
function checkedOf(title: string, node: Node, { dims, values }: Constant, rank: number | null): CheckedLayer {
  const { opType } = node
  const isConvolution = opType.startsWith('Conv')
  if (!isConvolution && dims.length !== 2) {
    throw new Unfoldable(`the weight of ${title} is no matrix: its shape is ${describe(dims)}`)
  }
  if (opType === 'MatMul' && rank !== 2) {
    const why = rank === null ? 'the model does not say how many axes it has' : `it has ${rank} axes`
    throw new Unfoldable(`${title} may have outputs on another axis than the channels: ${why}`)
  }
  const liesAcross = !isConvolution && integerOf(node, 'transB', 0) === 0
  const weight = new Tensor(values, liesAcross ? [...dims, 1] : dims)
  const transposed = liesAcross || opType === 'ConvTranspose'
  const groups = isConvolution ? integerOf(node, 'group', 1) : 1
  return orUnfoldable(() => checkedLayer(title, { weight, groups, transposed }))
}

/** Adds what is broadcast to `[N, C, ...]` and is the same at every place of a channel. */
function addTo(
  bias: Float64Array,
  title: string,
  dims: readonly number[],
  values: Float64Array,
  axes: number,
  factor: number,
): void {
  const aligned = [...Array<number>(Math.max(0, axes - dims.length)).fill(1), ...dims]
  const isOfChannels = aligned.every((size, axis) => size === 1 || (axis === 1 && size === bias.length))
  if (aligned.length !== axes || !isOfChannels) {
    throw new Unfoldable(`what is added to ${title} is of shape ${describe(dims)}, not one value a channel`)
  }
  for (let c = 0; c < bias.length; c++) bias[c] += factor * values[values.length === 1 ? 0 : c]
}
