/** `renorm`: batch renormalization (Ioffe 2017, https://arxiv.org/abs/1702.03275, algorithm 1). */
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  batchNormState,
  decodeSafetensors,
  encodeSafetensors,
  type RenormOptions,
  recalibrate,
  type Savables,
  type State,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { exactStatistics } from './support/exact.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'
import { doubtOfBatch, outputTolerance, unit } from './support/tolerance.ts'

const shape = [16, 3, 5]
const channels = 3
const extent = { outer: 16, channels, inner: 5 }
const [x, g] = [normal(shape, 1), normal(shape, 2)]
const channelOf = (index: number) => Math.floor(index / 5) % channels

function moduleOf(options: BatchNormOptions): BatchNorm {
  return filled(new BatchNorm1d(channels, options))
}

/** What a module is, but for where its schedule is: plain batch norm has none. */
function withoutSteps(bn: BatchNorm): ReturnType<typeof snapshot> {
  const { state, ...others } = snapshot(bn)
  const { renorm_steps, ...shared } = state
  return { ...others, state: shared }
}

/** r and d that would make eval mode of it, by the formulas of the paper. */
function unclipped({ runningMean, runningVar, eps }: BatchNorm) {
  const { mean, variance } = exactStatistics(x.data, extent, eps)
  return Array.from({ length: channels }, (_, channel) => {
    const runningStd = Math.sqrt((runningVar?.data[channel] as number) + eps)
    return {
      mean: mean[channel],
      std: Math.sqrt(variance[channel] + eps),
      r: Math.sqrt(variance[channel] + eps) / runningStd,
      d: (mean[channel] - (runningMean?.data[channel] as number)) / runningStd,
    }
  })
}

/** Compares y with `((x - mean) / std * r + d) * weight + bias`. */
function expectNormalized(
  bn: BatchNorm,
  y: Tensor,
  corrections: { mean: number; std: number; r: number; d: number }[],
) {
  const doubt = doubtOfBatch(extent.outer * extent.inner)
  y.data.forEach((value, index) => {
    const { mean, std, r, d } = corrections[channelOf(index)]
    const weight = bn.weight?.data[channelOf(index)] as number
    const bias = bn.bias?.data[channelOf(index)] as number
    const normalized = (x.data[index] - mean) / std
    const expected = (normalized * r + d) * weight + bias
    // Of y, and that of the batch's statistics in r and d.
    const ofCorrection =
      Math.abs(weight) * (Math.abs(normalized * r) * (2 * doubt.invstd + 2 * unit) + r * doubt.mean)
    const tolerance =
      outputTolerance(expected, weight * r, bias, doubt) + ofCorrection + 2 * unit * Math.abs(weight * d)
    expect(Math.abs(value - expected)).toBeLessThanOrEqual(tolerance)
  })
}

