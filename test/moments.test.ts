/** Moments over many batches are those of all the values, whatever the number of batches, and can be kept. */
import { describe, expect, test } from 'vitest'
import { Moments, type Tensor, tensor } from '../lib/index.ts'
import { type Layout, valuesPerChannel } from '../lib/tensor/shape.ts'
import {
  configurations,
  describeEachBackend,
  isThorough,
  select,
  testEachNative,
} from './support/backends.ts'
import { difference } from './support/bits.ts'
import { type Kind, kindNames, values } from './support/data.ts'
import { exactStatistics } from './support/exact.ts'
import { Random } from './support/random.ts'
import { doubtOfMerged, relativeDoubtOfMergedVariance } from './support/tolerance.ts'

/** Batches of 0 to 40 samples of 5 channels, and all of them in one. */
function batchesOf(kind: Kind, inner: number, seed: number) {
  const random = new Random(seed)
  const extent = { outer: 300, channels: 5, inner }
  const x = values(kind, extent, seed)
  const sample = extent.channels * inner
  const batches = []
  for (let begin = 0; begin < extent.outer; ) {
    const end = Math.min(begin + random.below(41), extent.outer)
    batches.push(tensor(x.slice(begin * sample, end * sample), [end - begin, extent.channels, inner]))
    begin = end
  }
  return { x, extent, batches }
}

function momentsOf(kind: Kind, inner: number, seed: number): Moments {
  const moments = new Moments(5)
  for (const batch of batchesOf(kind, inner, seed).batches) moments.update(batch)
  return moments
}

function expectSameBits(actual: Moments, expected: Moments): void {
  expect(actual.count).toBe(expected.count)
  expect(difference(actual.mean, expected.mean)).toBeNull()
  expect(difference(actual.variance(), expected.variance())).toBeNull()
}

