import { existsSync } from 'node:fs'
import { batchNormState, findBatchNorms, keyBelow } from '../checkpoints/batch-norms.ts'
import { foldIntoPrevious } from '../fold/fold-into-previous.ts'
import { BatchNorm1d } from '../modules/batch-norm-1d.ts'
import { loadSafetensors, type SafetensorsFile } from '../safetensors/file.ts'
import { type Savable, saveSafetensors } from '../safetensors/save.ts'
import type { StoredTensor } from '../safetensors/stored-tensor.ts'
import { Tensor } from '../tensor.ts'
import { Failure, orFail } from './failure.ts'
import { table } from './table.ts'

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

/**
 * `batchnorm fold MODEL --into fc1=bn1 -o FILE`: folds batch norms into the layers before them, and
 * writes the checkpoint without them. Every other tensor is copied byte for byte, and the metadata is
 * kept. All or nothing.
 */
export function fold(path: string, { into, output, eps, force }: FoldOptions): string {
  if (existsSync(output) && !force) {
    throw new Failure(`Expected ${output} not to exist but it does (--force writes over it)`)
  }
  return orFail(() => {
    using file = loadSafetensors(path)
    const tensors = new Map<string, Savable>(file.tensors)
    const rows = into.map((pair) => foldPair(file, tensors, pair, eps))
    saveSafetensors(output, tensors, file.metadata)
    return `${table(['layer', 'batch norm', 'features', 'largest weight, before', 'after'], rows)}\nWrote ${output}.`
  })
}

function foldPair(file: SafetensorsFile, tensors: Map<string, Savable>, pair: Pair, eps: number) {
  const state = batchNormState(file, pair.batchNorm)
  const found = findBatchNorms(file).find(({ prefix }) => prefix === pair.batchNorm)
  const weightKey = keyBelow(pair.layer, 'weight')
  const biasKey = keyBelow(pair.layer, 'bias')
  if (!tensors.has(keyBelow(pair.batchNorm, 'running_mean'))) {
    throw new Failure(`Expected each batch norm once but received ${pair.batchNorm} again`, 2)
  }
  const stored = file.tensors.get(weightKey)
  if (found === undefined || stored === undefined) {
    throw new Failure(
      `Expected a tensor ${weightKey} in ${file.name} but it has none (is ${pair.layer} the layer?)`,
    )
  }
  const weight = float32(weightKey, stored)
  const storedBias = file.tensors.get(biasKey)
  const bias = storedBias ? float32(biasKey, storedBias) : null
  const { numFeatures, tensors: parts } = found
  const options = { eps, scale: parts.weight !== undefined, center: parts.bias !== undefined }
  const batchNorm = new BatchNorm1d(numFeatures, options).eval()
  batchNorm.loadStateDict(state)
  const { layer } = foldIntoPrevious({ weight, bias }, batchNorm)
  tensors.set(weightKey, layer.weight)
  tensors.set(biasKey, layer.bias)
  for (const key of Object.keys(parts)) tensors.delete(keyBelow(pair.batchNorm, key))
  const largest = ({ data }: Tensor) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const numbers = [weight, layer.weight].map((each) => largest(each).toPrecision(4))
  return [pair.layer, pair.batchNorm, numFeatures, ...numbers]
}

function float32(key: string, stored: StoredTensor): Tensor {
  const tensor = stored.read()
  if (tensor.data instanceof Float32Array) return new Tensor(tensor.data, tensor.shape)
  throw new Failure(
    `Expected ${key} of type F32 but it is ${stored.type} (convert the file to float32 first)`,
  )
}
