/**
 * Arrays of other libraries that have no `data` with a `shape`, or other elements in it: read by their structure, so
 * that none of them is imported. What lies in one array row by row is not copied.
 */
import { invalidType, invalidValue } from '../checks/errors.ts'
import {
  type DataType,
  dataTypesOf,
  type FloatData,
  type FloatType,
  floatArrays,
  type TensorData,
} from './data-type.ts'
import { rowMajor } from './row-major.ts'
import { elementCount, mostAxes, type Shape } from './shape.ts'

/** A view as of scijs' ndarray or stdlib: `stride` or `strides`, `offset` and `order` say where the elements lie. */
export interface StridedArray {
  readonly data: TensorData
  readonly shape: Shape
  readonly dtype?: string
}

/** A `Matrix` of ml-matrix, or a view of one. */
export interface MatrixLike {
  readonly rows: number
  readonly columns: number
  get(row: number, column: number): number
}

/** A `Vector` of Apache Arrow: of floats, or of lists of a fixed size of them. */
export interface ArrowVector {
  readonly type: { readonly typeId: number }
  readonly length: number
  readonly nullCount: number
  toArray(): unknown
  getChildAt(index: number): ArrowVector | null
}

/** A `Table` or `RecordBatch` of Apache Arrow: each column is a channel. */
export interface ArrowTable {
  readonly numRows: number
  readonly numCols: number
  getChildAt(index: number): ArrowVector | null
}

/** `tf.buffer` of TensorFlow.js. */
export interface ValueBuffer {
  readonly values: FloatData
  readonly shape: Shape
}

/** A tensor of TensorFlow.js, whose values are fetched. */
export interface FetchedTensor {
  readonly shape: Shape
  dataSync(): unknown
}

/** Arrays of other libraries that `tensor` reads. */
export type ForeignArray = StridedArray | MatrixLike | ArrowVector | ArrowTable | ValueBuffer | FetchedTensor

/** Of what is read one by one. */
const mostNumbers = 2 ** 28

interface Read {
  readonly data: FloatData
  readonly shape: Shape
  readonly dtype: DataType | undefined
}

/** Whether `readForeign` knows what it is. */
export function isForeign(value: unknown): value is ForeignArray {
  return typeof value === 'object' && value !== null && readerOf(value) !== undefined
}

/** @throws TypeError or RangeError for what is no such array, and for one that holds no floats */
export function readForeign(value: object): Read {
  const reader = readerOf(value)
  if (reader !== undefined) return reader(value as never)
  throw invalidType('values', 'numbers, a typed array, or an array of a library that is known', value)
}

function readerOf(value: object): ((value: never) => Read) | undefined {
  const isCall = (name: string) => typeof (value as Record<string, unknown>)[name] === 'function'
  if (isCall('dataSync')) return readFetched
  if ('values' in value && ArrayBuffer.isView(value.values)) return readBuffer
  if ('numCols' in value && isCall('getChildAt')) return readTable
  if ('nullCount' in value && isCall('toArray')) return readVector
  if ('rows' in value && 'columns' in value && isCall('get')) return readMatrix
  if ('shape' in value && 'data' in value && ArrayBuffer.isView(value.data)) return readStrided
  return undefined
}

function readStrided(array: StridedArray): Read {
  const data = floats('values.data', rowMajor('values', array))
  // What other libraries call a type means nothing here, but for halves.
  const dtype = data.BYTES_PER_ELEMENT === 2 ? (array.dtype as DataType | undefined) : undefined
  return { data, shape: array.shape, dtype }
}

function readBuffer({ values, shape }: ValueBuffer): Read {
  return { data: floats('values', values), shape, dtype: undefined }
}

function readFetched(tensor: FetchedTensor): Read {
  return { data: floats('values', tensor.dataSync()), shape: tensor.shape, dtype: undefined }
}

