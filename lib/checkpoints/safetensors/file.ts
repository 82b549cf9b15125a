import { describe, invalidType, invalidValue } from '../../checks/errors.ts'
import type { Tensor, TensorData } from '../../tensor/tensor.ts'
import { type Metadata, readHeader } from './header.ts'
import { fileSource, memorySource, type Source } from './source.ts'
import { StoredTensor } from './stored-tensor.ts'

/**
 * A safetensors file that is open for reading. Its header has been read and checked; the values of a
 * tensor are read when they are asked for.
 */
export class SafetensorsFile {
  /** The path; `'the bytes'` for bytes in memory. */
  readonly name: string
  readonly metadata: Metadata
  /** All tensors by their keys, in the order of the header. */
  readonly tensors: ReadonlyMap<string, StoredTensor>

  readonly #source: Source

  /** For `loadSafetensors` and `decodeSafetensors`. */
  constructor(source: Source) {
    const { metadata, entries } = readHeader(source)
    this.name = source.name
    this.metadata = metadata
    this.tensors = new Map([...entries].map(([key, entry]) => [key, new StoredTensor(key, entry, source)]))
    this.#source = source
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
    this.#source.close()
  }

  /** `using file = loadSafetensors(path)` closes it at the end of the block. */
  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * Opens a safetensors file: reads and checks its header, and each tensor when it is asked for.
 *
 * ```ts
 * using file = loadSafetensors('model.safetensors')
 * const weight = file.get('fc1.weight')
 * ```
 *
 * @throws what `fs.openSync` throws; RangeError or TypeError that names file and tensor for a file
 * that is truncated or not valid
 */
export function loadSafetensors(path: string): SafetensorsFile {
  if (typeof path !== 'string') {
    const fix = ArrayBuffer.isView(path) ? 'decodeSafetensors(bytes) reads bytes in memory' : ''
    throw invalidType('path', 'a string', path, fix)
  }
  const source = fileSource(path)
  try {
    return new SafetensorsFile(source)
  } catch (error) {
    source.close()
    throw error
  }
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
  return new SafetensorsFile(memorySource(bytes))
}
