/** The types of elements, as a safetensors file names them, and what they are here. */
import { invalidType } from '../errors.ts'
import { type HalfType, halfOfNumber, widened } from '../half.ts'
import type { Shape } from '../shape.ts'
import { Tensor, type TensorData } from '../tensor.ts'

/**
 * The bits of an element. A file may have types that are not here: their tensors can be listed and
 * copied, but their sizes cannot be checked.
 */
const bits: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ...['BOOL', 'U8', 'I8', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'].map(each(8)),
  ...['U16', 'I16', 'F16', 'BF16'].map(each(16)),
  ...['U32', 'I32', 'F32'].map(each(32)),
  ...['U64', 'I64', 'F64', 'C64'].map(each(64)),
])

function each(size: number): (type: string) => [string, number] {
  return (type) => [type, size]
}

/** How many bits an element has; `undefined` for a type that is not known. */
export function bitsOf(type: string): number | undefined {
  return bits.get(type)
}

/** Where an element wants to lie: at a multiple of its size in bytes; anywhere for a type that is not known. */
export function alignmentOf(type: string): number {
  return (bitsOf(type) ?? 0) / 8
}

interface Storage {
  readonly array: 'Float32Array' | 'Float64Array' | 'BigInt64Array'
  readonly view: (bytes: ArrayBuffer) => TensorData
}

/** The types that a `Tensor` can have. */
const storages: ReadonlyMap<string, Storage> = new Map<string, Storage>([
  ['F32', { array: 'Float32Array', view: (bytes) => new Float32Array(bytes) }],
  ['F64', { array: 'Float64Array', view: (bytes) => new Float64Array(bytes) }],
  ['I64', { array: 'BigInt64Array', view: (bytes) => new BigInt64Array(bytes) }],
])

/** The types that are the upper or the shorter half of a float32. */
const halves: ReadonlyMap<string, HalfType> = new Map([
  ['BF16', 'bfloat16'],
  ['F16', 'float16'],
])

/** The tensor whose bytes `read` gives; it is not called for a type that a `Tensor` cannot have. */
export function tensorOf(
  name: string,
  type: string,
  shape: Shape,
  read: () => ArrayBuffer,
): Tensor<TensorData> {
  const storage = storages.get(type)
  if (storage !== undefined) return new Tensor(storage.view(read()), shape)
  const fix = halves.has(type) ? 'numbers() widens it' : 'bytes() gives it as it is'
  throw invalidType(`dtype of ${name}`, `one of ${[...storages.keys()].join(', ')}`, type, fix)
}

/** The same as numbers that are computed with: BF16 and F16 widened to float32, which changes no value. */
export function numbersOf(
  name: string,
  type: string,
  shape: Shape,
  read: () => ArrayBuffer,
): Tensor<TensorData> {
  const half = halves.get(type)
  if (half !== undefined) return new Tensor(widened(new Uint16Array(read()), half), shape)
  if (storages.has(type)) return tensorOf(name, type, shape, read)
  const readable = [...halves.keys(), ...storages.keys()].join(', ')
  throw invalidType(`dtype of ${name}`, `one of ${readable}`, type, 'bytes() gives it as it is')
}

/** Values on their way into a file; those of a `Uint16Array` are bits, and `dtype` says of what. */
export interface Storable {
  readonly data: TensorData | Uint16Array
  readonly dtype?: string
}

/** The type that values are stored as. */
export function typeOf(name: string, { data, dtype }: Storable): string {
  const tag = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : undefined
  for (const [type, { array }] of storages) if (array === tag) return type
  if (tag !== 'Uint16Array') {
    throw invalidType(`${name}.data`, 'a Float32Array, Float64Array, BigInt64Array or Uint16Array', data)
  }
  for (const [type, half] of halves) if (half === dtype) return type
  throw invalidType(`${name}.dtype`, "'bfloat16' or 'float16', for the bits of a Uint16Array,", dtype)
}

/** Values that were rounded to the type of a file, and the numbers that they are now. */
export interface Rounded extends Storable {
  readonly numbers: Float32Array | Float64Array
}

/** Rounds to nearest, ties to even, once: to BF16, F16, F32 or F64. */
export function roundedTo(type: string, values: Float64Array): Rounded {
  if (type === 'F64') return { data: values, numbers: values }
  const half = halves.get(type)
  if (half === undefined) {
    const numbers = Float32Array.from(values)
    return { data: numbers, numbers }
  }
  const data = Uint16Array.from(values, (value) => halfOfNumber(value, half))
  return { data, dtype: half, numbers: widened(data, half) }
}
