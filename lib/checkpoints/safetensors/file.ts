import { has } from '../../checks/copies.ts'
import { describe, invalidType, invalidValue } from '../../checks/errors.ts'
import type { Tensor, TensorData } from '../../tensor/tensor.ts'
import { type Contents, contentsOf } from './contents.ts'
import type { Metadata } from './header.ts'
import { beginsAsJson } from './other-formats.ts'
import { contentsOfIndex } from './shards.ts'
import { fileSource, memorySource } from './source.ts'
import type { StoredTensor } from './stored-tensor.ts'

const brand: unique symbol = Symbol.for('batchnorm.SafetensorsFile')

/** Whether it is an open file, of this copy of the library or another. */
export function isSafetensorsFile(value: unknown): value is SafetensorsFile {
  return has(brand, value)
}

/**
 * A safetensors file that is open for reading, or all shards of a checkpoint as one. The headers have been
 * read and checked; the values of a tensor are read when they are asked for.
 */
export class SafetensorsFile {
  /** The path; `'the bytes'` for bytes in memory. */
  readonly name: string
  /** Text by key, as the header has it under `__metadata__`; of shards, what the index has. */
  readonly metadata: Metadata
  /** All tensors by their keys, in the order of the header, or of the index. */
  readonly tensors: ReadonlyMap<string, StoredTensor>

  readonly #close: () => void

  /** For `loadSafetensors` and `decodeSafetensors`. */
  constructor({ name, metadata, tensors, close }: Contents) {
    this.name = name
    this.metadata = metadata
    this.tensors = tensors
    this.#close = close
  }

  /** @internal */
  get [brand](): true {
    return true
  }

  /**
   * Reads a tensor, into memory of its own.
   *
   * @throws RangeError for a key that is not there, TypeError for a type that a `Tensor` cannot have
   */
  get(key: string): Tensor<TensorData> {
    const stored = this.tensors.get(key)
    if (stored === undefined) {
      const keys = describe([...this.tensors.keys()])
      throw invalidValue('key', `that of a tensor of ${this.name}`, key, `it has ${keys}`)
    }
    return stored.read()
  }

  /** Lets go of the file; what was read stays. */
  close(): void {
    this.#close()
  }

  /** `using file = loadSafetensors(path)` closes it at the end of the block. */
  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * Opens a safetensors file: reads and checks its header, and each tensor when it is asked for. Of a checkpoint
 * in shards it is given the index, `model.safetensors.index.json`, and opens the shards beside it.
 *
 * ```ts
 * using file = loadSafetensors('model.safetensors')
 * const weight = file.get('fc1.weight')
 * ```
 *
 * @throws what `fs.openSync` throws; RangeError or TypeError that names file and tensor for a file
 * that is truncated, not valid or of another format, and for an index that its shards do not fit
 */
export function loadSafetensors(path: string): SafetensorsFile {
  if (typeof path !== 'string') {
    const fix = ArrayBuffer.isView(path) ? 'decodeSafetensors(bytes) reads bytes in memory' : ''
    throw invalidType('path', 'a string', path, fix)
  }
  const source = fileSource(path)
  return new SafetensorsFile(beginsAsJson(source) ? contentsOfIndex(source) : contentsOf(source))
}

/**
 * The same for bytes in memory, which must not change while the file is in use.
 *
 * @throws RangeError or TypeError for bytes that are not a valid safetensors file
 */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsFile {
  if (!(ArrayBuffer.isView(bytes) && bytes[Symbol.toStringTag] === 'Uint8Array')) {
    throw invalidType('bytes', 'a Uint8Array', bytes)
  }
  return new SafetensorsFile(contentsOf(memorySource(bytes)))
}
