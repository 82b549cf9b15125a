import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { positiveInteger } from '../../checks/scalars.ts'
import { BatchNorm1d } from '../../modules/batch-norm-1d.ts'
import { BatchNorm2d } from '../../modules/batch-norm-2d.ts'
import { BatchNorm3d } from '../../modules/batch-norm-3d.ts'
import type { ParameterType } from '../../tensor/data-type.ts'
import { translated } from '../conventions/from-convention.ts'
import { type OnnxParameters, onnx } from '../conventions/onnx.ts'
import { floatOf } from './attributes.ts'
import { Constants } from './constants.ts'
import { shortest } from './float32.ts'
import { dataTypes } from './messages.ts'
import { chosenNode, type FoundNode } from './nodes.ts'
import { trainingOf } from './operator-sets.ts'
import { isPyTorch, notesOfPyTorch, onnxOfPyTorch } from './pytorch.ts'
import type { Constant } from './stored-tensor.ts'
import { vectorsOf } from './vectors.ts'

/** Options of `fromOnnx`. */
export interface FromOnnxOptions {
  /** The name of the node or of its output, where the model has several; `findOnnxBatchNorms` lists them. */
  node?: string
  /** How many axes the input has, 2 to 5, where the model does not say. */
  rank?: number
  /** n, to make the running variance unbiased, as that of `fromConvention`; PyTorch's is unbiased already. */
  valuesPerChannel?: number
}

const names = optionNames<FromOnnxOptions>({ node: true, rank: true, valuesPerChannel: true })

/** A batch norm of an .onnx file. */
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
 * Operator sets 7 and later, in which scale, B, mean and variance are initializers, or what `Identity`, `Cast`,
 * `Reshape` and their like make of constants, of FLOAT, DOUBLE, FLOAT16 or BFLOAT16. An initializer that is an
 * input of the model too is taken as it is stored. A node of DOUBLE - by its input, or where the model does not
 * say that, by all four - becomes a float64 module, any other one a float32 module. An attribute is taken for the
 * shortest decimal that float32 rounds to it, so that what `toOnnx` wrote comes back as it was.
 *
 * @throws TypeError or RangeError for bytes that are no ONNX model or are damaged, a node that is not
 * there, and what cannot be said here: vectors that are computed at run time or lie in another file,
 * `spatial` 0 beside positions, attributes that the operator set does not have
 */
export function fromOnnx(bytes: Uint8Array, options: FromOnnxOptions = {}): FromOnnx {
  const { node, rank: given, valuesPerChannel } = optionsObject(options, names)
  const found = chosenNode(bytes, node)
  const rank = rankOf(found, given)
  const training = trainingOf(found.name, found.node, found.version, rank)
  const stored = vectorsOf(found, new Constants(found.graph))
  const types = stored.map(({ dataType }) => dataType)
  const dtype = dtypeOf(found, types)
  const byPyTorch = isPyTorch(found.producer)
  const convention = byPyTorch ? onnxOfPyTorch : onnx
  const parameters = parametersOf(found, stored, training)
  const converted = translated('onnx', convention, parameters, { valuesPerChannel, dtype })
  const Module = modules[rank - 2]
  const module = new Module(converted.numFeatures, converted.options).train(training)
  module.loadStateDict(converted.state)
  const notes = [
    ...converted.notes,
    ...(byPyTorch ? notesOfPyTorch(module.momentum) : []),
    ...notesOfHalves([found.elementType, ...types]),
  ]
  return { module: module as FromOnnx['module'], notes }
}

/** The statistics may be of another type than the input from operator set 14 on, scale and B from 15 on. */
function dtypeOf({ elementType }: FoundNode, types: readonly number[]): ParameterType {
  const isDouble = (type: number) => type === dataTypes.float64
  return (elementType === null ? types.every(isDouble) : isDouble(elementType)) ? 'float64' : 'float32'
}

function notesOfHalves(types: readonly (number | null)[]): string[] {
  return (['float16', 'bfloat16'] as const)
    .filter((half) => types.includes(dataTypes[half]))
    .map((half) => `${half.toUpperCase()} becomes float32, which holds it exactly; inputs may be ${half}.`)
}

function parametersOf({ node }: FoundNode, stored: readonly Constant[], training: boolean): OnnxParameters {
  const [scale, B, input_mean, input_var] = stored.map(({ dataType, values }) =>
    dataType === dataTypes.float64 ? values : Float32Array.from(values),
  )
  return {
    scale,
    B,
    input_mean,
    input_var,
    epsilon: shortest(floatOf(node, 'epsilon', 1e-5)),
    momentum: shortest(floatOf(node, 'momentum', 0.9)),
    training_mode: training,
  }
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