describeEachBackend('batch renormalization', () => {
  const limits: {
    title: string
    given: RenormOptions
    clips: (value: { r: number; d: number }) => boolean
  }[] = [
    { title: 'wide', given: { rMax: 100, dMax: 100 }, clips: () => false },
    {
      title: 'none',
      given: { rMax: Number.POSITIVE_INFINITY, dMax: Number.POSITIVE_INFINITY },
      clips: () => false,
    },
    { title: 'of r', given: { rMax: 1.01, dMax: 100 }, clips: ({ r }) => r > 1.01 || r < 1 / 1.01 },
    { title: 'of d', given: { rMax: 100, dMax: 0.01 }, clips: ({ d }) => Math.abs(d) > 0.01 },
    {
      title: 'of both',
      given: { rMax: 1.01, dMax: 0.01 },
      clips: ({ r, d }) => r > 1.01 || r < 1 / 1.01 || Math.abs(d) > 0.01,
    },
  ]
  test.each(limits)('follows the formulas of the paper, limits: $title', ({ given, clips }) => {
    const { rMax, dMax } = given as { rMax: number; dMax: number }
    const bn = moduleOf({ renorm: given })
    const plain = moduleOf({})
    const free = unclipped(bn)
    const corrections = free.map(({ mean, std, r, d }) => ({
      mean,
      std,
      r: Math.min(Math.max(r, 1 / rMax), rMax),
      d: Math.min(Math.max(d, -dMax), dMax),
    }))
    expect(free.some(clips)).toBe(given.rMax === 1.01 || given.dMax === 0.01)
    expectNormalized(bn, bn.forward(x), corrections)
    plain.forward(x)
    expect(withoutSteps(bn).state, 'the running statistics are those of plain batch norm').toEqual(
      snapshot(plain).state,
    )
  })

  test('both sides of both limits are met', () => {
    const values = unclipped(moduleOf({}))
    expect(values.some(({ r }) => r > 1.01) && values.some(({ r }) => r < 1 / 1.01)).toBe(true)
    expect(values.some(({ d }) => d > 0.01) && values.some(({ d }) => d < -0.01)).toBe(true)
  })

  test('without limits it is eval mode, but that the running statistics move', () => {
    const bn = moduleOf({ renorm: { rMax: Number.POSITIVE_INFINITY, dMax: Number.POSITIVE_INFINITY } })
    const evaluated = moduleOf({}).eval()
    const [y, expected] = [bn.forward(x), evaluated.forward(x)]
    const doubt = doubtOfBatch(80)
    y.data.forEach((value, index) => {
      const [weight, bias] = [
        bn.weight?.data[channelOf(index)] as number,
        bn.bias?.data[channelOf(index)] as number,
      ]
      // r and d go back over the batch's statistics: twice their doubt, and both results are rounded.
      const magnitude = Math.abs(value - bias) + 10 * Math.abs(weight)
      const tolerance =
        2 * outputTolerance(value, weight, bias, doubt) + magnitude * (2 * doubt.invstd + 2 * doubt.mean)
      expect(Math.abs(value - expected.data[index])).toBeLessThanOrEqual(tolerance)
    })
    expect(bn.numBatchesTracked?.data[0]).toBe(4n)
  })

  test.each<[string, RenormOptions | true]>([
    ['rMax 1, dMax 0', { rMax: 1, dMax: 0 }],
    ['the limits of the paper, at first', true],
  ])('%s: plain batch normalization, to the bit', async (_, renorm) => {
    for (const call of ['forward', 'forwardAsync'] as const) {
      const [bn, plain] = [moduleOf({ renorm }), moduleOf({})]
      for (const seed of [1, 2, 3]) {
        expectSameBits(await bn[call](normal(shape, seed)), plain.forward(normal(shape, seed)))
        expectSameBits(bn.backward(g), plain.backward(g))
        expect(withoutSteps(bn)).toEqual(snapshot(plain))
      }
    }
  })

  test('eval mode is that of plain batch norm, to the bit', () => {
    for (const options of [{}, { useBatchStats: true }]) {
      const bn = moduleOf({ renorm: { rMax: 3, dMax: 5 }, ...options }).eval()
      const plain = moduleOf(options).eval()
      expectSameBits(bn.forward(x), plain.forward(x))
      expectSameBits(bn.backward(g), plain.backward(g))
      expect(withoutSteps(bn)).toEqual(snapshot(plain))
    }
    const frozen = moduleOf({ renorm: { rMax: 3, dMax: 5 } }).freeze()
    expectSameBits(frozen.forward(x), moduleOf({}).eval().forward(x))
  })

  test('schedules are asked for each batch, with how many came before', () => {
    const asked: [string, number][] = []
    const rMax = (batches: number) => {
      asked.push(['r', batches])
      return 1 + batches / 10
    }
    const dMax = (batches: number) => {
      asked.push(['d', batches])
      return batches / 20
    }
    const bn = moduleOf({ renorm: { rMax, dMax } })
    expect(asked.splice(0), 'checked at once').toEqual([
      ['r', 0],
      ['d', 0],
    ])
    const twin = moduleOf({ renorm: { rMax, dMax } })
    asked.splice(0)
    for (const batches of [3, 4, 5]) {
      const numbers = moduleOf({ renorm: { rMax: 1 + batches / 10, dMax: batches / 20 } })
      numbers.loadStateDict(bn.stateDict())
      expectSameBits(bn.forward(x), numbers.forward(x))
      expect(asked.splice(0)).toEqual([
        ['r', batches],
        ['d', batches],
      ])
    }
    twin.renormSteps?.data.fill(40_000n)
    twin.eval().forward(x)
    expect(asked, 'not in eval mode').toEqual([])
  })

  test.each([
    { batches: 0n, rMax: 1, dMax: 0 },
    { batches: 5000n, rMax: 1, dMax: 0 },
    { batches: 15_000n, rMax: 1 + (2 * 10) / 35, dMax: 2.5 },
    { batches: 25_000n, rMax: 1 + (2 * 20) / 35, dMax: 5 },
    { batches: 40_000n, rMax: 3, dMax: 5 },
    { batches: 1_000_000n, rMax: 3, dMax: 5 },
  ])('the limits of the paper after $batches batches: $rMax, $dMax', ({ batches, rMax, dMax }) => {
    // Batches far from the running statistics meet the limits.
    const far = tensor(
      x.data.map((value) => value * 100 + 10_000),
      shape,
    )
    const [bn, expected] = [moduleOf({ renorm: true }), moduleOf({ renorm: { rMax, dMax } })]
    for (const module of [bn, expected]) module.renormSteps?.data.fill(batches)
    expectSameBits(bn.forward(far), expected.forward(far))
    const [mine, other] = [moduleOf({ renorm: {} }), moduleOf({ renorm: { dMax } })]
    for (const module of [mine, other]) module.renormSteps?.data.fill(batches)
    expectSameBits(mine.forward(far), other.forward(far))
  })

  test('a schedule that gives what is no limit is an error when it does, and nothing has changed', async () => {
    for (const [renorm, message] of [
      [
        { rMax: (n: number) => (n < 4 ? 2 : Number.NaN) },
        'renorm.rMax(4) to be a number, at least 1, but received NaN',
      ],
      [
        { dMax: (n: number) => (n < 4 ? 2 : -1) },
        'renorm.dMax(4) to be a number, at least 0, but received -1',
      ],
      [
        { dMax: (n: number) => (n < 4 ? 2 : undefined) as number },
        'renorm.dMax(4) to be a number, at least 0, but received undefined',
      ],
      [
        {
          rMax: (n: number) => {
            if (n === 4) throw new Error('no rate for 4')
            return 2
          },
        },
        'no rate for 4',
      ],
    ] as [RenormOptions, string][]) {
      const bn = moduleOf({ renorm })
      bn.forward(x)
      const gradInput = bn.backward(g)
      bn.zeroGrad()
      const before = snapshot(bn)
      const out = new Float32Array(x.data.length).fill(42)
      expect(() => bn.forward(x, { out })).toThrow(message)
      await expect(bn.forwardAsync(x, { out })).rejects.toThrow(message)
      expect(out.every((value) => value === 42)).toBe(true)
      expect(snapshot(bn)).toEqual(before)
      expectSameBits(bn.backward(g), gradInput)
    }
  })

  test('a channel of one value over and over is corrected like any other', () => {
    const constant = tensor(new Float32Array(x.data.length).fill(0.5), shape)
    const bn = moduleOf({ renorm: { rMax: 100, dMax: 100 } })
    const { runningMean, runningVar, weight, bias } = bn
    const expected = Array.from({ length: channels }, (_, c) => {
      const [mean, variance] = [runningMean?.data[c] as number, runningVar?.data[c] as number]
      const d = (0.5 - mean) / Math.sqrt(variance + 1e-5)
      return { value: d * (weight?.data[c] as number) + (bias?.data[c] as number), d }
    })
    bn.forward(constant).data.forEach((value, index) => {
      const c = channelOf(index)
      const magnitude =
        Math.abs(expected[c].d * (weight?.data[c] as number)) + Math.abs(bias?.data[c] as number)
      expect(Math.abs(value - expected[c].value)).toBeLessThanOrEqual(8 * unit * magnitude)
    })
  })
})

