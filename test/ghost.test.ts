/** `virtualBatchSize`: ghost batches are forwards one after another, each of a few of the samples. */
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  type ForwardOptions,
  type Layout,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { expectSameBits, filled, joined, normal, samplesOf, snapshot } from './support/module.ts'

const channels = 3
const forms: { layout: Layout; axes: (samples: number) => number[]; positions: number }[] = [
  { layout: 'channels-first', axes: (samples) => [samples, channels], positions: 1 },
  { layout: 'channels-first', axes: (samples) => [samples, channels, 5], positions: 5 },
  { layout: 'channels-last', axes: (samples) => [samples, 5, channels], positions: 5 },
]

function moduleOf(options: BatchNormOptions): BatchNorm {
  return filled(new BatchNorm1d(channels, options))
}

/** The same done by a module without the option, one group after another. */
function oneAfterAnother(
  plain: BatchNorm,
  x: Tensor,
  g: Tensor,
  groups: readonly (readonly [begin: number, end: number])[],
  callFor: (begin: number, end: number) => ForwardOptions,
) {
  const sums = plain.parameters().map(({ grad }) => new Float64Array(grad.length))
  const results = groups.map(([begin, end]) => {
    const y = plain.forward(samplesOf(x, begin, end), callFor(begin, end))
    const gradInput = plain.backward(samplesOf(g, begin, end))
    plain.parameters().forEach(({ grad }, index) => {
      grad.forEach((value, channel) => {
        sums[index][channel] += value
      })
    })
    plain.zeroGrad()
    return { y, gradInput }
  })
  return {
    y: tensor(joined(results.map(({ y }) => y)), x.shape),
    gradInput: tensor(joined(results.map(({ gradInput }) => gradInput)), x.shape),
    // Of the groups, added in float64 and rounded once.
    gradients: sums.map((sum) => Float32Array.from(sum)),
  }
}

const sizes: { samples: number; size: number; groups: [number, number][] }[] = [
  {
    samples: 8,
    size: 4,
    groups: [
      [0, 4],
      [4, 8],
    ],
  },
  {
    samples: 9,
    size: 4,
    groups: [
      [0, 4],
      [4, 9],
    ],
  },
  {
    samples: 11,
    size: 4,
    groups: [
      [0, 4],
      [4, 11],
    ],
  },
  {
    samples: 12,
    size: 3,
    groups: [
      [0, 3],
      [3, 6],
      [6, 9],
      [9, 12],
    ],
  },
  { samples: 7, size: 4, groups: [[0, 7]] },
  { samples: 3, size: 4, groups: [[0, 3]] },
  { samples: 4, size: 4, groups: [[0, 4]] },
]

const optionsOfAll: BatchNormOptions[] = [
  {},
  { momentum: null, nonFinite: 'skip' },
  { trackRunningStats: false, center: false },
  { affine: false, updateStats: false },
  { renorm: { rMax: 1.25, dMax: 0.5 } },
  { renorm: { rMax: (batches) => 1 + batches / 8, dMax: (batches) => batches / 16 }, momentum: null },
]

