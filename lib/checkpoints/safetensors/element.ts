/** The types of elements, as a safetensors file names them, and what they are here. */

import { invalidType } from '../../checks/errors.ts'
import { type DataType, dataTypesOf, type TensorData } from '../../tensor/data-type.ts'
import type { Shape } from '../../tensor/shape.ts'
import { Tensor, tensor } from '../../tensor/tensor.ts'

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
  readonly dtype: DataType
  readonly view: (bytes: ArrayBuffer) => TensorData
}

/** The types that a `Tensor` can have. */
const storages: ReadonlyMap<string, Storage> = new Map<string, Storage>([
  ['F32', { dtype: 'float32', view: (bytes) => new Float32Array(bytes) }],
  ['F64', { dtype: 'float64', view: (bytes) => new Float64Array(bytes) }],
  ['BF16', { dtype: 'bfloat16', view: (bytes) => new Uint16Array(bytes) }],
  ['F16', { dtype: 'float16', view: (bytes) => new Uint16Array(bytes) }],
  ['I64', { dtype: 'int64', view: (bytes) => new BigInt64Array(bytes) }],
])

/** Whether a `Tensor` can have elements of this type. */
export function isReadable(type: string): boolean {
  return storages.has(type)
}

/** The tensor whose bytes `read` gives; it is not called for a type that a `Tensor` cannot have. */
export function tensorOf(
  name: string,
  type: string,
  shape: Shape,
  read: () => ArrayBuffer,
): Tensor<TensorData> {
  const storage = storages.get(type)
  if (storage !== undefined) return new Tensor(storage.view(read()), shape, storage.dtype)
  const readable = [...storages.keys()].join(', ')
  throw invalidType(`dtype of ${name}`, `one of ${readable}`, type, 'bytes() gives it as it is')
}

/** Values on their way into a file; those of a `Uint16Array` are bits, and `dtype` says of what. */
export interface Storable {
  readonly data: TensorData
  readonly dtype?: string
}

/** The type that values are stored as. */
export function typeOf(name: string, { data, dtype }: Storable): string {
  const types = dataTypesOf(data)
  if (types.length === 0) {
    throw invalidType(`${name}.data`, 'a Float32Array, Float64Array, BigInt64Array or Uint16Array', data)
  }
  const own = types.length === 1 ? types[0] : dtype
  for (const [type, storage] of storages) {
    if (storage.dtype === own && types.includes(storage.dtype)) return type
  }
  throw invalidType(`${name}.dtype`, "'bfloat16' or 'float16', for the bits of a Uint16Array,", dtype)
}

/** Values that were rounded to the type of a file, and the numbers that they are now. */
export interface Rounded extends Storable {
  readonly numbers: Float32Array | Float64Array
}

/** Rounds to nearest, ties to even, once: to BF16, F16, F32 or F64. */
export function rounded(type: string, values: Float64Array): Rounded {
  const stored = tensor(values, undefined, { dtype: storages.get(type)?.dtype ?? 'float32' })
  return { ...stored, numbers: stored.numbers() as Float32Array | Float64Array }
}
