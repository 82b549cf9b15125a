/** Tensors of ONNX Runtime are ours, and ours are its, over the same memory. */
import * as ort from 'onnxruntime-common'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { BatchNorm1d, type FloatData, type Tensor, tensor } from '../lib/index.ts'
import { fromOrt, toOrt } from '../lib/interop/onnx/index.ts'
import { normal, normal64 } from './support/module.ts'

const bits = Uint16Array.of(0, 0x3c00, 0x4000, 0xc000)
const tensors: [string, Tensor<FloatData>][] = [
  ['float32', normal([2, 3], 1)],
  ['float64', normal64([2, 3], 1)],
  ['float16', tensor(bits, [2, 2], { dtype: 'float16' })],
]

test.each(tensors)('%s, there and back, without a copy', (type, x) => {
  const theirs = toOrt(x, ort)
  expectTypeOf(theirs).toExtend<ort.Tensor>()
  expect([theirs.type, theirs.dims]).toEqual([type, x.shape])
  const back = fromOrt(theirs)
  expect([back.dtype, back.shape]).toEqual([type, x.shape])
  expect([back.data.buffer, back.data.byteOffset]).toEqual([x.data.buffer, x.data.byteOffset])
  expect([...back.numbers()]).toEqual([...x.numbers()])
})

test('a forward takes what ONNX Runtime gives', () => {
  const x = normal([4, 3], 1)
  const y = new BatchNorm1d(3).forward(fromOrt(new ort.Tensor('float32', x.data, x.shape)))
  expect(y.data).toEqual(new BatchNorm1d(3).forward(x).data)
})

test('bits of bfloat16 are taken in; out, where the version of ONNX Runtime has the type', () => {
  const x = tensor(Uint16Array.of(0x3f80, 0x4000), [1, 2], { dtype: 'bfloat16' })
  const { data, dims } = { data: x.data, dims: x.shape }
  expect([...fromOrt({ type: 'bfloat16', data, dims }).numbers()]).toEqual([1, 2])
  expect(() => toOrt(x, ort)).toThrow(/of a type that this ONNX Runtime takes but received 'bfloat16'/)
  class Later {
    constructor(
      readonly type: string,
      readonly data: Uint16Array,
    ) {}
  }
  expect(toOrt(x, { Tensor: Later })).toEqual({ type: 'bfloat16', data: x.data })
})

test('the elements of a view are gathered', () => {
  const view = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2], strides: [1, 2] }
  expect(toOrt(view, ort).data).toEqual(Float32Array.of(1, 3, 2, 4))
})

describe('refused:', () => {
  const gpu = { type: 'float32', dims: [1], location: 'gpu-buffer', data: new Float32Array(1) }
  test.each<[string, () => unknown, RegExp]>([
    [
      'integers',
      () => fromOrt(new ort.Tensor('int32', [1, 2], [2])),
      /tensor.type to be .*'float16' but received 'int32'/,
    ],
    ['texts', () => fromOrt(new ort.Tensor('string', ['a'], [1])), /received 'string'/],
    ['16 bits that are integers', () => fromOrt(new ort.Tensor('uint16', [1, 2], [2])), /received 'uint16'/],
    [
      'values on a GPU',
      () => fromOrt(gpu),
      /on the CPU but received 'gpu-buffer' \(await tensor.getData\(\)/,
    ],
    ['one of ours', () => fromOrt(normal([2], 1) as never), /Expected tensor to be a tensor of ONNX Runtime/],
    ['what is no tensor', () => toOrt([1, 2] as never, ort), /Expected tensor to be a tensor/],
    [
      'no package',
      () => toOrt(normal([2], 1), {} as never),
      /Expected ort to be the package of ONNX Runtime/,
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })
})
