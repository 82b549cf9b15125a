/**
 * The header of a safetensors file: 8 bytes with its length, little-endian; then JSON in UTF-8 that
 * says type, shape and place of each tensor; then their bytes, without gaps.
 * https://github.com/huggingface/safetensors#format
 *
 * A file comes from anywhere, so everything in it is checked here: whatever passes can be read.
 */
import { describe, invalidType, invalidValue, quoted } from '../../checks/errors.ts'
import { elementCount, type Shape } from '../../tensor/shape.ts'
import { bitsOf } from './element.ts'
import { assertText, isObject, longestHeader, parseObject } from './json.ts'
import { otherFormatError } from './other-formats.ts'
import type { Source } from './source.ts'

/** Text by key, for people and programs; nothing in it changes what the tensors mean. */
export type Metadata = Readonly<Record<string, string>>

/** A tensor in a file; `begin` and `end` count bytes from the start of the file. */
export interface Entry {
  /** The type of an element as the format names it, such as `'F32'`. */
  readonly type: string
  readonly shape: Shape
  readonly begin: number
  readonly end: number
}

interface Header {
  readonly metadata: Metadata
  readonly entries: ReadonlyMap<string, Entry>
}

export const lengthBytes = 8
/** The key of the metadata, beside those of the tensors. */
export const metadataKey = '__metadata__'

/** @throws RangeError or TypeError that names the file, the tensor and what is wrong with it */
export function readHeader(source: Source): Header {
  const { name, size } = source
  const { start, header } = parse(source)
  const entries = new Map<string, Entry>()
  for (const [key, value] of Object.entries(header)) {
    if (key === metadataKey) continue
    const tensor = tensorName(key, name)
    assertText(`the name of ${tensor}`, key)
    entries.set(key, entryOf(value, tensor, start, size))
  }
  assertGapless(entries, name, start, size)
  const metadata = Object.hasOwn(header, metadataKey) ? header[metadataKey] : {}
  return { metadata: checkedMetadata(`${name}: ${metadataKey}`, metadata), entries }
}

/** The JSON of the header, and where the data begin. */
function parse(source: Source): { start: number; header: Record<string, unknown> } {
  const { name, size } = source
  try {
    if (size < lengthBytes) {
      throw invalidValue(name, 'a safetensors file, of at least 8 bytes,', size, 'is it truncated?')
    }
    const length = lengthOf(source)
    const header = parseObject(source.read(lengthBytes, length), `the header of ${name}`)
    return { start: lengthBytes + length, header }
  } catch (error) {
    throw otherFormatError(source) ?? error
  }
}

/** How an error calls a tensor of a file. */
export function tensorName(key: string, file: string): string {
  return `tensor ${quoted(key)} of ${file}`
}

function lengthOf({ name, size, read }: Source): number {
  const length = new DataView(read(0, lengthBytes)).getBigUint64(0, true)
  const field = `the header length of ${name}`
  const fix = 'is it a safetensors file?'
  if (length > longestHeader) throw invalidValue(field, `at most ${longestHeader} bytes`, length, fix)
  const rest = size - lengthBytes
  if (length > rest)
    throw invalidValue(field, `at most ${rest}, the bytes that follow,`, length, 'is it truncated?')
  return Number(length)
}

/** Metadata that is valid: an object of strings. */
export function checkedMetadata(owner: string, metadata: unknown): Metadata {
  if (!isObject(metadata)) throw invalidType(owner, 'an object of strings', metadata)
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw invalidType(`${owner}.${key}`, 'a string', value)
    for (const text of [key, value]) assertText(`${owner}.${key}`, text)
  }
  return metadata as Metadata
}

function entryOf(value: unknown, name: string, start: number, size: number): Entry {
  if (!isObject(value)) throw invalidType(name, 'an object { dtype, shape, data_offsets }', value)
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string') throw invalidType(`dtype of ${name}`, 'a string', dtype)
  if (!(Array.isArray(shape) && shape.every(isSize))) {
    throw invalidValue(`shape of ${name}`, 'an array of non-negative integers', shape)
  }
  if (
    !(Array.isArray(offsets) && offsets.length === 2 && offsets.every(isSize) && offsets[0] <= offsets[1])
  ) {
    throw invalidValue(`data_offsets of ${name}`, '[begin, end] in bytes, begin at most end,', offsets)
  }
  const [begin, end] = offsets
  const room = size - start
  if (end > room) {
    throw invalidValue(`data_offsets of ${name}`, `within ${room} bytes of data`, offsets, 'is it truncated?')
  }
  const count = elementCount(name, shape)
  const bits = bitsOf(dtype)
  // A product that is too large to be exact is larger than any file, so it is not equal either.
  if (bits !== undefined && count * bits !== (end - begin) * 8) {
    const expected = `${(count * bits) / 8} bytes, for ${dtype} of shape ${describe(shape)},`
    throw invalidValue(name, expected, `${end - begin} bytes`)
  }
  return { type: dtype, shape, begin: start + begin, end: start + end }
}

/** The tensors must fill the data, each byte used once. */
function assertGapless(entries: ReadonlyMap<string, Entry>, file: string, start: number, size: number): void {
  const inOrder = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let position = start
  let previous = 'the header'
  for (const [key, { begin, end }] of inOrder) {
    const name = tensorName(key, file)
    if (begin !== position) {
      const fix = begin < position ? 'tensors must not overlap' : 'there must be no gap'
      throw invalidValue(name, `at ${position - start}, right after ${previous},`, begin - start, fix)
    }
    position = end
    previous = quoted(key)
  }
  if (position !== size) {
    throw invalidValue(
      file,
      `${position} bytes long, up to the end of ${previous},`,
      size,
      'was something appended?',
    )
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
