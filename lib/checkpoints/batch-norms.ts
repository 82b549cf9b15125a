/** The batch norms of a whole-model checkpoint, found by PyTorch's keys. */
import { describe, invalidShape, invalidType, invalidValue } from '../checks/errors.ts'
import type { State } from '../modules/state-dict.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor, TensorData } from '../tensor/tensor.ts'
import { assertFloat, isFloat, isReadable } from './safetensors/element.ts'
import { isSafetensorsFile, type SafetensorsFile } from './safetensors/file.ts'
import type { StoredTensor } from './safetensors/stored-tensor.ts'

const keys = [
  'weight',
  'bias',
  'running_mean',
  'running_var',
  'num_batches_tracked',
  'raw_weight',
  'renorm_steps',
] as const
/**
 * The keys of a batch norm's tensors in a state dict, PyTorch's; `raw_weight` with `positiveScale` only, `renorm_steps`
 * with `renorm`.
 */
export type BatchNormKey = (typeof keys)[number]

/** A batch norm that lies in a file. */
export interface StoredBatchNorm {
  /** What stands before its keys: `layer1.0.bn1` for `layer1.0.bn1.running_mean`; `''` for a module's own file. */
  readonly prefix: string
  /** C, the number of channels: the length of `running_mean`. */
  readonly numFeatures: number
  /** Those of its tensors that are there. */
  readonly tensors: Readonly<Partial<Record<BatchNormKey, StoredTensor>>>
  /**
   * Those that no module can load: of another shape than `[numFeatures]`, which is that of `running_mean`, or of
   * a type that is none of floating point, for the counter none of numbers. None in a file that is whole.
   */
  readonly misfits: readonly BatchNormKey[]
}

/** The key of a tensor below a prefix. */
export function keyBelow(prefix: string, key: string): string {
  return prefix === '' ? key : `${prefix}.${key}`
}

/**
 * What stands before the keys of each batch norm, in the order of the keys: of whatever has a `running_mean` and a
 * `running_var`.
 */
export function batchNormPrefixes(keys: Iterable<string>): string[] {
  const there = new Set(keys)
  const prefixes: string[] = []
  for (const key of there) {
    const prefix = key === 'running_mean' ? '' : key.endsWith('.running_mean') ? key.slice(0, -13) : null
    if (prefix !== null && there.has(keyBelow(prefix, 'running_var'))) prefixes.push(prefix)
  }
  return prefixes
}

/** The keys of one batch norm's tensors that are there. */
export function batchNormKeys(prefix: string, has: (key: string) => boolean): BatchNormKey[] {
  return keys.filter((key) => has(keyBelow(prefix, key)))
}

/**
 * Every batch norm of a file, in the order of its keys: whatever has a `running_mean` and a
 * `running_var`. One without running statistics has the keys of a layer norm, and is not found.
 *
 * @throws TypeError for what is not a file
 */
export function findBatchNorms(file: SafetensorsFile): StoredBatchNorm[] {
  if (!isSafetensorsFile(file)) {
    throw invalidType('file', 'a file of loadSafetensors or decodeSafetensors', file)
  }
  const { tensors } = file
  return batchNormPrefixes(tensors.keys()).map((prefix) => {
    const stored = (key: BatchNormKey) => tensors.get(keyBelow(prefix, key)) as StoredTensor
    const own = batchNormKeys(prefix, (key) => tensors.has(key)).map((key) => [key, stored(key)] as const)
    const numFeatures = stored('running_mean').shape[0] ?? 0
    const misfits = own.filter(([each, stored]) => !fits(each, stored, numFeatures)).map(([each]) => each)
    return { prefix, numFeatures, tensors: Object.fromEntries(own), misfits }
  })
}

function fits(key: BatchNormKey, { shape, type }: StoredTensor, numFeatures: number): boolean {
  // A counter is a scalar; of a framework without scalars, or in an ONNX file, a vector of one.
  if (isCounter(key)) return isReadable(type) && (shape.length === 0 || isVector(shape, 1))
  return isFloat(type) && isVector(shape, numFeatures)
}

function isCounter(key: BatchNormKey): boolean {
  return key === 'num_batches_tracked' || key === 'renorm_steps'
}

function isVector(shape: Shape, length: number): boolean {
  return shape.length === 1 && shape[0] === length
}

/** @throws RangeError for a prefix below which there is no batch norm, and for one of tensors that do not fit */
export function findBatchNorm(file: SafetensorsFile, prefix: string): StoredBatchNorm {
  const all = findBatchNorms(file)
  const found = all.find((each) => each.prefix === prefix)
  if (found === undefined) {
    const there = describe(all.map((each) => each.prefix))
    throw invalidValue('prefix', `that of a batch norm of ${file.name}`, prefix, `it has ${there}`)
  }
  for (const key of found.misfits) {
    const { shape, type } = found.tensors[key] as StoredTensor
    const name = `${keyBelow(prefix, key)} of ${file.name}`
    if (!isCounter(key)) assertFloat(name, type)
    // A counter of a type without numbers is refused when it is read.
    else if (!isReadable(type)) continue
    throw invalidShape(name, isCounter(key) ? '[]' : describe([found.numFeatures]), shape)
  }
  return found
}

/**
 * The state of one batch norm of a file, for `loadStateDict`. BF16 and F16 are widened to float32, which
 * changes no value; F64 comes as it is, and `loadStateDict` rounds it to a module's float32. The counter may
 * be an integer of any type.
 *
 * ```ts
 * using file = loadSafetensors('model.safetensors')
 * bn.loadStateDict(batchNormState(file, 'layer1.0.bn1'))
 * ```
 *
 * @throws RangeError for a prefix below which there is no batch norm, and for tensors of another shape;
 * TypeError for types that have no numbers here
 */
export function batchNormState(file: SafetensorsFile, prefix: string): State {
  const { tensors } = findBatchNorm(file, prefix)
  const read = Object.entries(tensors).map(([key, stored]) => [key, stored.numbers()] as const)
  return Object.fromEntries(read) as Record<string, Tensor<TensorData>>
}
