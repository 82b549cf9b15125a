/** Modules over the types of values: float64, bfloat16 and float16 beside float32. */
import { describe, expect, test } from 'vitest'
import { narrow, widened } from '../lib/half.ts'
import {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { callOf, choices, forms, forwardOptions } from './support/choices.ts'
import { filled, normal, snapshot } from './support/module.ts'

const halves = ['bfloat16', 'float16'] as const
type Half = (typeof halves)[number]

/** The bits that are nearest to float32 numbers. */
function bitsOf(values: Float32Array, half: Half): Uint16Array {
  const bits = new Uint16Array(values.length)
  narrow(values, half, bits)
  return bits
}

const cases = choices
  .filter(({ key }) => key !== 'dtype')
  .flatMap((choice) =>
    forms
      .filter(({ positions }) => positions > 1 || choice.key !== 'lengths')
      .flatMap((form) =>
        [true, false].map((training) => ({ name: choice.title, ...form, choice, training })),
      ),
  )

describeEachBackend('halves', () => {
  describe.each(halves)('%s', (half) => {
    test.each(cases)(
      '$name, $layout $shape, training $training: what float32 gives, rounded once',
      ({ choice, training, ...form }) => {
        const shape = [...form.shape]
        const halfOf = (seed: number) => tensor(normal(shape, seed).data, shape, { dtype: half })
        const wide = ({ data }: Tensor<Uint16Array>) => tensor(widened(data, half), shape)
        const [x, gradOutput] = [halfOf(81), halfOf(82)]
        const make = () => {
          const bn = filled(new BatchNorm1d(2, { ...choice.options, layout: form.layout })).train(training)
          return choice.frozen ? bn.freeze() : bn
        }
        const { residual: added, ...counted } = forwardOptions(callOf([choice], form), shape, 'float32')
        const residual = added && tensor(added.data as Float32Array, shape, { dtype: half })

        const bn = make()
        const y = bn.forward(x, { ...counted, residual })
        const gradInput = bn.backward(gradOutput)
        const float32 = make()
        const exact = float32.forward(wide(x), { ...counted, residual: residual && wide(residual) })
        const exactGradient = float32.backward(wide(gradOutput))
        expect([y.dtype, gradInput.dtype]).toEqual([half, half])
        expect(y.data).toEqual(bitsOf(exact.data, half))
        expect(gradInput.data).toEqual(bitsOf(exactGradient.data, half))
        expect(snapshot(bn)).toEqual(snapshot(float32))
      },
    )
  })

  test('the type of the input may change from call to call', () => {
    const bn = new BatchNorm1d(2).eval()
    const numbers = normal([4, 2], 83)
    for (const dtype of ['float16', 'float32', 'bfloat16', 'float16'] as const) {
      expect(bn.forward(tensor(numbers.data, [4, 2], { dtype }) as Tensor).dtype).toBe(dtype)
    }
  })
})

describeEachBackend('float64', () => {
  test('parameters, statistics, gradients and results are float64', () => {
    const bn = new BatchNorm2d(2, { dtype: 'float64' })
    const x = tensor([[[[1, 2]], [[3, 4]]]], { dtype: 'float64' })
    const y = bn.forward(x)
    const gradInput = bn.backward(y)
    const arrays = [
      bn.weight?.data,
      bn.weight?.grad,
      bn.bias?.data,
      bn.runningMean?.data,
      bn.runningVar?.data,
    ]
    for (const array of [...arrays, y.data, gradInput.data]) expect(array).toBeInstanceOf(Float64Array)
    const { num_batches_tracked, ...state } = bn.stateDict()
    expect(Object.values(state).map(({ dtype }) => dtype)).toEqual(Array(4).fill('float64'))
    expect(num_batches_tracked.dtype).toBe('int64')
  })

  test.each([
    ['an offset of 1e12', 1e12],
    ['an offset of 1e6', 1e6],
    ['no offset', 0],
  ])('%s does not show in the output', (_, offset) => {
    // Integers, so that the mean of any of them and every difference from it are exact.
    const data = Float64Array.from({ length: 64 }, (_, index) => ((index * 37) % 64) - 31.5)
    const bn = new BatchNorm1d(1, { dtype: 'float64', eps: 0 })
    const y = bn.forward(
      tensor(
        Float64Array.from(data, (value) => value + offset),
        [64, 1],
      ),
    )
    const std = Math.sqrt((64 ** 2 - 1) / 12)
    for (const [index, value] of data.entries()) {
      // invstd and the scale, the product and the sum: each is rounded once.
      expect(Math.abs(y.data[index] - value / std)).toBeLessThanOrEqual(6 * 2 ** -53 * Math.abs(value / std))
    }
  })

  test('a state dict of float32 loads, and one of float64 keeps its digits', () => {
    const float32 = filled(new BatchNorm1d(3))
    const bn = new BatchNorm1d(3, { dtype: 'float64' })
    bn.loadStateDict(float32.stateDict())
    expect([...(bn.weight?.data ?? [])]).toEqual([...(float32.weight?.data ?? [])])
    bn.weight?.data.fill(1 / 3)
    const copy = new BatchNorm1d(3, { dtype: 'float64' })
    copy.loadStateDict(bn.stateDict())
    expect(difference(copy.weight?.data as Float64Array, new Float64Array(3).fill(1 / 3))).toBeNull()
  })

  test('a lazy module takes it from its options', () => {
    const bn = new LazyBatchNorm1d({ dtype: 'float64' })
    expect(bn.forward(tensor([[1], [2]], { dtype: 'float64' })).dtype).toBe('float64')
    expect(String(bn)).toBe(
      'BatchNorm1d(1, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, dtype=float64)',
    )
  })
})

describe('what does not fit is an error, and nothing has changed', () => {
  const float32 = normal([4, 2], 91)
  const float64 = tensor(Float64Array.from(float32.data), [4, 2])
  const float16 = tensor(float32.data, [4, 2], { dtype: 'float16' })

  test.each<[string, BatchNormOptions<'float32' | 'float64'>, unknown, string]>([
    ['float64 for float32', {}, float64, 'Expected input.data to be a Float32Array (dtype float32)'],
    [
      'float32 for float64',
      { dtype: 'float64' },
      float32,
      'Expected input.data to be a Float64Array (dtype float64)',
    ],
    [
      'halves for float64',
      { dtype: 'float64' },
      float16,
      'Expected input.data to be a Float64Array (dtype float64)',
    ],
    ['bits that do not say of what', {}, { data: float16.data, shape: [4, 2] }, 'Expected input.dtype to be'],
    ['integers', {}, { data: new Int32Array(8), shape: [4, 2] }, 'Expected input.data to be a Float32Array'],
  ])('%s', (_, options, input, message) => {
    const bn = new BatchNorm1d(2, options)
    const before = snapshot(bn as unknown as BatchNorm1d)
    expect(() => bn.forward(input as Tensor)).toThrow(message)
    expect(snapshot(bn as unknown as BatchNorm1d)).toEqual(before)
  })

  test('another type of gradient, or of out', () => {
    const bn = new BatchNorm1d(2)
    bn.forward(float16)
    expect(() => bn.backward(float32)).toThrow('Expected gradOutput.data to be a Uint16Array (dtype float16)')
    expect(() => bn.forward(float16, { out: new Float32Array(8) })).toThrow(
      'Expected out to be a Uint16Array',
    )
  })

  test('another name', () => {
    expect(() => new BatchNorm1d(2, { dtype: 'float16' as 'float32' })).toThrow(
      'Expected dtype to be one of float32, float64 but received',
    )
  })
})
