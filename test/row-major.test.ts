/** Arrays of other libraries that are views: each gives the result of the same numbers row by row, or is refused. */
import ndarray from 'ndarray'
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  BatchNorm2d,
  decodeSafetensors,
  encodeSafetensors,
  type FloatTensorLike,
  functional,
  LazyBatchNorm1d,
  Moments,
  type TensorLike,
  tensor,
} from '../lib/index.ts'
import { rowMajor } from '../lib/tensor/row-major.ts'
import { expectSameBits, normal, trained } from './support/module.ts'

const { data } = normal([60], 1)

/** What scijs makes of it: `stride` and `offset`. */
const scijs = (shape: number[]) => ndarray(data, shape)
/** The numbers of a scijs array row by row, read by its own `get`. */
function dense(view: ndarray.NdArray<Float32Array>): TensorLike {
  const values: number[] = []
  const visit = (at: number[]): void => {
    if (at.length === view.dimension) values.push(view.get(...at))
    else for (let index = 0; index < view.shape[at.length]; index++) visit([...at, index])
  }
  visit([])
  return tensor(Float32Array.from(values), view.shape.slice())
}

const views: Record<string, ndarray.NdArray<Float32Array>> = {
  'as it is': scijs([12, 5]),
  transposed: scijs([5, 12]).transpose(1, 0),
  'a part of the rows': scijs([12, 5]).lo(2, 0).hi(7, 5),
  'a part of the columns': scijs([6, 10]).lo(0, 3).hi(6, 5),
  'every second column, from the last': scijs([6, 10]).step(1, -2),
  'with its rows turned round': scijs([12, 5]).step(-1, 1),
  'one position of three axes': scijs([4, 5, 3]).pick(-1, -1, 2),
  'three axes in another order': scijs([4, 3, 5]).transpose(0, 2, 1),
  'a column repeated': ndarray(data, [6, 5], [5, 0], 3),
}

describe.each(Object.entries(views))('a view, %s', (_, view) => {
  const expected = dense(view)
  const input = view as unknown as TensorLike

  test('is the input of a forward and the gradient of its backward', async () => {
    const [bn, twin, lazy] = [trained(5), trained(5), new LazyBatchNorm1d()]
    expectSameBits(bn.forward(input), twin.forward(expected))
    expectSameBits(bn.backward(input), twin.backward(expected))
    expectSameBits(await bn.forwardAsync(input), await twin.forwardAsync(expected))
    expectSameBits(bn.forward(expected, { residual: input }), twin.forward(expected, { residual: expected }))
    expectSameBits(lazy.forward(input), new BatchNorm1d(5).forward(expected))
  })

  test('is an argument of the functions, of moments, and what is saved', () => {
    expectSameBits(
      functional.batchNorm(input, { training: true }),
      functional.batchNorm(expected, { training: true }),
    )
    expect(functional.batchNormStats(input)).toEqual(functional.batchNormStats(expected))
    expect(Moments.of(input).toJSON()).toEqual(Moments.of(expected).toJSON())
    const stored = decodeSafetensors(encodeSafetensors({ input: input as never })).get('input')
    expectSameBits(stored as never, tensor(expected.data, expected.shape))
  })
})

const numbers = Float32Array.of(1, 2, 3, 4, 5, 6)
const rows = [1, 3, 5, 2, 4, 6]
const placed: Record<string, object> = {
  "stdlib's strides and order": { shape: [2, 3], strides: [1, 2], offset: 0, order: 'column-major' },
  'strides as a typed array': { shape: [2, 3], strides: Int32Array.of(1, 2) },
  'an order alone': { shape: [2, 3], order: 'column-major' },
  "numpy's order": { shape: [2, 3], order: 'F' },
  "fortranOrder, as of numpy's files": { shape: [2, 3], fortranOrder: true },
}

test.each(Object.entries(placed))('%s', (_, places) => {
  const view = { data: numbers, ...places } as FloatTensorLike
  expect([...rowMajor('input', view)]).toEqual(rows)
})

test.each([
  ['the order of rows', { shape: [2, 3], order: 'row-major', fortranOrder: false, offset: 0 }],
  ['the strides of rows', { shape: [2, 3], stride: [3, 1] }],
  ['any stride on an axis of one', { shape: [1, 6], strides: [77, 1] }],
])('what lies row by row is not copied: %s', (_, places) => {
  expect(rowMajor('input', { data: numbers, ...places })).toBe(numbers)
  const bn = new BatchNorm1d(places.shape[1], { singleValue: 'running' })
  const out = { data: new Float32Array(6), ...places }
  expect(bn.forward({ data: numbers, ...places }, { out }).data).toBe(out.data)
})

