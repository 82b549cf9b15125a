/** The types of elements, as a safetensors file names them, and what they are here. */
import { constants } from 'node:buffer'
import { invalidType, invalidValue } from '../../checks/errors.ts'
import { type DataType, dataTypeOf, dataTypesOf, type TensorData } from '../../tensor/data-type.ts'
import { product, type Shape } from '../../tensor/shape.ts'
import { Tensor } from '../../tensor/tensor.ts'

/**
 * The bits of an element, the types in the order in which tensors lie in a file: that of the reference, which
 * has the largest elements first, so that each tensor lies at a multiple of its element's size. A file may
 * have types that are not here: their tensors can be listed and copied, but their sizes cannot be checked.
 */
const bits: ReadonlyMap<string, number> = new Map([
  ...['U64', 'I64', 'F64', 'C64'].map(each(64)),
  ...['F32', 'U32', 'I32'].map(each(32)),
  ...['BF16', 'F16', 'U16', 'I16'].map(each(16)),
  ...['F8_E5M2FNUZ', 'F8_E4M3FNUZ', 'F8_E8M0', 'F8_E4M3', 'F8_E5M2', 'I8', 'U8'].map(each(8)),
  ...['F6_E3M2', 'F6_E2M3'].map(each(6)),
  ['F4', 4],
  ['BOOL', 8],
])
const order: readonly string[] = [...bits.keys()]

function each(size: number): (type: string) => [string, number] {
  return (type) => [type, size]
}

/** How many bits an element has; `undefined` for a type that is not known. */
export function bitsOf(type: string): number | undefined {
  return bits.get(type)
}

/** Where the tensors of a type lie in a file, among those of others; those that are not known come last. */
export function rankOf(type: string): number {
  const rank = order.indexOf(type)
  return rank < 0 ? order.length : rank
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

type Integers = Iterable<number | bigint>

/** The other types of integers, which a `Tensor` has as int64. */
const integers: ReadonlyMap<string, (bytes: ArrayBuffer) => Integers> = new Map<
  string,
  (bytes: ArrayBuffer) => Integers
>([
  ['I32', (bytes) => new Int32Array(bytes)],
  ['I16', (bytes) => new Int16Array(bytes)],
  ['I8', (bytes) => new Int8Array(bytes)],
  ['U64', (bytes) => new BigUint64Array(bytes)],
  ['U32', (bytes) => new Uint32Array(bytes)],
  ['U16', (bytes) => new Uint16Array(bytes)],
  ['U8', (bytes) => new Uint8Array(bytes)],
])

const floats: readonly string[] = [...storages.keys()].filter((type) => storages.get(type)?.dtype !== 'int64')
const readable: readonly string[] = [...storages.keys(), ...integers.keys()]

/** Whether a `Tensor` can have the elements of this type: as they are, or integers as int64. */
export function isReadable(type: string): boolean {
  return readable.includes(type)
}

/** @throws TypeError for a type that is none of floating point, or has no numbers here */
export function assertFloat(name: string, type: string): void {
  if (!isFloat(type)) throw invalidType(`dtype of ${name}`, `one of ${floats.join(', ')}`, type)
}

/** Whether elements of this type are floating point that a `Tensor` can have. */
export function isFloat(type: string): boolean {
  return floats.includes(type)
}

/** @throws RangeError for more elements than one array can have: 2^32 in Node.js 20, whatever their size */
export function assertOneArray(name: string, elements: number, fix: string): void {
  const most = constants.MAX_LENGTH
  if (elements > most) throw invalidValue(name, `of at most ${most} elements, for one array,`, elements, fix)
}

/** The tensor whose bytes `read` gives; it is not called for a type that a `Tensor` cannot have. */
export function tensorOf(
  name: string,
  type: string,
  shape: Shape,
  read: () => ArrayBuffer,
): Tensor<TensorData> {
  if (isReadable(type)) assertOneArray(name, product(shape), 'bytes(begin, end) gives a part of it')
  const storage = storages.get(type)
  if (storage !== undefined) return new Tensor(storage.view(read()), shape, storage.dtype)
  const view = integers.get(type)
  if (view !== undefined) return new Tensor(asInt64(name, view(read())), shape)
  throw invalidType(`dtype of ${name}`, `one of ${readable.join(', ')}`, type, 'bytes() gives it as it is')
}

function asInt64(name: string, values: Integers): BigInt64Array {
  return BigInt64Array.from(values as Iterable<number>, (value: number | bigint) => {
    const integer = BigInt(value)
    if (BigInt.asIntN(64, integer) !== integer) {
      throw invalidValue(name, 'of integers that fit int64', integer, 'bytes() gives it as it is')
    }
    return integer
  })
}

/** Values on their way into a file; those of a `Uint16Array` are bits, and `dtype` says of what. */
export interface Storable {
  readonly data: TensorData
  readonly dtype?: string
}

/** The type that values are stored as. */
export function typeOf(name: string, { data, dtype }: Storable): string {
  if (dataTypesOf(data).length === 0) {
    throw invalidType(`${name}.data`, 'a Float32Array, Float64Array, BigInt64Array or Uint16Array', data)
  }
  const own = dataTypeOf(data, dtype, `${name}.dtype`)
  return [...storages].find(([, storage]) => storage.dtype === own)?.[0] as string
}
