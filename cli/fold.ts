import { type BatchNormKey, findBatchNorm, keyBelow } from '../lib/checkpoints/batch-norms.ts'
import { rounded } from '../lib/checkpoints/safetensors/element.ts'
import { loadSafetensors, type SafetensorsFile } from '../lib/checkpoints/safetensors/file.ts'
import { type Savable, saveSafetensors } from '../lib/checkpoints/safetensors/save.ts'
import type { StoredTensor } from '../lib/checkpoints/safetensors/stored-tensor.ts'
import { channelAffine } from '../lib/fold/eval-affine.ts'
import { foldedWeights } from '../lib/fold/fold-into-previous.ts'
import { assertFinite } from '../lib/fold/layer.ts'
import { Failure, orFail } from './failure.ts'
import { assertFree } from './output.ts'
import { formatTable } from './table.ts'

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
export function fold(path: string, { into, output, eps, force }: FoldOptions): string {
  for (const part of ['layer', 'batchNorm'] as const) assertOnce(into.map((pair) => pair[part]))
  assertFree(output, force)
  return orFail(() => {
    using file = loadSafetensors(path)
    const tensors = new Map<string, Savable>(file.tensors)
    const rows = into.map((pair) => foldPair(file, tensors, pair, eps))
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

function foldPair(file: SafetensorsFile, tensors: Map<string, Savable>, pair: Pair, eps: number) {
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
  if (shape.length < 2 || shape.length > 5 || shape[0] !== numFeatures) {
    throw new Failure(
      `Expected ${weightKey} of shape [${numFeatures}, in, ...], for the ${numFeatures} features of ` +
        `${pair.batchNorm}, but received [${shape.join(', ')}]`,
    )
  }
  if (storedBias !== undefined && !(storedBias.shape.length === 1 && storedBias.shape[0] === numFeatures)) {
    throw new Failure(
      `Expected ${biasKey} of shape [${numFeatures}] but received [${storedBias.shape.join(', ')}]`,
    )
  }
  const part = (key: BatchNormKey) => {
    const tensor = parts[key]
    return tensor && floats(keyBelow(pair.batchNorm, key), tensor)
  }
  const affine = channelAffine({
    mean: part('running_mean') ?? [],
    variance: part('running_var') ?? [],
    weight: part('weight'),
    bias: part('bias'),
    eps,
  })
  const before = floats(weightKey, stored)
  const folded = foldedWeights(before, storedBias ? floats(biasKey, storedBias) : null, affine)
  const biasType = (storedBias ?? stored).type
  const weight = rounded(stored.type, folded.weight)
  const bias = rounded(biasType, folded.bias)
  const types = [...new Set([stored.type, biasType])].join(' and ')
  assertFinite(pair.layer, types, weight.numbers, bias.numbers)
  tensors.set(weightKey, { ...weight, shape })
  tensors.set(biasKey, { ...bias, shape: [numFeatures] })
  for (const key of Object.keys(parts)) tensors.delete(keyBelow(pair.batchNorm, key))
  const rounding = folded.weight.map((value, at) => weight.numbers[at] - value)
  const sizes = [before, weight.numbers, rounding].map((each) => largest(each).toPrecision(3))
  return [pair.layer, pair.batchNorm, numFeatures, stored.type, ...sizes]
}

/** The values of a tensor of floating point, widened where they are of 16 bits. */
function floats(key: string, stored: StoredTensor): Float32Array | Float64Array {
  const { data } = stored.numbers()
  if (!(data instanceof BigInt64Array)) return data
  throw new Failure(`Expected ${key} of type BF16, F16, F32 or F64 but it is ${stored.type}`)
}

function largest(values: Iterable<number>): number {
  let most = 0
  for (const value of values) most = Math.max(most, Math.abs(value))
  return most
}
