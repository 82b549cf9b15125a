/** Arrays of other libraries, as their packages make them: `tensor` reads them, without a copy where there need be none. */
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-cpu'
import * as arrow from 'apache-arrow'
import { Matrix, MatrixTransposeView } from 'ml-matrix'
import ndarray from 'ndarray'
import { describe, expect, test } from 'vitest'
import { BatchNorm1d, type ForeignArray, tensor } from '../lib/index.ts'

const numbers = [1, 2, 3, 4, 5, 9]
const data = Float32Array.from(numbers)
const columns = { a: Float32Array.of(1, 4), b: Float32Array.of(2, 5), c: Float32Array.of(3, 9) }
const rows = (child: arrow.Data<arrow.Float32>, length: number) =>
  arrow.makeVector(
    arrow.makeData({
      type: new arrow.FixedSizeList(3, new arrow.Field('x', new arrow.Float32())),
      length,
      child,
    }),
  )
const floats = (values: Float32Array) => arrow.makeData({ type: new arrow.Float32(), data: values })
const list = rows(floats(data), 2)

test.each<[string, () => ForeignArray, Float32Array | null]>([
  ["scijs' ndarray", () => ndarray(data, [2, 3]), data],
  [
    "a view of scijs' ndarray",
    () => ndarray(Float32Array.of(1, 4, 2, 5, 3, 9), [3, 2]).transpose(1, 0),
    null,
  ],
  [
    'what stdlib has',
    () => ({ data, shape: [2, 3], strides: [3, 1], offset: 0, order: 'row-major', dtype: 'float32' }),
    data,
  ],
  [
    'ml-matrix',
    () =>
      new Matrix([
        [1, 2, 3],
        [4, 5, 9],
      ]),
    null,
  ],
  [
    'a view of ml-matrix',
    () =>
      new MatrixTransposeView(
        new Matrix([
          [1, 4],
          [2, 5],
          [3, 9],
        ]),
      ),
    null,
  ],
  ['lists of Arrow', () => list, data],
  [
    'a part of the lists of Arrow',
    () => rows(floats(Float32Array.of(0, 0, 0, ...data, 7, 7, 7)), 4).slice(1, 3),
    null,
  ],
  [
    'lists of Arrow in chunks',
    () => rows(floats(data.subarray(0, 3)), 1).concat(rows(floats(data.subarray(3)), 1)),
    null,
  ],
  ['a table of Arrow', () => arrow.tableFromArrays(columns), null],
  ['a record batch of Arrow', () => arrow.tableFromArrays(columns).batches[0], null],
  ['a tensor of TensorFlow.js', () => tf.tensor2d(numbers, [2, 3]), null],
  ['a transposed tensor of TensorFlow.js', () => tf.transpose(tf.tensor2d([1, 4, 2, 5, 3, 9], [3, 2])), null],
  ['a buffer of TensorFlow.js', () => tf.buffer([2, 3], 'float32', data), data],
])('%s', (_, make, memory) => {
  const read = tensor(make())
  expect([read.shape, [...read.numbers()]]).toEqual([[2, 3], numbers])
  if (memory) expect(read.data.buffer).toBe(memory.buffer)
  const float32 = tensor(make(), { dtype: 'float32' })
  const y = new BatchNorm1d(3).forward(float32 as never)
  expect(y.data).toEqual(new BatchNorm1d(3).forward(tensor(data, [2, 3])).data)
})

test.each<[string, () => ForeignArray, string]>([
  ['float32', () => arrow.makeVector(data), 'float32'],
  ['float64', () => arrow.makeVector(Float64Array.from(numbers)), 'float64'],
  ['float16', () => arrow.vectorFromArray(numbers, new arrow.Float16()), 'float16'],
])('a vector of Arrow of %s is given a shape', (_, make, dtype) => {
  const read = tensor(make(), [2, 3])
  expect([read.shape, read.dtype, [...read.numbers()]]).toEqual([[2, 3], dtype, numbers])
})

describe.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('bytes of %s', (dtype) => {
  const values = tensor(data, [2, 3], { dtype: 'float32' })
  const held = dtype === 'float32' ? values : tensor(data, [2, 3], { dtype })
  const bytes = Buffer.from(held.data.buffer)

  test.each([0, 1, 2, 3, 4, 8])('that begin %i beyond the start of their memory', (offset) => {
    const memory = new Uint8Array(offset + bytes.length + 5)
    memory.set(bytes, offset)
    const part = Buffer.from(memory.buffer, offset, bytes.length)
    const read = tensor(part, [2, 3], { dtype })
    expect([read.dtype, [...read.numbers()]]).toEqual([dtype, numbers])
    // A view where the type allows one.
    expect(read.data.buffer === memory.buffer).toBe(offset % read.data.BYTES_PER_ELEMENT === 0)
    expect([...memory.subarray(offset, offset + bytes.length)]).toEqual([...bytes])
  })
})

const gap = arrow.vectorFromArray([1, null, 3], new arrow.Float32())
test.each<[string, () => unknown, RegExp]>([
  [
    'integers of Arrow',
    () => tensor(arrow.makeVector(Int32Array.of(1, 2))),
    /an Arrow vector of floats, .*received 'Int32'/,
  ],
  ['nulls of Arrow', () => tensor(gap), /without nulls but received 1 \(fill them/],
  [
    'columns of two types',
    () => tensor(arrow.tableFromArrays({ a: columns.a, b: Float64Array.of(1, 2) })),
    /columns are 2 floats of one type/,
  ],
  ['integers of TensorFlow.js', () => tensor(tf.tensor1d([1, 2], 'int32')), /but received an Int32Array/],
  [
    'a shape of other length',
    () => tensor(arrow.makeVector(data), [2, 2]),
    /of length 4, for the shape \[2, 2\]/,
  ],
  [
    'bytes of a type that nobody tells',
    () => tensor(Buffer.alloc(8) as never, [2]),
    /Expected dtype to be one of float32/,
  ],
  ['half a number', () => tensor(Buffer.alloc(7), undefined, { dtype: 'float32' }), /a multiple of 4 bytes/],
  ['an object that is no array', () => tensor({ length: 2 } as never), /an array of a library that is known/],
  [
    'what only tensor reads, as an input',
    () => new BatchNorm1d(3).forward(new Matrix(2, 3) as never),
    /\(tensor\(x\) reads it\)/,
  ],
  [
    'lists of Arrow, as an input',
    () => new BatchNorm1d(3).forward(list as never),
    /\(tensor\(x\) reads it\)/,
  ],
])('%s: refused', (_, call, message) => {
  expect(call).toThrow(message)
})
