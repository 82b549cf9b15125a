/** Tensors of ONNX Runtime, and ours. */
import { invalidType } from '../../checks/errors.ts'
import { type FloatTensorLike, floatTensor, floatTypeOf } from '../../checks/tensors.ts'
import { type DataType, type FloatData, type FloatType, floatTypes } from '../../tensor/data-type.ts'
import { Tensor } from '../../tensor/tensor.ts'
import type { OrtTensor, OrtTensors } from './runtime.ts'

/**
 * A tensor of ONNX Runtime as one of ours, over the same memory: of float32, float64, float16 - whose data are a
 * `Float16Array` where the language has it, otherwise the bits in a `Uint16Array` - or bfloat16.
 *
 * ```ts
 * const { Y } = await session.run({ X: toOrt(x, ort) })
 * const y = bn.forward(fromOrt(Y))
 * ```
 *
 * @throws TypeError for a tensor of another type, and for one whose values lie elsewhere, as on a GPU
 */
export function fromOrt<Data extends FloatData>(tensor: OrtTensor<Data>): Tensor<Data>
export function fromOrt(tensor: OrtTensor): Tensor<FloatData>
export function fromOrt(tensor: OrtTensor): Tensor<FloatData> {
  if (!isOrtTensor(tensor)) {
    throw invalidType('tensor', 'a tensor of ONNX Runtime { type, data, dims }', tensor)
  }
  const { type, dims, location = 'cpu' } = tensor
  if (!location.startsWith('cpu')) {
    const fix = 'await tensor.getData() first, which brings its values here'
    throw invalidType('tensor', 'on the CPU', location, fix)
  }
  if (!floatTypes.includes(type as FloatType)) {
    throw invalidType('tensor.type', floatTypes.map((each) => `'${each}'`).join(', '), type)
  }
  return new Tensor(tensor.data as FloatData, [...dims], type as DataType)
}

/**
 * A tensor as one of ONNX Runtime's, over the same memory; the elements of a view that do not lie row by row are copied.
 *
 * @param ort - the package: `import * as ort from 'onnxruntime-node'`
 * @throws TypeError or RangeError for what is no tensor of floating point, and for a type that this version of ONNX
 * Runtime does not take from JavaScript (bfloat16, as of 1.30)
 */
export function toOrt<Made>(tensor: FloatTensorLike, ort: OrtTensors<Made>): Made {
  const { Tensor: Made } = assertTensors(ort)
  const type = floatTypeOf('tensor', tensor)
  const data = floatTensor('tensor', tensor, type)
  try {
    return new Made(type as never, data as never, tensor.shape as never)
  } catch (error) {
    const fix = `${(error as Error).message} As float32: tensor(x.numbers(), x.shape)`
    throw invalidType('tensor', 'of a type that this ONNX Runtime takes', type, fix)
  }
}

export function isOrtTensor(value: unknown): value is OrtTensor {
  return typeof value === 'object' && value !== null && 'type' in value && 'dims' in value && 'data' in value
}

/** @throws TypeError for what is not the package */
function assertTensors<Made>(ort: OrtTensors<Made>): OrtTensors<Made> {
  if (typeof ort?.Tensor === 'function') return ort
  throw invalidType('ort', 'the package of ONNX Runtime', ort, "import * as ort from 'onnxruntime-node'")
}
