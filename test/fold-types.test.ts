/** Layers of every type and every kind: folded in float64, rounded once to the type that they have. */
import { describe, expect, test } from 'vitest'
import {
  type AnyLayer,
  absorbScale,
  BatchNorm1d,
  BatchNorm2d,
  collapse,
  type FloatType,
  foldIntoNext,
  foldIntoPrevious,
  type Tensor,
  tensor,
  toAffine,
} from '../lib/index.ts'
import { floatTypes } from '../lib/tensor/data-type.ts'
import { evaluate, evaluateActivation, evaluateBatchNorm } from './support/layers.ts'
import { filled, normal, normal64 } from './support/module.ts'

const as = (dtype: FloatType, shape: number[], seed: number) =>
  tensor(normal64(shape, seed).data, shape, { dtype })
const numbers = (values: object) => (values as Tensor).numbers() as Float32Array
/** Half a unit in the last place of 1; of float64 what sums in another order differ by. */
const units = { float32: 2 ** -24, float64: 2 ** -46, bfloat16: 2 ** -8, float16: 2 ** -11 }
/** What a computation in float64 gives, rounded once. */
const bitsOf = (exact: ArrayLike<number>, dtype: FloatType) =>
  tensor(Float64Array.from(exact), [exact.length], { dtype }).data

const kinds: {
  title: string
  weight: number[]
  outputs: number
  settings: Partial<AnyLayer>
  sizes: number[]
}[] = [
  { title: 'linear layer', weight: [4, 4], outputs: 4, settings: {}, sizes: [] },
  { title: 'square convolution', weight: [4, 4, 2, 2], outputs: 4, settings: {}, sizes: [3, 3] },
  {
    title: 'square transposed convolution',
    ...{ weight: [4, 4, 3], outputs: 4, settings: { transposed: true, stride: 2 }, sizes: [4] },
  },
  {
    title: 'grouped transposed convolution',
    ...{ weight: [4, 3, 2, 2], outputs: 6, settings: { transposed: true, groups: 2 }, sizes: [2, 3] },
  },
]

/** The channels of a weight's numbers, by their indices. */
function channelsOf({ weight, groups = 1, transposed }: AnyLayer, outputs: number) {
  const [first, second, ...kernel] = weight.shape
  const taps = kernel.reduce((count, size) => count * size, 1)
  return (at: number) => {
    const [one, other] = [Math.floor(at / taps / second), Math.floor(at / taps) % second]
    if (!transposed) return { input: other, output: one }
    return { input: one, output: Math.floor((one * groups) / first) * (outputs / groups) + other }
  }
}

