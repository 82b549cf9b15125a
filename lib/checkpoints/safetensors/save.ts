import { Buffer } from 'node:buffer'
import { TextEncoder } from 'node:util'
import { invalidType, invalidValue, wrongLength } from '../../checks/errors.ts'
import { assertReadable } from '../../checks/in-flight.ts'
import { rowMajor } from '../../tensor/row-major.ts'
import { elementCount, type Shape } from '../../tensor/shape.ts'
import { writeWhole } from '../write.ts'
import { assertOneArray, rankOf, type Storable, typeOf } from './element.ts'
import { checkedMetadata, lengthBytes, type Metadata, metadataKey } from './header.ts'
import { assertText, longestHeader } from './json.ts'
import { isStoredTensor, type StoredTensor } from './stored-tensor.ts'

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

/** Tensors of another file pass through memory in pieces of this size, and no view is of more. */
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
  writeWhole(path, encode(tensors, metadata).chunks)
}

/**
 * The same into memory.
 *
 * @throws TypeError or RangeError for what cannot be saved, or is more than an array can have: 4 GiB in Node.js 20
 */
export function encodeSafetensors(tensors: Savables, metadata: Metadata = {}): Uint8Array {
  const { byteLength, chunks } = encode(tensors, metadata)
  assertOneArray('the bytes of the file', byteLength, 'saveSafetensors writes any number of them')
  const bytes = new Uint8Array(byteLength)
  let position = 0
  for (const chunk of chunks) {
    bytes.set(chunk, position)
    position += chunk.byteLength
  }
  return bytes
}

/** By type, then by the bytes of the key: as the reference writes them, so that a file here is the same file there. */
function inOrder(parts: readonly Part[]): Part[] {
  return parts
    .map((part) => ({ part, rank: rankOf(part.type), key: Buffer.from(part.key) }))
    .sort((a, b) => a.rank - b.rank || Buffer.compare(a.key, b.key))
    .map(({ part }) => part)
}

/** The file in pieces, everything checked before the first of them. */
function encode(
  tensors: Savables,
  metadata: Metadata,
): { readonly byteLength: number; readonly chunks: Iterable<Uint8Array> } {
  const parts = inOrder(partsOf(tensors))
  const header = headerOf(parts, checkedMetadata('metadata', metadata))
  const byteLength = parts.reduce((sum, part) => sum + part.byteLength, header.byteLength)
  const chunks = (function* () {
    yield header
    for (const { chunks } of parts) yield* chunks()
  })()
  return { byteLength, chunks }
}

function partsOf(tensors: Savables): Part[] {
  if (typeof tensors !== 'object' || tensors === null)
    throw invalidType('tensors', 'an object of tensors', tensors)
  const isList = Symbol.iterator in tensors && !ArrayBuffer.isView(tensors)
  const entries: Iterable<readonly [string, Savable]> = isList ? tensors : Object.entries(tensors)
  const keys = new Set<string>()
  return Array.from(entries, (entry) => {
    if (!Array.isArray(entry)) throw invalidType('tensors', 'pairs of a key and a tensor', entry)
    const [key, tensor] = entry
    if (typeof key !== 'string') throw invalidType('tensors', 'with strings as keys', key)
    if (key === metadataKey)
      throw invalidValue('tensors', `without the key ${metadataKey}`, key, 'it is reserved')
    assertText('the keys of tensors', key)
    if (keys.has(key)) throw invalidValue('tensors', 'without repeated keys', key)
    keys.add(key)
    return isStoredTensor(tensor) ? storedPart(key, tensor) : partOf(key, tensor)
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
  const { buffer, byteOffset, byteLength } = data
  const chunks = () =>
    pieces(byteLength, (begin, end) => new Uint8Array(buffer, byteOffset + begin, end - begin))
  return { key, type, shape, byteLength, chunks }
}

function storedPart(key: string, tensor: StoredTensor): Part {
  const { type, shape, byteLength } = tensor
  const chunks = () => pieces(byteLength, (begin, end) => tensor.bytes(begin, end))
  return { key, type, shape, byteLength, chunks }
}

function* pieces(
  byteLength: number,
  piece: (begin: number, end: number) => Uint8Array,
): Iterable<Uint8Array> {
  for (let begin = 0; begin < byteLength; begin += pieceBytes) {
    yield piece(begin, Math.min(begin + pieceBytes, byteLength))
  }
}

/** Length and JSON of the header, with spaces at its end. */
function headerOf(parts: readonly Part[], metadata: Metadata): Uint8Array {
  let position = 0
  const entries = parts.map(({ key, type, shape, byteLength }) => {
    const begin = position
    position += byteLength
    return memberOf(key, { dtype: type, shape, data_offsets: [begin, position] })
  })
  const members = Object.keys(metadata).length > 0 ? [memberOf(metadataKey, metadata), ...entries] : entries
  const json = new TextEncoder().encode(`{${members.join(',')}}`)
  const length = Math.ceil(json.length / headerAlignment) * headerAlignment
  if (length > longestHeader) {
    const fix = 'fewer tensors, shorter keys or less metadata'
    throw invalidValue(
      'the header',
      `at most ${longestHeader} bytes, which is what readers take,`,
      length,
      fix,
    )
  }
  const header = new Uint8Array(lengthBytes + length).fill(' '.charCodeAt(0))
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, lengthBytes)
  return header
}

/** A member of a JSON object, which as a property of a JavaScript object would come first if its key is a number. */
function memberOf(key: string, value: unknown): string {
  return `${JSON.stringify(key)}:${JSON.stringify(value)}`
}