describe('renorm', () => {
  const r = 'Expected renorm.rMax to be a number, at least 1, but received'
  const d = 'Expected renorm.dMax to be a number, at least 0, but received'
  // biome-ignore lint/suspicious/noExplicitAny: the wrong types are what is tested
  test.each<[any, string]>([
    [{ rMax: 0.5 }, `${r} 0.5`],
    [{ rMax: Number.NaN }, `${r} NaN`],
    [{ rMax: '3' }, `${r} '3'`],
    [{ rMax: null }, `${r} null`],
    [{ dMax: -1 }, `${d} -1`],
    [{ dMax: Number.NaN }, `${d} NaN`],
    [{ rMax: () => 0 }, 'Expected renorm.rMax(0) to be a number, at least 1, but received 0'],
    ['yes', "Expected renorm to be true, false or limits { rMax, dMax } but received 'yes'"],
  ])('%o is an error', (renorm, message) => {
    const make = () => new BatchNorm1d(channels, { renorm })
    expect(make).toThrow(message)
    expect(make).toThrow(/received -?[\dN]/.test(message) ? RangeError : TypeError)
  })

  test.each<[BatchNormOptions['renorm'], string]>([
    [true, ', renorm=True'],
    [{}, ', renorm=True'],
    [{ rMax: 2, dMax: 3 }, ', renorm=(r_max=2, d_max=3)'],
    [{ rMax: (n) => 1 + n }, ', renorm=(r_max=schedule, d_max=schedule)'],
    [false, ''],
    [null, ''],
  ])('%o is told', (renorm, text) => {
    const bn = new BatchNorm1d(channels, { renorm })
    const plain = 'BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True'
    expect(String(bn)).toBe(`${plain}${text})`)
    expect(String(new BatchNorm1d(channels, bn.options))).toBe(String(bn))
  })
})

