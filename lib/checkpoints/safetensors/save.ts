import { invalidType, invalidValue, wrongLength } from '../../checks/errors.ts'
import { assertReadable } from '../../checks/in-flight.ts'
import { rowMajor } from '../../tensor/row-major.ts'
import { elementCount, type Shape } from '../../tensor/shape.ts'
import { writeWhole } from '../write.ts'
import { alignmentOf, type Storable, typeOf } from './element.ts'
import { checkedMetadata, lengthBytes, type Metadata, metadataKey } from './header.ts'
import { StoredTensor } from './stored-tensor.ts'

/**
 * What can be saved: a tensor (a `Uint16Array` has the bits of its `dtype`, `'bfloat16'` or `'float16'`), or
 * one of another file, which is copied byte for byte whatever its type.
 */
export type Savable = (Storable & { readonly shape: Shape }) | StoredTensor

/** Tensors by their keys: a state dict, a `Map`, or the `tensors` of a file. */
export type Savables = Readonly<Record<string, Savable>> | Iterable<readonly [key: string, tensor: Savable]>

/** A tensor on its way into a file. */
interface Part {
  readonly key: string
  readonly type: string
  readonly shape: Shape
  readonly byteLength: number
  readonly chunks: () => Iterable<Uint8Array>
}

/** Tensors of another file pass through memory in pieces of this size. */
const pieceBytes = 2 ** 26
/** The header ends here, so that the tensors after it are aligned. */
const headerAlignment = 8

/**
 * Writes a safetensors file: wholly, or not at all.
 *
 * ```ts
 * saveSafetensors('model.safetensors', bn.stateDict(), { format: 'pt' })
 * const tensors = new Map<string, Savable>([...file.tensors, ['fc1.weight', weight]])
 * saveSafetensors('copy.safetensors', tensors, file.metadata)
 * ```
 *
 * @param metadata - text by key, kept in the header
 * @throws TypeError or RangeError for what cannot be saved; what `fs.writeSync` throws
 */
export function saveSafetensors(path: string, tensors: Savables, metadata: Metadata = {}): void {
  if (typeof path !== 'string') throw invalidType('path', 'a string', path)
  writeWhole(path, encode(tensors, metadata))
}

/** The same into memory. */
export function encodeSafetensors(tensors: Savables, metadata: Metadata = {}): Uint8Array {
  const chunks = [...encode(tensors, metadata)]
  const bytes = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let position = 0
  for (const chunk of chunks) {
    bytes.set(chunk, position)
    position += chunk.byteLength
  }
  return bytes
}

/** The file in pieces, everything checked before the first of them. */
function encode(tensors: Savables, metadata: Metadata): Iterable<Uint8Array> {
  // The largest elements first, so that each tensor lies at a multiple of its element's size.
  const parts = partsOf(tensors).sort((a, b) => alignmentOf(b.type) - alignmentOf(a.type))
  const header = headerOf(parts, checkedMetadata('metadata', metadata))
  return (function* () {
    yield header
    for (const { chunks } of parts) yield* chunks()
  })()
}

function partsOf(tensors: Savables): Part[] {
  if (typeof tensors !== 'object' || tensors === null)
    throw invalidType('tensors', 'an object of tensors', tensors)
  const isList = Symbol.iterator in tensors && !ArrayBuffer.isView(tensors)
  const entries = isList ? [...tensors] : Object.entries(tensors)
  const keys = new Set<string>()
  return entries.map((entry) => {
    if (!Array.isArray(entry)) throw invalidType('tensors', 'pairs of a key and a tensor', entry)
    const [key, tensor] = entry
    if (typeof key !== 'string') throw invalidType('tensors', 'with strings as keys', key)
    if (key === metadataKey)
      throw invalidValue('tensors', `without the key ${metadataKey}`, key, 'it is reserved')
    if (keys.has(key)) throw invalidValue('tensors', 'without repeated keys', key)
    keys.add(key)
    return tensor instanceof StoredTensor ? storedPart(key, tensor) : partOf(key, tensor)
  })
}

function partOf(key: string, tensor: Exclude<Savable, StoredTensor>): Part {
  const name = `tensors['${key}']`
  if (typeof tensor !== 'object' || tensor === null)
    throw invalidType(name, 'a tensor { data, shape }', tensor)
  const { shape } = tensor
  const type = typeOf(name, tensor)
  const length = elementCount(name, shape)
  const data = rowMajor(name, tensor)
  if (data.length !== length) throw wrongLength(`${name}.data`, data, length, 'its shape')
  assertReadable(name, data)
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { key, type, shape, byteLength: data.byteLength, chunks: () => [bytes] }
}

function storedPart(key: string, tensor: StoredTensor): Part {
  const { type, shape, byteLength } = tensor
  const chunks = function* () {
    for (let begin = 0; begin < byteLength; begin += pieceBytes) {
      yield tensor.bytes(begin, Math.min(begin + pieceBytes, byteLength))
    }
  }
  return { key, type, shape, byteLength, chunks }
}

/** Length and JSON of the header, with spaces at its end. */
function headerOf(parts: readonly Part[], metadata: Metadata): Uint8Array {
  let position = 0
  const entries = parts.map(({ key, type, shape, byteLength }) => {
    const begin = position
    position += byteLength
    return [key, { dtype: type, shape, data_offsets: [begin, position] }]
  })
  const withMetadata = Object.keys(metadata).length > 0 ? [[metadataKey, metadata], ...entries] : entries
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(withMetadata)))
  const length = Math.ceil(json.length / headerAlignment) * headerAlignment
  const header = new Uint8Array(lengthBytes + length).fill(' '.charCodeAt(0))
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, lengthBytes)
  return header
}
