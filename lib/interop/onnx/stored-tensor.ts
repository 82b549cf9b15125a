import { describe, invalidShape, invalidType, invalidValue } from '../../checks/errors.ts'
import { type HalfType, numberOfHalf } from '../../tensor/half.ts'
import { dataTypes, type TensorProto } from './messages.ts'

/**
 * The values of a tensor of one axis, in float32; of a float64 tensor in float64. float16 and bfloat16
 * become float32, which holds them exactly.
 *
 * @param name - how errors call it
 * @throws TypeError for another type, and for values that lie in another file; RangeError for another
 * shape, and for values that are not as many as the shape says
 */
export function vectorOf(name: string, tensor: TensorProto): Float32Array | Float64Array {
  if (tensor.dataLocation !== 0) {
    throw new TypeError(
      `Expected ${name} to lie in the file itself but received one in external data (save the model in one file: ` +
        'onnx.save with save_as_external_data=False)',
    )
  }
  const shape = tensor.dims.map(Number)
  if (shape.length !== 1) throw invalidShape(name, '[C]', shape)
  const format = formats.get(tensor.dataType)
  if (format === undefined) {
    const known = 'float32, float64, float16 or bfloat16'
    throw invalidType(`the type of ${name}`, known, `data_type ${tensor.dataType}`)
  }
  const { rawData } = tensor
  const isRaw = rawData.length > 0
  const values = isRaw ? format.fromBytes(rawData) : format.fromList(tensor)
  if (isRaw ? rawData.length === shape[0] * format.bytes : values.length === shape[0]) return values
  const expected = isRaw ? `of ${shape[0] * format.bytes} bytes` : `of ${shape[0]} values`
  const fix = 'is the file damaged?'
  throw invalidValue(name, `${expected}, for its shape ${describe(shape)},`, isRaw ? rawData : values, fix)
}

interface Format {
  /** Of an element. */
  readonly bytes: number
  readonly fromBytes: (bytes: Uint8Array) => Float32Array | Float64Array
  readonly fromList: (tensor: TensorProto) => Float32Array | Float64Array
}

const formats: ReadonlyMap<number, Format> = new Map([
  [
    dataTypes.float32,
    {
      bytes: 4,
      fromBytes: (bytes) => read(Float32Array, bytes, 4, (view, at) => view.getFloat32(at, true)),
      fromList: ({ floatData }) => Float32Array.from(floatData),
    },
  ],
  [
    dataTypes.float64,
    {
      bytes: 8,
      fromBytes: (bytes) => read(Float64Array, bytes, 8, (view, at) => view.getFloat64(at, true)),
      fromList: ({ doubleData }) => Float64Array.from(doubleData),
    },
  ],
  [dataTypes.float16, ofBits('float16')],
  [dataTypes.bfloat16, ofBits('bfloat16')],
] satisfies [number, Format][])

/** A format of 16 bits; in a list, each of them lies in an int32. */
function ofBits(half: HalfType): Format {
  return {
    bytes: 2,
    fromBytes: (bytes) =>
      read(Float32Array, bytes, 2, (view, at) => numberOfHalf(view.getUint16(at, true), half)),
    fromList: ({ int32Data }) => Float32Array.from(int32Data, (bits) => numberOfHalf(bits & 0xffff, half)),
  }
}

function read<Vector extends Float32Array | Float64Array>(
  array: new (length: number) => Vector,
  bytes: Uint8Array,
  size: number,
  element: (view: DataView, at: number) => number,
): Vector {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new array(Math.floor(bytes.length / size))
  for (let index = 0; index < values.length; index++) values[index] = element(view, index * size)
  return values
}