describeEachBackend('moments', () => {
  const finite: Kind[] = ['normal', 'offset 1e4, std 1e-2', 'offset 1e6', 'outlier', 'sorted', 'scale 1e30']

  test.each(finite.flatMap((kind) => [[kind, 1] as const, [kind, 7] as const]))(
    'of batches are those of all their values: %s, %i positions',
    (kind, inner) => {
      const { x, extent } = batchesOf(kind, inner, 1)
      const moments = momentsOf(kind, inner, 1)
      const exact = exactStatistics(x, extent, 0)
      const count = valuesPerChannel(extent)
      expect(moments.count).toBe(count)
      const [biased, unbiased] = [moments.variance(), moments.variance({ unbiased: true })]
      for (let channel = 0; channel < extent.channels; channel++) {
        const variance = exact.variance[channel]
        const doubt = relativeDoubtOfMergedVariance(count) * variance
        const doubtOfMean = doubtOfMerged(count).mean * Math.sqrt(variance)
        expect(Math.abs(moments.mean[channel] - exact.mean[channel])).toBeLessThanOrEqual(doubtOfMean)
        expect(Math.abs(biased[channel] - variance)).toBeLessThanOrEqual(doubt)
      }
      expect(unbiased).toEqual(moments.total().m2.map((m2) => m2 / (count - 1)))
    },
  )

  test('of a constant: the constant, and no variance', () => {
    const moments = new Moments(2)
    for (const size of [3, 1, 100, 7]) moments.update(tensor(new Float32Array(size * 2).fill(0.1), [size, 2]))
    expect([...moments.mean]).toEqual([Math.fround(0.1), Math.fround(0.1)])
    expect([...moments.variance()]).toEqual([0, 0])
  })

  test.each<[string, number[], number, number]>([
    ['NaN', [1, Number.NaN, 2, 3], Number.NaN, Number.NaN],
    ['Infinity in one batch', [1, Number.POSITIVE_INFINITY, 2, 3], Number.POSITIVE_INFINITY, Number.NaN],
    [
      'Infinity in two',
      [Number.POSITIVE_INFINITY, 2, Number.POSITIVE_INFINITY, 3],
      Number.POSITIVE_INFINITY,
      Number.NaN,
    ],
    ['both', [Number.NEGATIVE_INFINITY, 2, Number.POSITIVE_INFINITY, 3], Number.NaN, Number.NaN],
  ])('of %s: the mean of plain addition, as of one batch', (_, column, mean, variance) => {
    for (const dtype of ['float32', 'float64'] as const) {
      const rows = column.map((value, row) => [value, row])
      const batch = (values: number[][]) => tensor(values, { dtype }) as Tensor
      const moments = Moments.of(batch(rows.slice(0, 2))).update(batch(rows.slice(2)))
      const whole = Moments.of(batch(rows))
      expect([...moments.mean, ...moments.variance()]).toEqual([mean, 1.5, variance, 1.25])
      expect([...whole.mean, ...whole.variance()]).toEqual([mean, 1.5, variance, 1.25])
    }
  })

  test('JSON has the numbers for which it has no number', () => {
    const mean = ['NaN', 'Infinity', '-Infinity', '-0', 0, 5e-324, 0.1, -1.7976931348623157e308] as const
    const part = { count: 2 ** 52, mean, m2: mean.map((_, channel) => channel) }
    const json = JSON.stringify({ channels: mean.length, layout: 'channels-last', parts: [part] })
    const moments = Moments.fromJSON(JSON.parse(json))
    expect(difference(moments.mean, Float64Array.from(mean, Number))).toBeNull()
    expect([moments.count, JSON.stringify(moments)]).toEqual([2 ** 52, json])
  })

  /**
   * Beside 1e8 float64 has 8 digits after the point, of which the variance loses none: 100 distances from a
   * pivot, exact here, are squared and added, and merged as above. The mean with its low part is
   * as good as that of the distances. The first batch is of float32, whose mean keeps nothing.
   */
  test('of float64: the mean keeps what it loses beside an offset', () => {
    const random = new Random(7)
    const distances = Float64Array.from({ length: 100 }, () => 1e8 + random.normal() - 1e8)
    distances[0] = 0
    const moments = Moments.of(tensor([[1e8]]))
    for (let row = 1; row < 100; row += 9) {
      const batch = distances.slice(row, row + 9).map((distance) => 1e8 + distance)
      moments.update(tensor(batch, [9, 1]))
    }
    const exact = exactStatistics(distances, { outer: 100, channels: 1, inner: 1 }, 0)
    const { mean, meanLow } = moments.total()
    const meanDistance = mean[0] - 1e8 + (meanLow as Float64Array)[0]
    const rounding = 2 ** -53 * (4 * 102 + 4 * 2 * Math.log2(100))
    expect(Math.abs(meanDistance - exact.mean[0])).toBeLessThanOrEqual(rounding)
    const error = Math.abs(moments.variance()[0] - exact.variance[0])
    expect(error).toBeLessThanOrEqual(2 * rounding * exact.variance[0])
    expect(Moments.fromJSON(JSON.parse(JSON.stringify(moments))).total()).toEqual(moments.total())
  })

  test('of values of all float types', () => {
    const types = ['float32', 'bfloat16', 'float64', 'float16'] as const
    types.forEach((_, turn) => {
      const moments = new Moments(1)
      for (const [index, value] of [1, 3, 5, 7].entries()) {
        moments.update(tensor([[value]], { dtype: types[(index + turn) % 4] }) as Tensor)
      }
      expect([moments.count, ...moments.mean, ...moments.variance()]).toEqual([4, 4, 5])
    })
  })

  test.each<[Layout, number[], number[]]>([
    ['channels-first', [2, 3, 4], [7.5, 11.5, 15.5]],
    ['channels-last', [2, 4, 3], [10.5, 11.5, 12.5]],
  ])('layout %s', (layout, shape, mean) => {
    const batch = tensor(
      Float32Array.from({ length: 24 }, (_, index) => index),
      shape,
    )
    const moments = Moments.of(batch, { layout })
    expect([moments.count, [...moments.mean]]).toEqual([8, mean])
    expect([...moments.update(batch).mean]).toEqual(mean)
    expect(moments.count).toBe(16)
  })

  test('parts that were seen elsewhere merge, and stay as they are', () => {
    const { batches } = batchesOf('normal', 3, 2)
    const workers = [new Moments(5), new Moments(5), new Moments(5)]
    batches.forEach((batch, index) => {
      workers[index % 3].update(batch)
    })
    const before = JSON.stringify(workers[1])
    const merged = new Moments(5)
    for (const worker of workers) merged.merge(worker)
    expect(JSON.stringify(workers[1])).toBe(before)
    const whole = momentsOf('normal', 3, 2)
    expect(merged.count).toBe(whole.count)
    // Both are sums of the same parts, in another order: float64's roundings in some 10 levels.
    merged.variance().forEach((variance, channel) => {
      const expected = whole.variance()[channel]
      expect(Math.abs(variance - expected)).toBeLessThan(100 * 2 ** -53 * expected)
    })
  })

  test('2^40 times as many values have the same mean and variance, to the bit', () => {
    const once = Moments.of(batchesOf('offset 1e4, std 1e-2', 1, 3).batches[0])
    const many = new Moments(5).merge(once)
    for (let times = 0; times < 40; times++) many.merge(many)
    expect(many.count).toBe(once.count * 2 ** 40)
    expect(difference(many.mean, once.mean)).toBeNull()
    expect(difference(many.variance(), once.variance())).toBeNull()
  })

  test.each(kindNames)('JSON and back, to the bit, also in what follows: %s', (kind) => {
    const [{ batches }, moments] = [batchesOf(kind, 1, 4), momentsOf(kind, 1, 4)]
    const restored = Moments.fromJSON(JSON.parse(JSON.stringify(moments)))
    expect(JSON.stringify(restored)).toBe(JSON.stringify(moments))
    expectSameBits(restored, moments)
    for (const batch of batches) expectSameBits(restored.update(batch), moments.update(batch))
  })
})

