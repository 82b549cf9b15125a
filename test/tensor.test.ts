import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { BatchNorm1d, type NestedNumbers, Tensor, tensor } from '../lib/index.ts'

describe('tensor', () => {
  test.each<{ values: NestedNumbers; shape: number[]; data: number[] }>([
    { values: 7, shape: [], data: [7] },
    { values: [], shape: [0], data: [] },
    { values: [1, 2, 3], shape: [3], data: [1, 2, 3] },
    {
      values: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      shape: [3, 2],
      data: [1, 2, 3, 4, 5, 6],
    },
    {
      values: [
        [[1], [2]],
        [[3], [4]],
      ],
      shape: [2, 2, 1],
      data: [1, 2, 3, 4],
    },
    { values: [[], []], shape: [2, 0], data: [] },
  ])('of $values has the shape $shape', ({ values, shape, data }) => {
    const made = tensor(values)
    expect(made).toBeInstanceOf(Tensor)
    expect(made.shape).toEqual(shape)
    expect(made.dtype).toBe('float32')
    expect(made.data).toEqual(Float32Array.from(data))
  })

  test.each([
    { data: new Float32Array(6), dtype: 'float32' },
    { data: new Float64Array(6), dtype: 'float64' },
    { data: new BigInt64Array(6), dtype: 'int64' },
  ] as const)('of a typed array is a view of it: $dtype', ({ data, dtype }) => {
    const made = tensor(data, [2, 3])
    expect(made.data).toBe(data)
    expect(made.dtype).toBe(dtype)
    expect(made.shape).toEqual([2, 3])
    expect(tensor(data).shape).toEqual([6])
  })

  test('of a flat array and a shape is that of nested arrays', () => {
    expect(tensor([1, 2, 3, 4, 5, 6], [3, 2])).toEqual(
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
    )
    expect(tensor([0.1], [1, 1], { dtype: 'float64' })).toEqual(tensor([[0.1]], { dtype: 'float64' }))
    expect(tensor([7], []).shape).toEqual([])
  })

  test.each([
    [
      tensor([1, 2, 3, 4, 5, 6], [1, 3, 2]),
      [
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      ],
    ],
    [tensor([0.1, -0], { dtype: 'float64' }), [0.1, -0]],
    [tensor([1 / 3, Number.NaN], { dtype: 'bfloat16' }), [0.333984375, Number.NaN]],
    [
      tensor([[1 / 3], [Number.POSITIVE_INFINITY]], { dtype: 'float16' }),
      [[0.333251953125], [Number.POSITIVE_INFINITY]],
    ],
    [tensor(BigInt64Array.of(2n ** 62n, -1n), [2, 1]), [[2n ** 62n], [-1n]]],
    [tensor(BigInt64Array.of(7n), []), 7n],
    [tensor([7], []), 7],
    [tensor([], [2, 0]), [[], []]],
    [tensor([], [0, 2]), []],
  ] as const)('toArray nests the elements as the shape says: %s', (given, expected) => {
    expect(given.toArray()).toStrictEqual(expected)
  })

  test('toArray is a copy, and an error where there is nothing left', () => {
    const made = tensor([[1, 2]])
    ;(made.toArray() as number[][])[0][0] = 7
    expect([...made.data]).toEqual([1, 2])
    structuredClone(made.data.buffer, { transfer: [made.data.buffer as ArrayBuffer] })
    expect(() => made.toArray()).toThrow(/data to be of length 2.*disposed of or transferred/)
  })

  test('does not follow a shape that is changed later', () => {
    const shape = [2, 3]
    const made = tensor(new Float32Array(6), shape)
    shape[0] = 7
    expect(made.shape).toEqual([2, 3])
  })

  test('takes an array of another realm', () => {
    const foreign = runInNewContext('new Float32Array([1, 5])')
    expect(tensor(foreign, [2, 1]).dtype).toBe('float32')
    expect([...new BatchNorm1d(1, { eps: 0 }).forward(tensor(foreign, [2, 1])).data]).toEqual([-1, 1])
  })

  test.each<[string, () => unknown, Error]>([
    [
      'a short row',
      () => tensor([[1, 2], [3]]),
      new RangeError('Expected values[1] to be of length 2, as the first is, but received [3]'),
    ],
    [
      'a long row',
      () => tensor([[1], [2, 3]]),
      new RangeError('Expected values[1] to be of length 1, as the first is, but received [2, 3]'),
    ],
    [
      'a number among rows',
      () => tensor([[1], 2]),
      new TypeError('Expected values[1] to be an array of length 1 but received 2'),
    ],
    [
      'a row among numbers',
      () => tensor([[1, [2]]]),
      new TypeError('Expected values[0][1] to be a number but received [2]'),
    ],
    [
      'a string',
      () => tensor([['1']] as never),
      new TypeError("Expected values[0][0] to be a number but received '1'"),
    ],
    [
      'nothing',
      () => tensor(undefined as never),
      new TypeError('Expected values to be a number but received undefined'),
    ],
    [
      'a shape of another product',
      () => tensor(new Float32Array(6), [2, 4]),
      new RangeError(
        'Expected data to be of length 8, for the shape [2, 4], but received a Float32Array of length 6',
      ),
    ],
    [
      'a negative size',
      () => tensor(new Float32Array(6), [-2, -3]),
      new RangeError('Expected tensor.shape to be an array of non-negative integers but received [-2, -3]'),
    ],
    [
      'another typed array',
      () => tensor(new Int32Array(6) as never, [6]),
      new TypeError(
        'Expected data to be a Float32Array, Float64Array, BigInt64Array or Uint16Array (bits of halves) but received an Int32Array of length 6',
      ),
    ],
    [
      'nested arrays with a shape',
      () => tensor([[1, 2]] as never, [1, 2]),
      new TypeError(
        'Expected values to be a flat array of numbers, since a shape was given, but received [an array of length 2] ' +
          '(leave out the shape: nested arrays tell it)',
      ),
    ],
    [
      'a flat array with a shape of more',
      () => tensor([1, 2, 3], [2, 2]),
      new RangeError(
        'Expected data to be of length 4, for the shape [2, 2], but received a Float32Array of length 3',
      ),
    ],
  ])('refuses %s', (_, make, error) => {
    expect(make).toThrow(error)
  })
})