describeEachBackend('ghost batches', () => {
  describe.each(forms)('$layout, $positions positions', ({ layout, axes, positions }) => {
    test.each(sizes)('$samples samples by $size: $groups, to the bit', async ({ samples, size, groups }) => {
      const [x, g] = [normal(axes(samples), 1), normal(axes(samples), 2)]
      const weights = Array.from({ length: samples }, (_, sample) => 1 + (sample % 3))
      const mask = Array.from({ length: samples * positions }, (_, index) => Number(index % 5 !== 3))
      const calls: ((begin: number, end: number) => ForwardOptions)[] = [
        () => ({}),
        (begin, end) => ({ weights: weights.slice(begin, end) }),
        (begin, end) => ({ mask: mask.slice(begin * positions, end * positions) }),
      ]
      for (const options of optionsOfAll) {
        for (const callFor of calls) {
          for (const call of ['forward', 'forwardAsync'] as const) {
            const ghost = moduleOf({ layout, ...options, virtualBatchSize: size })
            const plain = moduleOf({ layout, ...options })
            const y = await ghost[call](x, callFor(0, samples))
            const gradInput = ghost.backward(g)
            const expected = oneAfterAnother(plain, x, g, groups, callFor)
            expectSameBits(y, expected.y)
            expectSameBits(gradInput, expected.gradInput)
            expect(snapshot(ghost)).toEqual({ state: snapshot(plain).state, gradients: expected.gradients })
          }
        }
      }
    })

    test('are there in training only', () => {
      const x = normal(axes(9), 1)
      for (const options of [{}, { useBatchStats: true }]) {
        const ghost = moduleOf({ layout, virtualBatchSize: 4, ...options }).eval()
        const plain = moduleOf({ layout, ...options }).eval()
        expectSameBits(ghost.forward(x), plain.forward(x))
        expectSameBits(ghost.backward(x), plain.backward(x))
        expect(snapshot(ghost)).toEqual(snapshot(plain))
      }
      const frozen = moduleOf({ layout, virtualBatchSize: 4 }).freeze()
      expectSameBits(frozen.forward(x), moduleOf({ layout }).eval().forward(x))
    })

    test('a group where nothing counts is none', () => {
      const [x, g] = [normal(axes(9), 1), normal(axes(9), 2)]
      const mask = [1, 1, 1, 0, 0, 0, 1, 1, 1]
      const ghost = moduleOf({ layout, virtualBatchSize: 3 })
      const plain = moduleOf({ layout })
      const y = ghost.forward(x, { mask })
      const gradInput = ghost.backward(g)
      for (const [begin, end] of [
        [0, 3],
        [6, 9],
      ]) {
        expectSameBits(samplesOf(y, begin, end), plain.forward(samplesOf(x, begin, end)))
        expectSameBits(samplesOf(gradInput, begin, end), plain.backward(samplesOf(g, begin, end)))
      }
      expect(samplesOf(y, 3, 6).data.every((value) => value === 0)).toBe(true)
      expect(snapshot(ghost).state).toEqual(snapshot(plain).state)
    })
  })

  test('a group of weights 0 takes the running statistics as they are by then, and moves nothing', () => {
    const x = normal([12, channels], 1)
    const options: BatchNormOptions = { renorm: { rMax: 1.1, dMax: (batches) => batches / 64 } }
    const ghost = moduleOf({ ...options, virtualBatchSize: 4 })
    const plain = moduleOf(options)
    const y = ghost.forward(x, { weights: [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1] })
    expectSameBits(samplesOf(y, 0, 4), plain.forward(samplesOf(x, 0, 4)))
    expectSameBits(samplesOf(y, 4, 8), plain.eval().forward(samplesOf(x, 4, 8)))
    expectSameBits(samplesOf(y, 8, 12), plain.train().forward(samplesOf(x, 8, 12)))
    expect(snapshot(ghost)).toEqual(snapshot(plain))
  })

  test('a group of one value is one value', () => {
    const x = normal([3, channels], 1)
    const ghost = moduleOf({ virtualBatchSize: 1 })
    const before = snapshot(ghost)
    expect(() => ghost.forward(x)).toThrow(
      "Expected more than 1 value per channel when training, got input size [3, 3] (a ghost batch of 1, or use the option singleValue: 'running')",
    )
    expect(snapshot(ghost)).toEqual(before)
    const running = moduleOf({ virtualBatchSize: 1, singleValue: 'running' })
    expectSameBits(running.forward(x), moduleOf({}).eval().forward(x))
    expect(snapshot(running)).toEqual(before)
  })

  test('nothing has changed where the last group is refused', async () => {
    const x = normal([8, channels], 1)
    const bad = tensor(x.data.slice(), [8, channels])
    bad.data[7 * channels + 1] = Number.NaN
    const ghost = moduleOf({ virtualBatchSize: 4, nonFinite: 'throw' })
    ghost.forward(x)
    const before = snapshot(ghost)
    const out = new Float32Array(x.data.length).fill(42)
    expect(() => ghost.forward(bad, { out })).toThrow('NaN or Infinity in channel 1 (1 of 3)')
    await expect(ghost.forwardAsync(bad, { out })).rejects.toThrow('NaN or Infinity in channel 1 (1 of 3)')
    expect(out).toEqual(new Float32Array(x.data.length).fill(42))
    expect(snapshot(ghost)).toEqual(before)
    const skipping = moduleOf({ virtualBatchSize: 4, nonFinite: 'skip' })
    const plain = moduleOf({})
    skipping.forward(bad)
    plain.forward(samplesOf(bad, 0, 4))
    expect(snapshot(skipping).state, 'the good group has moved them').toEqual(snapshot(plain).state)
  })
})

describe('virtualBatchSize', () => {
  test.each([
    [0, RangeError, '0'],
    [-1, RangeError, '-1'],
    [1.5, RangeError, '1.5'],
    [Number.NaN, RangeError, 'NaN'],
    [Number.POSITIVE_INFINITY, RangeError, 'Infinity'],
    ['4', TypeError, "'4'"],
    [true, TypeError, 'true'],
  ])('%s is an error', (virtualBatchSize, kind, shown) => {
    const make = () => new BatchNorm1d(channels, { virtualBatchSize } as BatchNormOptions)
    expect(make).toThrow(kind)
    expect(make).toThrow(`Expected virtualBatchSize to be a positive integer but received ${shown}`)
  })

  test('is told', () => {
    const bn = new BatchNorm1d(channels, { virtualBatchSize: 32 })
    expect(bn.virtualBatchSize).toBe(32)
    expect(bn.options.virtualBatchSize).toBe(32)
    expect(String(bn)).toBe(
      'BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, virtual_batch_size=32)',
    )
    expect(new BatchNorm1d(channels, { virtualBatchSize: null }).virtualBatchSize).toBeNull()
  })
})