test('a part that lies row by row is a view, of halves too, and a place for results', () => {
  const part = rowMajor('input', { data: numbers, shape: [2, 2], offset: 2 } as FloatTensorLike)
  expect([part.buffer, part.byteOffset, part.length]).toEqual([numbers.buffer, 8, 4])
  const bits = Uint16Array.of(0, 0x3f80, 0x4000, 0x4040, 0x4080)
  const halves = { data: bits, shape: [2, 2], strides: [1, 2], offset: 1, dtype: 'bfloat16' }
  const { data: y } = new BatchNorm1d(2).forward(halves as never) as { data: Float32Array }
  expect([...y]).toEqual([
    ...(new BatchNorm1d(2).forward(
      tensor(Uint16Array.of(0x3f80, 0x4040, 0x4000, 0x4080), [2, 2], { dtype: 'bfloat16' }),
    ).data as Iterable<number>),
  ])
  const memory = new Float32Array(8)
  const out = { data: memory, shape: [2, 2], offset: 3 } as TensorLike
  const expected = new BatchNorm1d(2).forward(tensor([1, 2, 3, 4], [2, 2]))
  new BatchNorm1d(2).forward(tensor([1, 2, 3, 4], [2, 2]), { out })
  expect([...memory]).toEqual([0, 0, 0, ...expected.data, 0])
})

test('vectors, masks and a state dict may be views too', () => {
  const everySecond = { data: Float32Array.of(1, 9, 2, 9, 3), shape: [3], stride: [2], offset: 0 }
  const weight = Float32Array.of(1, 2, 3)
  const x = normal([4, 3], 2)
  expectSameBits(
    functional.batchNorm(x, { weight: everySecond, training: true }),
    functional.batchNorm(x, { weight, training: true }),
  )
  const gradient = (mean: object) =>
    functional.batchNormBackward(x, x, { mean: mean as Float32Array, invstd: weight }).gradInput
  expectSameBits(gradient(everySecond), gradient(weight))
  const bn = new BatchNorm1d(3)
  bn.loadStateDict({ weight: everySecond }, { strict: false })
  expect(bn.weight?.data).toEqual(weight)
  const mask = { data: [1, 0, 1, 0, 0, 0, 1, 1], shape: [4], strides: [2] }
  expectSameBits(
    new BatchNorm1d(3).forward(x, { mask }),
    new BatchNorm1d(3).forward(x, { mask: [1, 1, 0, 1] }),
  )
})

test.each<[string, object, string]>([
  [
    'strides of another number of axes',
    { stride: [1] },
    'input.strides to be 2 integers, one an axis, but received [1]',
  ],
  ['strides that are no integers', { strides: [1.5, 1] }, 'input.strides to be 2 integers'],
  ['strides that are none', { strides: 'C' }, 'input.strides to be 2 integers'],
  ['null', { strides: null }, 'input.strides to be 2 integers'],
  [
    'strides in bytes',
    { strides: [12, 4] },
    'input.strides to be such that all elements lie within the 6 of its data',
  ],
  ['strides that lead before the first', { strides: [-3, 1] }, 'with offset 0 they reach from -3 to 2'],
  ['an offset that leads beyond the last', { offset: 1 }, 'with offset 1 they reach from 1 to 6'],
  ['a negative offset', { offset: -1 }, 'input.offset to be an integer, at least 0, but received -1'],
  ['an order that nobody knows', { order: 'Z' }, "input.order to be 'row-major' or 'column-major'"],
  [
    'sizes below 0',
    { shape: [-2, -3], strides: [1, 1] },
    'input.shape to be an array of non-negative integers',
  ],
])('%s: refused', (_, places, message) => {
  const input = { data: numbers, shape: [2, 3], ...places } as TensorLike
  expect(() => new BatchNorm1d(3).forward(input)).toThrow(message)
})

test('a result is not written into a view whose elements lie apart', () => {
  const x = normal([2, 3], 3)
  const out = { data: new Float32Array(6), shape: [2, 3], strides: [1, 2] } as TensorLike
  expect(() => new BatchNorm1d(3).forward(x, { out })).toThrow(
    'Expected out to be a tensor whose elements lie row by row',
  )
  expect(out.data).toEqual(new Float32Array(6))
  const image = new BatchNorm2d(2)
  const view = ndarray(new Float32Array(8), [2, 2, 2, 1]).transpose(0, 1, 3, 2)
  expect(image.forward(view as unknown as TensorLike).shape).toEqual([2, 2, 1, 2])
})
