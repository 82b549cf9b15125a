import { type BatchNormKey, findBatchNorm, keyBelow } from '../lib/checkpoints/batch-norms.ts'
import { loadSafetensors, type SafetensorsFile } from '../lib/checkpoints/safetensors/file.ts'
import { type Savable, saveSafetensors } from '../lib/checkpoints/safetensors/save.ts'
import type { StoredTensor } from '../lib/checkpoints/safetensors/stored-tensor.ts'
import { channelAffine } from '../lib/fold/eval-affine.ts'
import { foldedWeights } from '../lib/fold/fold-into-previous.ts'
import { checkedLayer } from '../lib/fold/layer.ts'
import { assertFinite, roundedWeights } from '../lib/fold/new-weights.ts'
import { numbersOf } from '../lib/fold/values.ts'
import type { FloatData } from '../lib/tensor/data-type.ts'
import type { Tensor } from '../lib/tensor/tensor.ts'
import { Failure, orFail } from './failure.ts'
import { assertFree } from './output.ts'
import { formatTable } from './table.ts'
import { weightAxesOf } from './weight-axes.ts'

/** A layer and the batch norm behind it, by their prefixes. */
export interface Pair {
  readonly layer: string
  readonly batchNorm: string
}

export interface FoldOptions {
  readonly into: readonly Pair[]
  readonly output: string
  readonly eps: number
  readonly force: boolean
  /** The layers that are transposed convolutions, by their prefixes; `undefined`: nobody said. */
  readonly transposed?: readonly string[]
}

const titles = [
  'layer',
  'batch norm',
  'features',
  'type',
  'largest weight, before',
  'after',
  'largest rounding',
]

/**
 * `batchnorm fold MODEL --into fc1=bn1 -o FILE`: folds batch norms into the layers before them, and
 * writes the checkpoint without them. Computed in float64 and rounded once, to the type that the layer
 * has in the file. Every other tensor is copied byte for byte, and the metadata is kept. All or nothing.
 */
export function fold(path: string, { into, output, eps, force, transposed }: FoldOptions): string {
  for (const part of ['layer', 'batchNorm'] as const) assertOnce(into.map((pair) => pair[part]))
  assertAmong(transposed ?? [], into)
  assertFree(output, force)
  return orFail(() => {
    using file = loadSafetensors(path)
    const tensors = new Map<string, Savable>(file.tensors)
    const rows = into.map((pair) => foldPair(file, tensors, pair, eps, transposed))
    saveSafetensors(output, tensors, file.metadata)
    return `${formatTable(titles, rows)}\nWrote ${output}.`
  })
}

function assertOnce(prefixes: readonly string[]): void {
  const again = prefixes.find((prefix, index) => prefixes.indexOf(prefix) < index)
  if (again !== undefined) {
    throw new Failure(`Expected each layer and batch norm once but received ${again} again`, 2)
  }
}

function assertAmong(transposed: readonly string[], into: readonly Pair[]): void {
  const stray = transposed.find((prefix) => into.every(({ layer }) => layer !== prefix))
  if (stray !== undefined) {
    throw new Failure(`Expected --transposed to name a layer of --into but received ${stray}`, 2)
  }
}

function foldPair(
  file: SafetensorsFile,
  tensors: Map<string, Savable>,
  pair: Pair,
  eps: number,
  transposed: readonly string[] | undefined,
) {
  const { numFeatures, tensors: parts } = findBatchNorm(file, pair.batchNorm)
  const weightKey = keyBelow(pair.layer, 'weight')
  const biasKey = keyBelow(pair.layer, 'bias')
  const stored = file.tensors.get(weightKey)
  const storedBias = file.tensors.get(biasKey)
  if (stored === undefined) {
    throw new Failure(
      `Expected a tensor ${weightKey} in ${file.name} but it has none (is ${pair.layer} the layer?)`,
    )
  }
  const { shape } = stored
  const { layer: prefix, batchNorm } = pair
  const axes = weightAxesOf({ prefix, key: weightKey, shape, batchNorm, numFeatures }, transposed)
  if (storedBias !== undefined && !(storedBias.shape.length === 1 && storedBias.shape[0] === numFeatures)) {
    throw new Failure(
      `Expected ${biasKey} of shape [${numFeatures}] but received [${storedBias.shape.join(', ')}]`,
    )
  }
  const part = (key: BatchNormKey) => {
    const [name, tensor] = [keyBelow(batchNorm, key), parts[key]]
    return tensor && numbersOf(name, floats(name, tensor)).numbers
  }
  const affine = channelAffine({
    mean: part('running_mean') ?? [],
    variance: part('running_var') ?? [],
    weight: part('weight'),
    bias: part('bias'),
    eps,
  })
  const weight = floats(weightKey, stored)
  const layer = checkedLayer(prefix, { weight, bias: storedBias && floats(biasKey, storedBias), ...axes })
  const exact = foldedWeights(layer, affine)
  const folded = roundedWeights(layer, exact.weight, exact.bias)
  assertFinite(layer, folded, [stored.type, (storedBias ?? stored).type])
  tensors.set(weightKey, folded.weight)
  tensors.set(biasKey, folded.bias)
  for (const key of Object.keys(parts)) tensors.delete(keyBelow(batchNorm, key))
  const { numbers: after } = numbersOf(weightKey, folded.weight)
  const rounding = exact.weight.map((value, at) => after[at] - value)
  const sizes = [layer.weight, after, rounding].map((each) => largest(each).toPrecision(3))
  return [prefix, batchNorm, numFeatures, stored.type, ...sizes]
}

/** A tensor of floating point. */
function floats(key: string, stored: StoredTensor): Tensor<FloatData> {
  const tensor = stored.read()
  if (!(tensor.data instanceof BigInt64Array)) return tensor as Tensor<FloatData>
  throw new Failure(`Expected ${key} of type BF16, F16, F32 or F64 but it is ${stored.type}`)
}

function largest(values: Iterable<number>): number {
  let most = 0
  for (const value of values) most = Math.max(most, Math.abs(value))
  return most
}