describe.each(floatTypes)('%s', (type) => {
  describe.each(kinds)('a $title', ({ weight, outputs, settings, sizes }) => {
    const probe = as(type, [2, 4, ...sizes], 1)
    const input = { data: Float64Array.from(numbers(probe)), shape: probe.shape }
    const layers: AnyLayer[] = [
      { ...settings, weight: as(type, weight, 2) },
      { ...settings, weight: as(type, weight, 2), bias: as(type, [outputs], 3) },
      { ...settings, weight: as(type, weight, 2), bias: as(type, [outputs], 3).data },
      { ...settings, weight: as(type, weight, 2), bias: normal([outputs], 3) },
    ]

    test.each(layers)('takes a batch norm behind it, and keeps its types (%#)', (layer) => {
      const bn = filled(new BatchNorm1d(outputs)).eval()
      const { scale, shift } = toAffine(bn)
      const { layer: folded, largestError } = foldIntoPrevious(layer, bn, { probe })
      const channels = channelsOf(layer, outputs)
      const exact = Array.from(numbers(layer.weight), (value, at) => value * scale[channels(at).output])
      expect(folded.weight).toMatchObject({ dtype: type, shape: weight })
      expect(folded.weight.data).toEqual(bitsOf(exact, type))
      const biasType = layer.bias && 'shape' in layer.bias ? (layer.bias as Tensor).dtype : type
      const bias = layer.bias && (ArrayBuffer.isView(layer.bias) ? as(type, [outputs], 3) : layer.bias)
      const exactBias = shift.map((value, c) => (bias ? numbers(bias)[c] : 0) * scale[c] + value)
      expect(folded.bias).toMatchObject({ dtype: biasType, shape: [outputs] })
      expect(folded.bias.data).toEqual(bitsOf(exactBias, biasType as FloatType))

      const actual = evaluate(folded, input)
      const expected = evaluateBatchNorm(bn as never, evaluate({ ...layer, bias }, input))
      const largest = Math.max(...actual.data.map((value, at) => Math.abs(value - expected.data[at])))
      const size = Math.max(...actual.magnitude)
      expect(Math.abs((largestError as number) - largest)).toBeLessThanOrEqual(2 ** -46 * size)
      const unit = Math.max(units[type], units[biasType as FloatType])
      expect(largestError).toBeLessThanOrEqual(1.01 * unit * size)
    })

    test('takes a batch norm, or its scale, before it', () => {
      const layer = layers[1]
      const bn = filled(new BatchNorm1d(4)).eval()
      bn.bias?.data.fill(0)
      bn.runningMean?.data.fill(0)
      const channels = channelsOf(layer, outputs)
      const folded = foldIntoNext(bn, layer, { probe })
      const { scale } = toAffine(bn)
      const exact = Array.from(numbers(layer.weight), (value, at) => value * scale[channels(at).input])
      expect(folded.layer.weight.data).toEqual(bitsOf(exact, type))
      expect(folded.layer.bias.data).toEqual((layer.bias as Tensor).data)

      bn.weight?.data.set([0.3, 2, 1, 5])
      const { next, largestError } = absorbScale(bn, 'relu', layer, { probe })
      const absorbed = Array.from(
        numbers(layer.weight),
        (value, at) => value * (bn.weight?.data[channels(at).input] as number),
      )
      expect(next.weight.data).toEqual(bitsOf(absorbed, type))
      const normalized = evaluateActivation('relu', evaluateBatchNorm(bn as never, input))
      const size = Math.max(...evaluate(layer, normalized).magnitude)
      expect(largestError).toBeLessThanOrEqual(1.01 * (type === 'bfloat16' ? 2 ** -8 : 2 ** -11) * size)
    })
  })

  test('what does not fit the type is refused, by the outputs of a transposed convolution too', () => {
    const bn = filled(new BatchNorm1d(6, { dtype: 'float64', eps: 0 })).eval()
    bn.weight?.data.set([1, 1, 1, 1, type === 'float16' ? 1e6 : 1e300, 1])
    bn.runningVar?.data.fill(type === 'float64' ? 1e-60 : 1)
    const layer = { weight: as(type, [4, 3, 2], 1), transposed: true, groups: 2 }
    expect(() => foldIntoPrevious(layer, bn)).toThrow(
      new RegExp(`weights of layer that fit ${type} but received others in output channels \\[4\\]`),
    )
  })
})

test.each<[FloatType[], FloatType]>([
  [['bfloat16', 'bfloat16'], 'bfloat16'],
  [['bfloat16', 'float16'], 'float32'],
  [['float32', 'bfloat16'], 'float32'],
  [['float16', 'float64'], 'float64'],
])('collapse of %o gives %s', (types, expected) => {
  const [one, two] = types.map((type, index) => ({ weight: as(type, [3, 3], index), bias: as(type, [3], 9) }))
  const bn = filled(new BatchNorm1d(3)).eval()
  const { layer } = collapse([one, bn, two])
  expect([layer.weight.dtype, layer.bias.dtype]).toEqual([expected, expected])
  const rows = { data: Float64Array.from(normal([4, 3], 5).data), shape: [4, 3] }
  const before = evaluate(two, evaluateBatchNorm(bn as never, evaluate(one, rows)))
  const actual = evaluate(layer, rows)
  const unit = expected === 'bfloat16' ? 2 ** -8 : 2 ** -23
  actual.data.forEach((value, at) => {
    expect(Math.abs(value - before.data[at])).toBeLessThanOrEqual(unit * actual.magnitude[at])
  })
})

test('collapse of batch norms alone has their type', () => {
  const bn = filled(new BatchNorm1d(3, { dtype: 'float64' })).eval()
  expect(collapse([bn]).layer.weight.dtype).toBe('float64')
})

test('halves without a type, and of another type than the weight, are refused', () => {
  const bn = new BatchNorm1d(2).eval()
  const bits = new Uint16Array(2)
  expect(() => foldIntoPrevious({ weight: { data: bits, shape: [2, 1] } }, bn)).toThrow(
    /layer\.weight\.dtype/,
  )
  expect(() => foldIntoPrevious({ weight: normal([2, 1], 1), bias: bits }, bn)).toThrow(/layer\.bias\.dtype/)
})