/**
 * A million batches of 3 integers, 1e6 to 1e6 + 127: what float32 sums is exact here (differences from a
 * pivot that is a multiple of 1/16), so all the error is that of the merging, and the exact answer is a
 * matter of integers. No value takes part in more than 2 * log2(n) mergings, each of which rounds a mean
 * twice and M2 four times, by float64's 2^-53. An error e of the means makes 2 * |distance| * e of a
 * squared distance, at most 2 * std * e over all.
 */
test('a hundred thousand updates, or a million, do not drift', () => {
  select(configurations[1] ?? configurations[0]) // the fastest there is: their bits are the same
  const random = new Random(5)
  const moments = new Moments(1)
  const updates = isThorough ? 1_000_000 : 100_000
  const offset = 1_000_000
  const data = new Float32Array(3)
  const batch = tensor(data, [3, 1])
  let sum = 0
  let squares = 0n
  for (let update = 0; update < updates; update++) {
    let ofBatch = 0
    for (let row = 0; row < 3; row++) {
      const value = random.below(128)
      data[row] = offset + value
      sum += value
      ofBatch += value * value
    }
    squares += BigInt(ofBatch)
    moments.update(batch)
  }
  const count = 3 * updates
  const [n, total] = [BigInt(count), BigInt(sum)]
  const mean = offset + sum / count
  const variance = Number(((n * squares - total * total) << 60n) / (n * n)) / 2 ** 60

  const rounding = 2 * Math.log2(count) * 2 ** -53
  const meanTolerance = 2 * rounding * mean
  expect(moments.count).toBe(count)
  expect(Math.abs(moments.mean[0] - mean)).toBeLessThanOrEqual(meanTolerance)
  expect(Math.abs(moments.variance()[0] - variance)).toBeLessThanOrEqual(
    4 * rounding * variance + 2 * Math.sqrt(variance) * meanTolerance,
  )
})

describe('every backend gives the same bits', () => {
  const expected = new Map<Kind, Moments>()
  select(configurations[0])
  for (const kind of kindNames) expected.set(kind, momentsOf(kind, 3, 6))

  testEachNative(() => {
    for (const kind of kindNames) expectSameBits(momentsOf(kind, 3, 6), expected.get(kind) as Moments)
  })
})

describe('what does not fit is an error, and nothing has changed', () => {
  const moments = Moments.of(tensor([[1, 2, 3]]))
  const json = moments.toJSON()
  const part = json.parts[0]
  const read = (change: object) => () => Moments.fromJSON({ ...json, ...change } as typeof json)
  const readPart = (change: object) => read({ parts: [{ ...part, ...change }] })

  test.each<[string, () => unknown, string]>([
    ['no channels', () => new Moments(0), 'Expected channels to be a positive integer but received 0'],
    [
      'another layout',
      () => new Moments(1, { layout: 'rows' as never }),
      "Expected layout to be one of channels-first, channels-last but received 'rows'",
    ],
    [
      'a batch of other channels',
      () => moments.update(tensor([[1, 2]])),
      'Expected batch of shape [N, 3, ...] but received [1, 2]',
    ],
    [
      'a batch without channels',
      () => Moments.of(tensor([1, 2])),
      'Expected batch of shape [N, C, ...] with at least one channel but received [2]',
    ],
    [
      'moments of other channels',
      () => moments.merge(new Moments(2)),
      'Expected other.channels to be 3, as here, but received 2',
    ],
    [
      'no moments',
      () => moments.merge(json as never),
      'Expected other to be Moments but received an object with keys channels, layout, parts',
    ],
    [
      'the mean of nothing',
      () => new Moments(3).mean,
      'Expected moments of at least 1 value a channel but received no values (update them first)',
    ],
    [
      'the unbiased variance of one value',
      () => moments.variance({ unbiased: true }),
      'Expected more than 1 value a channel for an unbiased variance but received 1',
    ],
    ['JSON that is none', () => Moments.fromJSON(null as never), 'Expected json to be an object'],
    ['JSON without parts', read({ parts: undefined }), 'Expected json.parts to be an array but received'],
    ['a count of 0', readPart({ count: 0 }), 'Expected json.parts[0].count to be a positive integer'],
    ['a mean that is too short', readPart({ mean: [1] }), 'Expected json.parts[0].mean to be of length 3'],
    ['a negative M2', readPart({ m2: [0, -1, 0] }), 'Expected json.parts[0].m2[1] to be at least 0'],
    [
      'a text',
      readPart({ mean: [1, 'two', 3] }),
      "Expected json.parts[0].mean[1] to be a number or one of 'NaN', 'Infinity', '-Infinity', '-0' but received 'two'",
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
    expect(moments.toJSON()).toEqual(json)
  })
})
