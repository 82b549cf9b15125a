import { describe, invalidType, invalidValue } from '../../checks/errors.ts'
import { printable } from '../../checks/printable.ts'
import { type HalfType, halfOfNumber, numberOfHalf } from '../../tensor/half.ts'
import { mostAxes } from '../../tensor/shape.ts'
import { dataTypes, type TensorProto } from './messages.ts'

/** A tensor that a model carries with it. */
export interface Constant {
  readonly dims: readonly number[]
  /** One of `dataTypes`. */
  readonly dataType: number
  /** float64 holds each type exactly, but for integers beyond 2^53, which are no sizes. */
  readonly values: Float64Array
}

/** How many values a tensor of these sizes has; NaN where one of them is no size, and for too many of them. */
export function sizeOf(dims: readonly number[]): number {
  const isSize = (dim: number) => Number.isSafeInteger(dim) && dim >= 0
  return dims.length <= mostAxes && dims.every(isSize)
    ? dims.reduce((size, dim) => size * dim, 1)
    : Number.NaN
}

/**
 * @param name - how errors call the tensor
 * @throws TypeError for a type that is not known here, and for values that lie in another file; RangeError for
 * values that are stored twice, or are not as many as the shape says
 */
export function storedConstant(name: string, tensor: TensorProto): Constant {
  const { dataType, rawData } = tensor
  assertInFile(name, tensor)
  const format = formats.get(dataType)
  if (format === undefined) {
    throw invalidType(`the type of ${name}`, known, `data_type ${dataType}`)
  }
  const filled = Object.entries(fields).filter(([field]) => tensor[field as keyof typeof fields].length > 0)
  if (filled.length > 1) {
    const fix = 'which of them are its values?'
    const names = filled.map(([, name]) => name)
    throw invalidValue(name, 'stored once', names, fix)
  }
  const dims = tensor.dims.map(Number)
  const isRaw = rawData.length > 0
  const [received, count] = isRaw
    ? [rawData, rawData.length / format.bytes]
    : [tensor[format.list], tensor[format.list].length]
  if (count !== sizeOf(dims)) {
    const [factor, unit] = isRaw ? [format.bytes, 'bytes'] : [1, 'values']
    const expected = `of ${sizeOf(dims) * factor} ${unit}, for its shape ${describe(dims)},`
    throw invalidValue(name, expected, received, 'is the file damaged?')
  }
  const values = isRaw ? ofBytes(rawData, format) : Float64Array.from(tensor[format.list], format.fromList)
  return { dims, dataType, values }
}

/** @throws TypeError for a tensor whose values lie in another file */
export function assertInFile(name: string, { dataLocation }: TensorProto): void {
  if (dataLocation === 0) return
  throw new TypeError(
    `Expected ${printable(name)} to lie in the file itself but received one in external data (save the model in one file: ` +
      'onnx.save with save_as_external_data=False)',
  )
}

/** Values as `rawData` of a type among `dataTypes`, each rounded once. */
export function rawBytes(values: ArrayLike<number>, dataType: number): Uint8Array {
  const { bytes, toBytes } = formats.get(dataType) as Format
  const raw = new Uint8Array(values.length * bytes)
  const view = new DataView(raw.buffer)
  for (let index = 0; index < values.length; index++) toBytes(view, index * bytes, values[index])
  return raw
}

/** Values as a model holds them in a type among `dataTypes`. */
export function roundedTo(dataType: number, values: ArrayLike<number>): Float64Array {
  return ofBytes(rawBytes(values, dataType), formats.get(dataType) as Format)
}

/** Where values can be: each field under its name in the file. */
const fields = {
  rawData: 'raw_data',
  floatData: 'float_data',
  int32Data: 'int32_data',
  int64Data: 'int64_data',
  doubleData: 'double_data',
}

interface Format {
  /** Of an element. */
  readonly bytes: number
  readonly fromBytes: (view: DataView, at: number) => number
  readonly toBytes: (view: DataView, at: number, value: number) => void
  readonly list: Exclude<keyof typeof fields, 'rawData'>
  readonly fromList: (item: number | bigint) => number
}

const known = 'float32, float64, float16, bfloat16, int32 or int64'

const formats: ReadonlyMap<number, Format> = new Map<number, Format>([
  [
    dataTypes.float32,
    {
      bytes: 4,
      fromBytes: (view, at) => view.getFloat32(at, true),
      toBytes: (view, at, value) => view.setFloat32(at, value, true),
      list: 'floatData',
      fromList: Number,
    },
  ],
  [
    dataTypes.float64,
    {
      bytes: 8,
      fromBytes: (view, at) => view.getFloat64(at, true),
      toBytes: (view, at, value) => view.setFloat64(at, value, true),
      list: 'doubleData',
      fromList: Number,
    },
  ],
  [dataTypes.float16, ofBits('float16')],
  [dataTypes.bfloat16, ofBits('bfloat16')],
  [
    dataTypes.int32,
    {
      bytes: 4,
      fromBytes: (view, at) => view.getInt32(at, true),
      toBytes: (view, at, value) => view.setInt32(at, value, true),
      list: 'int32Data',
      fromList: Number,
    },
  ],
  [
    dataTypes.int64,
    {
      bytes: 8,
      fromBytes: (view, at) => Number(view.getBigInt64(at, true)),
      toBytes: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
      list: 'int64Data',
      fromList: Number,
    },
  ],
])

/** A format of 16 bits; in a list, each of them lies in an int32. */
function ofBits(half: HalfType): Format {
  return {
    bytes: 2,
    fromBytes: (view, at) => numberOfHalf(view.getUint16(at, true), half),
    toBytes: (view, at, value) => view.setUint16(at, halfOfNumber(value, half), true),
    list: 'int32Data',
    fromList: (bits) => numberOfHalf(Number(bits) & 0xffff, half),
  }
}

function ofBytes(bytes: Uint8Array, format: Format): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Float64Array.from({ length: bytes.length / format.bytes }, (_, index) =>
    format.fromBytes(view, index * format.bytes),
  )
}