// What PyTorch 1.13 gives for bn(conv(x)), with ConvTranspose2d(4, 4, 2, groups=2, stride=2, bias=False).
test('a grouped transposed convolution is folded as PyTorch computes it', () => {
  const weight = tensor(
    Float32Array.from({ length: 32 }, (_, at) => at / 8),
    [4, 2, 2, 2],
  )
  const bn = new BatchNorm2d(4, { eps: 0 }).eval()
  bn.loadStateDict({
    ...{ weight: [1, 2, -3, 4], bias: [0.5, -1, 2, 0], running_mean: [1, -2, 3, 0.5] },
    ...{ running_var: [0.25, 1, 4, 16], num_batches_tracked: 1 },
  })
  const layer = { weight, transposed: true, groups: 2, stride: 2 }
  const probe = tensor(Float32Array.of(1, -2, 3, 0.5), [1, 4, 1, 1])
  const { layer: folded, largestError } = foldIntoPrevious(layer, bn, { probe })
  const y = evaluate(folded, { data: Float64Array.from(probe.data), shape: probe.shape })
  expect(y.shape).toEqual([1, 4, 2, 2])
  expect(Array.from(y.data)).toEqual([
    -5.5, -5.75, -6.0, -6.25, -2.0, -2.25, -2.5, -2.75, -4.75, -5.40625, -6.0625, -6.71875, 8.75, 9.1875,
    9.625, 10.0625,
  ])
  expect(largestError).toBe(0)
})

describe('channels last', () => {
  const bn = filled(new BatchNorm2d(3, { layout: 'channels-last' })).eval()
  const images = normal([2, 2, 4, 3], 1)

  test('a flatten puts the channels of a position side by side', () => {
    const layer = { weight: normal([5, 24], 2), bias: normal([5], 3) }
    const flat = (data: ArrayLike<number>) => ({ data: Float64Array.from(data), shape: [2, 24] })
    const folded = foldIntoNext(bn, layer, { probe: images })
    const actual = evaluate(folded.layer, flat(images.data))
    const expected = evaluate(layer, flat(bn.forward(images).data))
    actual.data.forEach((value, at) => {
      expect(Math.abs(value - expected.data[at])).toBeLessThanOrEqual(1e-6 * actual.magnitude[at])
    })
    expect(folded.largestError).toBeLessThanOrEqual(2 ** -23 * Math.max(...actual.magnitude))

    bn.weight?.data.set([2, 0.5, 3])
    const { batchNorm, next } = absorbScale(bn, 'relu', layer, { probe: images })
    const relu = (data: Float32Array) => flat(data.map((value) => Math.max(value, 0)))
    const [before, after] = [
      evaluate(layer, relu(bn.forward(images).data)),
      evaluate(next, relu(batchNorm.forward(images).data)),
    ]
    after.data.forEach((value, at) => {
      expect(Math.abs(value - before.data[at])).toBeLessThanOrEqual(2e-6 * after.magnitude[at])
    })
  })

  test('a linear layer works on the last axis', () => {
    const [before, behind] = [{ weight: normal([3, 2], 4) }, { weight: normal([5, 3], 4) }]
    const probe = normal([2, 2, 4, 2], 5)
    expect(foldIntoPrevious(before, bn, { probe }).largestError).toBeLessThan(1e-5)
    expect(foldIntoNext(bn, behind, { probe: images }).largestError).toBeLessThan(1e-5)
  })

  test('so does the probe have them', () => {
    const layer = { weight: normal([3, 2, 1, 1], 4) }
    expect(foldIntoPrevious(layer, bn, { probe: normal([2, 4, 4, 2], 5) }).largestError).toBeLessThan(1e-5)
    expect(() => foldIntoPrevious(layer, bn, { probe: normal([2, 2, 4, 4], 5) })).toThrow(
      'Expected probe of shape [N, H, W, 2] but received [2, 2, 4, 4]',
    )
    const linear = { weight: normal([5, 3], 4) }
    expect(() => foldIntoNext(bn, linear, { probe: normal([2, 3, 4, 4], 5) })).toThrow(
      'Expected probe of shape [N, ..., 3] but received [2, 3, 4, 4]',
    )
  })
})