/** What PyTorch 1.13 prints for the same values, but for `torch.` before a dtype, `size=(...)` and the column of -0. */
describe('a tensor in print', () => {
  const gone = () => {
    const transferred = tensor(new Float32Array(6), [2, 3])
    structuredClone(transferred.data, { transfer: [transferred.data.buffer as ArrayBuffer] })
    return transferred
  }
  const ramp = (length: number) => Float32Array.from({ length }, (_, index) => index / 8 - 1)

  test.each<[string, { toString(): string }, string]>([
    ['a scalar', tensor(3), 'tensor(3.)'],
    [
      'whole numbers',
      tensor([
        [1, 2],
        [3, 4],
      ]),
      'tensor([[1., 2.],\n        [3., 4.]])',
    ],
    [
      'fractions, aligned',
      tensor([
        [1.5, -2],
        [3, 400],
      ]),
      'tensor([[  1.5000,  -2.0000],\n        [  3.0000, 400.0000]])',
    ],
    [
      'NaN and infinities',
      tensor([1.5, Number.NaN, Number.NEGATIVE_INFINITY]),
      'tensor([1.5000,    nan,   -inf])',
    ],
    ['-0', tensor([-0, 1.5]), 'tensor([-0.0000,  1.5000])'],
    ['small beside large', tensor([1e-5, 1]), 'tensor([1.0000e-05, 1.0000e+00])'],
    ['large', tensor([0, 1e9, 1]), 'tensor([0.0000e+00, 1.0000e+09, 1.0000e+00])'],
    ['int64', tensor(BigInt64Array.of(3n, -14n)), 'tensor([  3, -14], dtype=int64)'],
    ['float64', tensor(Float64Array.of(0.5), [1]), 'tensor([0.5000], dtype=float64)'],
    ['nothing', tensor(new Float32Array(0), [0, 3]), 'tensor([], shape=[0, 3])'],
    ['what is gone', gone(), 'tensor(disposed of or transferred, shape=[2, 3])'],
    [
      'three axes',
      tensor(ramp(8), [2, 2, 2]),
      'tensor([[[-1.0000, -0.8750],\n         [-0.7500, -0.6250]],\n\n        [[-0.5000, -0.3750],\n         [-0.2500, -0.1250]]])',
    ],
    [
      'a long row, wrapped',
      tensor(ramp(12)),
      'tensor([-1.0000, -0.8750, -0.7500, -0.6250, -0.5000, -0.3750, -0.2500, -0.1250,\n' +
        '         0.0000,  0.1250,  0.2500,  0.3750])',
    ],
    [
      'many rows, elided in the middle',
      tensor(
        Float32Array.from({ length: 1600 }, (_, index) => (index % 8) / 8),
        [40, 40],
      ),
      `tensor([${[...Array(3).fill(0), 1, ...Array(3).fill(0)]
        .map((middle) => (middle ? '...' : '[0.0000, 0.1250, 0.2500,  ..., 0.6250, 0.7500, 0.8750]'))
        .join(',\n        ')}])`,
    ],
  ])('%s', (_, made, text) => {
    expect(String(made)).toBe(text)
    expect(inspect(made)).toBe(text)
  })
})