describeEachBackend('float64', () => {
  test.each([1e6, 1e12])('an offset of %d that the running mean has too does not show', (offset) => {
    const numbers = [0, 1, 2, 4, 7, 9, 11] // their mean is no float64
    const outputOf = (by: number) => {
      const bn = new BatchNorm1d(1, { dtype: 'float64', renorm: { rMax: 2, dMax: 4 } })
      bn.runningMean?.data.fill(by)
      bn.runningVar?.data.fill(9)
      return bn.forward(
        tensor(
          Float64Array.from(numbers, (value) => value + by),
          [7, 1],
        ),
      ).data
    }
    const expected = outputOf(0)
    for (const [index, value] of outputOf(offset).entries()) {
      // invstd, r, d and the output are rounded some times each, of numbers up to 4.
      expect(Math.abs(value - expected[index])).toBeLessThanOrEqual(40 * 2 ** -53 * 4)
    }
  })
})

describe('a checkpoint knows where the schedule is', () => {
  // Each step has limits of its own.
  const renorm = { rMax: (step: number) => 1 + step / 10, dMax: (step: number) => step / 10 }
  const batches = [4, 5, 6, 7].map((seed) => normal(shape, seed))
  const train = (bn: BatchNorm, from: number, to: number) =>
    batches.slice(from, to).map((batch) => bn.forward(batch))

  test.each<[string, (state: State) => State, bigint]>([
    ['as it is', (state) => state, 5n],
    ['through JSON', (state) => JSON.parse(JSON.stringify(state)), 5n],
    ['through safetensors', (state) => throughSafetensors(state), 5n],
    ['without its step, at the counter', ({ renorm_steps, ...state }) => state, 5n],
    ['at the step, whatever the counter says', (state) => ({ ...state, num_batches_tracked: 1 }), 5n],
  ])('training goes on with the same bits: %s', (_, carried, steps) => {
    const [whole, first, resumed] = [{ renorm }, { renorm }, { renorm }].map(moduleOf)
    train(first, 0, 2)
    resumed.loadStateDict(carried(first.stateDict()))
    expect(resumed.renormSteps?.data[0]).toBe(steps)
    const expected = train(whole, 0, 4).slice(2)
    train(resumed, 2, 4).forEach((y, index) => {
      expectSameBits(y, expected[index])
    })
  })

  test('recalibrate leaves it alone, resetRunningStats begins anew, and an error changes nothing', async () => {
    const bn = moduleOf({ renorm, nonFinite: 'throw' })
    await recalibrate(bn, [x])
    expect([bn.numBatchesTracked?.data[0], bn.renormSteps?.data[0]]).toEqual([1n, 3n])
    const broken = { ...x, data: x.data.map((value, index) => (index === 7 ? Number.NaN : value)) }
    expect(() => bn.forward(broken)).toThrow(RangeError)
    bn.eval().forward(x)
    bn.train()
    expect(bn.renormSteps?.data[0]).toBe(3n)
    bn.forward(x)
    bn.recompute(x)
    expect(bn.renormSteps?.data[0]).toBe(4n)
    bn.resetRunningStats()
    expect(bn.renormSteps?.data[0]).toBe(0n)
  })

  test('a module without renorm takes a state with it, and has none', () => {
    const [bn, plain] = [moduleOf({ renorm }), new BatchNorm1d(channels)]
    expect(plain.loadStateDict(bn.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] })
    expect(plain.renormSteps).toBeNull()
    expect(Object.keys(plain.stateDict())).not.toContain('renorm_steps')
  })
})

function throughSafetensors(state: State): State {
  const file = decodeSafetensors(encodeSafetensors(state as Savables))
  return batchNormState(file, '')
}