function readMatrix(matrix: MatrixLike): Read {
  const { rows, columns } = matrix
  const length = elementCount('values', [rows, columns])
  if (length > mostNumbers) throw invalidValue('values', `at most ${mostNumbers} numbers`, length)
  const data = new Float64Array(length)
  for (let at = 0; at < data.length; at++) data[at] = matrix.get(Math.floor(at / columns), at % columns)
  return { data, shape: [rows, columns], dtype: undefined }
}

/** `Type.Float` and `Type.FixedSizeList` of Arrow's format. */
const [floatId, listId] = [3, 16]

function readVector(vector: ArrowVector): Read {
  const shape = [vector.length]
  let floatsOf = vector
  while (isList(floatsOf) && shape.length <= mostAxes) {
    assertWithoutNulls(floatsOf)
    shape.push((floatsOf.type as { listSize?: number }).listSize ?? 0)
    floatsOf = floatsOf.getChildAt(0) as ArrowVector
  }
  if (!isVector(floatsOf)) throw invalidType('values', 'of Arrow, with all of its parts,', floatsOf)
  assertWithoutNulls(floatsOf)
  if (floatsOf.type?.typeId !== floatId) {
    throw invalidType(
      'values',
      'an Arrow vector of floats, or of lists of a fixed size of them,',
      String(floatsOf.type),
    )
  }
  const data = floats('values', floatsOf.toArray())
  return { data, shape, dtype: data.BYTES_PER_ELEMENT === 2 ? 'float16' : undefined }
}

function isVector(value: unknown): value is ArrowVector {
  return typeof value === 'object' && value !== null && 'type' in value && readerOf(value) === readVector
}

function isList(vector: ArrowVector | null): boolean {
  return isVector(vector) && vector.type?.typeId === listId
}

function assertWithoutNulls({ nullCount }: ArrowVector): void {
  if (nullCount === 0) return
  throw invalidValue('values', 'without nulls', nullCount, 'fill them, or leave those rows out')
}

/** Rows of one value a column. */
function readTable(table: ArrowTable): Read {
  const { numRows, numCols } = table
  const columns: Read[] = []
  for (let index = 0; index < numCols; index++) columns.push(columnOf(table, index))
  const [first] = columns
  const isAlike = ({ data }: Read) => data.constructor === first.data.constructor && data.length === numRows
  if (first === undefined || !columns.every(isAlike)) {
    const arrays = columns.map(({ data }) => data)
    throw invalidType('values', `a table whose columns are ${numRows} floats of one type`, arrays)
  }
  const Kind = first.data.constructor as new (length: number) => FloatData
  const data = new Kind(numRows * columns.length)
  columns.forEach((column, c) => {
    for (let row = 0; row < numRows; row++) data[row * columns.length + c] = column.data[row]
  })
  return { data, shape: [numRows, columns.length], dtype: first.dtype }
}

function columnOf(table: ArrowTable, index: number): Read {
  const column = table.getChildAt(index)
  if (isVector(column)) return readVector(column)
  throw invalidType(`column ${index} of values`, 'a vector of Arrow', column)
}

function floats(name: string, data: unknown): FloatData {
  const [type] = dataTypesOf(data)
  if (type !== undefined && type !== 'int64') return data as FloatData
  throw invalidType(name, 'a Float32Array, Float64Array or Uint16Array (bits of halves)', data)
}

/** Bytes, little-endian, as values of a type: a view where they lie on a multiple of its size, else a copy. */
export function valuesOfBytes(bytes: Uint8Array, dtype: FloatType): FloatData {
  const Kind = floatArrays[dtype]
  const size = Kind.BYTES_PER_ELEMENT
  if (bytes.length % size !== 0) {
    throw invalidValue('values', `of a multiple of ${size} bytes, for ${dtype},`, bytes)
  }
  const isAligned = bytes.byteOffset % size === 0
  const { buffer, byteOffset } = isAligned ? bytes : Uint8Array.from(bytes)
  return new Kind(buffer as ArrayBuffer, byteOffset, bytes.length / size)
}
