import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { positiveInteger } from '../../checks/scalars.ts'
import { BatchNorm1d } from '../../modules/batch-norm-1d.ts'
import { BatchNorm2d } from '../../modules/batch-norm-2d.ts'
import { BatchNorm3d } from '../../modules/batch-norm-3d.ts'
import type { ParameterType } from '../../tensor/data-type.ts'
import { fromConvention } from '../conventions/from-convention.ts'
import type { OnnxParameters } from '../conventions/onnx.ts'
import { shortest } from './float32.ts'
import { attributeTypes, dataTypes, type Graph, type Node, type TensorProto } from './messages.ts'
import { chosenNode, type FoundNode } from './nodes.ts'
import { vectorOf } from './stored-tensor.ts'

export interface FromOnnxOptions {
  /** The name of the node, where the model has several; `findOnnxBatchNorms` lists them. */
  node?: string
  /** How many axes the input has, 2 to 5, where the model does not say. */
  rank?: number
  /** n, to make the running variance unbiased, as that of `fromConvention`. */
  valuesPerChannel?: number
}

const names = optionNames<FromOnnxOptions>({ node: true, rank: true, valuesPerChannel: true })

export interface FromOnnx {
  /**
   * BatchNorm1d for an input of 2 or 3 axes, 2d for 4, 3d for 5; in training mode if the node is. Its
   * `dtype` is `'float64'` for an input of DOUBLE.
   */
  readonly module: BatchNorm1d<ParameterType> | BatchNorm2d<ParameterType> | BatchNorm3d<ParameterType>
  /** As those of `fromConvention`. */
  readonly notes: string[]
}

const modules = [BatchNorm1d, BatchNorm1d, BatchNorm2d, BatchNorm3d]

/**
 * The batch norm of an .onnx file, or one of several, as a module.
 *
 * ```ts
 * const { module, notes } = fromOnnx(readFileSync('model.onnx'), { node: '/layer1/bn1/BatchNormalization' })
 * ```
 *
 * Operator sets 7 and later, in which scale, B, mean and variance are initializers or constants, of
 * FLOAT, DOUBLE, FLOAT16 or BFLOAT16. A node of DOUBLE - by its input, or where the model does not say
 * that, by all four - becomes a float64 module, any other one a float32 module. An attribute is taken for
 * the shortest decimal that float32 rounds to it, so that what `toOnnx` wrote comes back as it was.
 *
 * @throws TypeError or RangeError for bytes that are no ONNX model or are damaged, a node that is not
 * there, and what cannot be said here: `spatial` 0, training outputs before operator set 14, external data
 */
export function fromOnnx(bytes: Uint8Array, options: FromOnnxOptions = {}): FromOnnx {
  const { node, rank, valuesPerChannel } = optionsObject(options, names)
  const found = chosenNode(bytes, node)
  assertMeaning(found)
  const stored = storedOf(found)
  const types = stored.map((tensor) => tensor.dataType)
  const dtype = dtypeOf(found, types)
  const converted = fromConvention('onnx', parametersOf(found, stored), { valuesPerChannel, dtype })
  const { numFeatures, options: settings, state, training } = converted
  const Module = modules[rankOf(found, rank) - 2]
  const module = new Module(numFeatures, settings).train(training)
  module.loadStateDict(state)
  return { module, notes: [...converted.notes, ...notesOfHalves([found.elementType, ...types])] }
}

/** The types of input, scale and B, and of mean and variance may differ, from operator set 15 on. */
function dtypeOf({ elementType }: FoundNode, types: readonly number[]): ParameterType {
  const isDouble = (type: number) => type === dataTypes.float64
  return (elementType === null ? types.every(isDouble) : isDouble(elementType)) ? 'float64' : 'float32'
}

function notesOfHalves(types: readonly (number | null)[]): string[] {
  return (['float16', 'bfloat16'] as const)
    .filter((half) => types.includes(dataTypes[half]))
    .map((half) => `${half.toUpperCase()} becomes float32, which holds it exactly; inputs may be ${half}.`)
}

/** What the operator meant in earlier versions, and does no longer. */
function assertMeaning({ name, node, opset }: FoundNode): void {
  if (!(opset >= 7)) {
    const fix = 'its BatchNormalization has other defaults: convert the model with onnx.version_converter'
    throw invalidValue(`the operator set of ${name}`, '7 or later', opset, fix)
  }
  if (opset < 9 && integer(node, 'spatial', 1) !== 1) {
    throw invalidValue(
      `spatial of ${name}`,
      '1',
      0,
      'it normalizes each position on its own, as no module here',
    )
  }
  if (opset < 14 && node.output.filter((output) => output !== '').length > 1) {
    const fix = 'in training, before operator set 14: export the model for inference'
    throw invalidValue(`the outputs of ${name}`, 'one', node.output, fix)
  }
}

const vectors = ['scale', 'B', 'input_mean', 'input_var']

/** The four vectors. */
function storedOf({ name, node, graph }: FoundNode): TensorProto[] {
  return vectors.map((vector, index) => constant(`${vector} of ${name}`, node.input[index + 1], graph))
}

function parametersOf({ name, node }: FoundNode, stored: readonly TensorProto[]): OnnxParameters {
  const [scale, B, input_mean, input_var] = stored.map((tensor, index) =>
    vectorOf(`${vectors[index]} of ${name}`, tensor),
  )
  return {
    scale,
    B,
    input_mean,
    input_var,
    epsilon: shortest(float(node, 'epsilon', 1e-5)),
    momentum: shortest(float(node, 'momentum', 0.9)),
    training_mode: integer(node, 'training_mode', 0),
  }
}

/** An input that the model carries with it. */
function constant(name: string, input: string | undefined, graph: Graph): TensorProto {
  const stored =
    graph.initializer.find((tensor) => tensor.name === input) ??
    graph.node
      .find(({ opType, output }) => opType === 'Constant' && output[0] === input)
      ?.attribute.find((attribute) => attribute.name === 'value')?.t
  if (input !== undefined && stored !== undefined) return stored
  const fix = 'is it computed in the graph? Simplify the model first'
  throw invalidType(name, 'an initializer or a constant', input, fix)
}

function float(node: Node, name: string, orElse: number): number {
  const attribute = node.attribute.find((each) => each.name === name)
  if (attribute === undefined) return orElse
  if (attribute.type !== attributeTypes.float) throw invalidType(name, 'a FLOAT', `type ${attribute.type}`)
  return attribute.f
}

function integer(node: Node, name: string, orElse: number): number {
  const attribute = node.attribute.find((each) => each.name === name)
  if (attribute === undefined) return orElse
  if (attribute.type !== attributeTypes.int) throw invalidType(name, 'an INT', `type ${attribute.type}`)
  return Number(attribute.i)
}

function rankOf({ name, rank: stored }: FoundNode, given: number | undefined): number {
  if (given !== undefined) positiveInteger('rank', given)
  if (given !== undefined && stored !== null && given !== stored) {
    throw invalidValue('rank', `${stored}, as the model says,`, given, 'leave it out')
  }
  const rank = given ?? stored
  if (rank === null) {
    throw invalidType(
      'rank',
      'given, since the model does not say it,',
      undefined,
      'how many axes has the input?',
    )
  }
  if (rank >= 2 && rank <= 5) return rank
  throw invalidValue(`the input of ${name}`, 'of 2 to 5 axes', rank)
}
