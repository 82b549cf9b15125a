/** Running statistics are blended with those of a target domain: once, or with every input, and to be undone. */
import { describe, expect, test } from 'vitest'
import {
  type AnyBatchNorm,
  adapt,
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  recalibrate,
  type Tensor,
  tensor,
  withAdaptation,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { expectSameBits, filled, normal, normal64, snapshot, trained } from './support/module.ts'

/** A domain that is not the one of N(0, 1). */
function shifted(shape: number[], seed: number): Tensor {
  const x = normal(shape, seed)
  return tensor(
    x.data.map((value, index) => 2 * value + 3 + (index % shape[1])),
    shape,
  )
}

interface Weighted {
  readonly value: number
  readonly weight: number
}

/** Mean and unbiased variance in float64; of weights the effective number makes it unbiased. */
function statisticsOf(values: readonly Weighted[]) {
  const sum = (of: (each: Weighted) => number) => values.reduce((total, each) => total + of(each), 0)
  const weights = sum(({ weight }) => weight)
  const mean = sum(({ value, weight }) => value * weight) / weights
  const biased = sum(({ value, weight }) => weight * (value - mean) ** 2) / weights
  const effective = weights ** 2 / sum(({ weight }) => weight ** 2)
  return { mean, variance: (biased * effective) / (effective - 1) }
}

interface Batch {
  readonly x: Tensor | Tensor<Float64Array>
  readonly weight: number
}

/** What the paper makes of a source and of the batches of a target, in float64. */
function blended({ mean, variance }: ReturnType<typeof sourceOf>, prior: number, batches: readonly Batch[]) {
  const n = batches.reduce((total, { x, weight }) => total + weight * x.shape[0], 0)
  const blend = (source: number, target: number) => (prior * source + n * target) / (prior + n)
  const targets = [...mean].map((_, channel) =>
    statisticsOf(
      batches.flatMap(({ x: { data, shape }, weight }) => {
        const inner = data.length / (shape[0] * shape[1])
        const isHere = (index: number) => Math.floor(index / inner) % shape[1] === channel
        return [...data].filter((_, index) => isHere(index)).map((value) => ({ value, weight }))
      }),
    ),
  )
  return {
    mean: targets.map((target, channel) => blend(mean[channel], target.mean)),
    variance: targets.map((target, channel) => blend(variance[channel], target.variance)),
  }
}

function sourceOf(bn: AnyBatchNorm) {
  const [mean, variance] = [bn.runningMean, bn.runningVar].map((each) => Float64Array.from(each?.data ?? []))
  return { mean, variance }
}

function expectStatistics(bn: AnyBatchNorm, expected: ReturnType<typeof blended>): void {
  const digits = bn.dtype === 'float64' ? 1e-13 : 1e-6
  const actual = sourceOf(bn)
  for (const name of ['mean', 'variance'] as const) {
    expected[name].forEach((value, channel) => {
      const error = Math.abs(actual[name][channel] - value)
      expect(error, `${name} ${channel}`).toBeLessThanOrEqual(digits * Math.max(1, Math.abs(value)))
    })
  }
}

const source = () => filled(new BatchNorm1d(3)).eval()
const alike = (batches: readonly Tensor[]) => batches.map((x) => ({ x, weight: 1 }))
const parts = [shifted([8, 3], 1), shifted([5, 3], 2), shifted([12, 3], 3), shifted([1, 3], 4)]

describeEachBackend('adaptation', () => {
  test.each([0.5, 16, 1e9])('prior %d: the blend is that of the paper, in samples', async (prior) => {
    const bn = source()
    const before = sourceOf(bn)
    const { state } = snapshot(bn)
    const adaptation = await adapt(bn, parts, { prior })
    expectStatistics(bn, blended(before, prior, alike(parts)))
    expect(bn.numBatchesTracked.data[0]).toBe(3n)
    expect(bn.stateDict().running_mean.data).toEqual(bn.runningMean.data)
    adaptation.undo()
    expect(snapshot(bn).state).toEqual(state)
  })

  test('float64, halves and positions: a sample is one whatever its positions', async () => {
    const wide = filled(new BatchNorm1d(3, { dtype: 'float64' }))
    const before = sourceOf(wide)
    const x = normal64([6, 3, 5], 7)
    await adapt(wide, [x], { prior: 6 })
    expectStatistics(wide, blended(before, 6, [{ x, weight: 1 }]))

    const narrow = filled(new BatchNorm2d(3))
    const half = tensor(shifted([4, 3, 2, 2], 8).data, [4, 3, 2, 2], { dtype: 'bfloat16' })
    await adapt(narrow, [half], { prior: 4 })
    const numbers = tensor(Float32Array.from(half.numbers() as Float32Array), half.shape)
    expectStatistics(narrow, blended(before, 4, [{ x: numbers, weight: 1 }]))
  })

  test('prior 0 is the target alone, to the bit what recalibrate makes of it; Infinity is the source', async () => {
    const [bn, other] = [source(), source()]
    bn.runningMean.data[1] = Number.NaN
    const { state } = snapshot(bn)
    await adapt(bn, parts, { prior: Number.POSITIVE_INFINITY })
    expect(snapshot(bn).state).toEqual(state)
    await adapt(bn, parts, { prior: 0 })
    await recalibrate(other, parts)
    expect(difference(bn.runningMean.data, other.runningMean.data)).toBeNull()
    expect(difference(bn.runningVar.data, other.runningVar.data)).toBeNull()
  })

  test('adapting again blends anew from the source; any of the two undoes it, once', async () => {
    const [bn, once] = [source(), source()]
    const { state } = snapshot(bn)
    const first = await adapt(bn, parts.slice(0, 2), { prior: 3 })
    const second = await adapt(bn, [parts[2]], { prior: 5 })
    await adapt(once, [parts[2]], { prior: 5 })
    expect(snapshot(bn)).toEqual(snapshot(once))
    first.undo()
    expect(snapshot(bn).state).toEqual(state)
    bn.runningMean.data[0] = 7
    second.undo()
    expect(bn.runningMean.data[0]).toBe(7)
  })

  test('what was trained or loaded since is a new source', async () => {
    const [bn, fresh] = [source(), trained(3).eval()]
    const old = await adapt(bn, parts, { prior: 3 })
    bn.loadStateDict(fresh.stateDict())
    const { state } = snapshot(bn)
    using _ = await adapt(bn, parts, { prior: 3 })
    await adapt(fresh, parts, { prior: 3 })
    expect(snapshot(bn)).toEqual(snapshot(fresh))
    old.undo()
    expect(snapshot(bn)).toEqual(snapshot(fresh))
    _.undo()
    expect(snapshot(bn).state).toEqual(state)
  })

  test.each(['forward', 'forwardAsync'] as const)(
    'a network: each layer normalizes as it will, by %s',
    async (call) => {
      const options: BatchNormOptions[] = [
        { virtualBatchSize: 4 },
        { useBatchStats: true, updateStats: false },
      ]
      const [first, second] = options.map((each) => filled(new BatchNorm1d(3, each)))
      second.freeze()
      const { state } = snapshot(first)
      const [x] = parts
      let seen: Tensor | null = null
      const adaptation = await adapt(
        [first, second],
        [x],
        async (batch) => {
          seen = await second[call](await first[call](batch))
        },
        { prior: 8 },
      )
      expect([first.training, second.frozen, first.useBatchStats]).toEqual([true, true, null])
      const [one, other] = [source(), source()]
      await adapt(one, [x], { prior: 8 })
      await adapt(other, [one.forward(x)], { prior: 8 })
      expectSameBits(seen as never, other.forward(one.forward(x)) as never)
      expect([first, second].map(sourceOf)).toEqual([one, other].map(sourceOf))
      adaptation.undo()
      second.unfreeze()
      expect([first, second].map((bn) => snapshot(bn).state)).toEqual([state, state])
      expect([second.useBatchStats, second.updateStats]).toEqual([true, false])
    },
  )

  test.each<[string, { window?: number; decay?: number }, (age: number) => number]>([
    ['a window of 1 unless told', {}, (age) => (age < 1 ? 1 : 0)],
    ['a window', { window: 3 }, (age) => (age < 3 ? 1 : 0)],
    ['decay', { decay: 0.9 }, (age) => 0.9 ** age],
    ['decay 0', { decay: 0 }, (age) => 0 ** age],
    ['decay 1', { decay: 1 }, () => 1],
  ])('a stream: each input is taken, then normalized: %s', async (_, options, weightOf) => {
    const bn = source()
    const before = sourceOf(bn)
    const { state } = snapshot(bn)
    const adaptation = withAdaptation(bn, { prior: 4, ...options })
    const stream = Array.from({ length: 7 }, (_, index) => shifted([2 + index, 3], 40 + index))
    const outputs: Tensor[] = []
    for (const [last, x] of stream.entries()) {
      outputs.push(bn.forward(x))
      const taken = stream.slice(0, last + 1).map((x, index) => ({ x, weight: weightOf(last - index) }))
      expectStatistics(
        bn,
        blended(
          before,
          4,
          taken.filter(({ weight }) => weight > 0),
        ),
      )
    }
    adaptation.reset()
    expect(snapshot(bn).state).toEqual(state)
    // Any number may be under way: each has the statistics of its turn.
    const again = await Promise.all(stream.map((x) => bn.forwardAsync(x)))
    again.forEach((y, index) => {
      expectSameBits(y, outputs[index])
    })
    adaptation.undo()
    adaptation.undo()
    expect(snapshot(bn).state).toEqual(state)
    bn.forward(stream[0])
    expect(snapshot(bn).state).toEqual(state)
    expect(() => adaptation.reset()).toThrow('Expected reset() before undo()')
  })

  test.each([{ window: 4 }, { decay: 0.9 }])('a long stream loses no digits: %j', (options) => {
    const bn = filled(new BatchNorm1d(1, { dtype: 'float64' })).eval()
    const before = sourceOf(bn)
    using _ = withAdaptation(bn, { prior: 1, ...options })
    const far = (seed: number, offset: number) => {
      const x = normal64([3, 1], seed)
      return tensor(
        x.data.map((value) => value + offset),
        x.shape,
      )
    }
    for (let index = 0; index < 500; index++) bn.forward(far(index, 1e8))
    const last = Array.from({ length: 700 }, (_, index) => ({
      x: far(index, 1),
      weight: options.window ? (index < 696 ? 0 : 1) : 0.9 ** (699 - index),
    }))
    // 0.9^700 of what was there before is 1e-32.
    for (const { x } of last) bn.forward(x)
    expectStatistics(
      bn,
      blended(
        before,
        1,
        last.filter(({ weight }) => weight > 0),
      ),
    )
  })

  test('of an input only what counts is taken, and only samples of which something does', () => {
    const [bn, expected] = [source(), source()]
    using _ = withAdaptation([bn, expected], { prior: 4 })
    const x = shifted([4, 3, 2], 9)
    x.data.fill(Number.NaN, 6, 12)
    const gaps = [1, 1, 0, 0, 1, 0, 0, 1]
    bn.forward(x, { mask: tensor(gaps, [4, 2]) })
    const position = (sample: number, at: number) => [0, 1, 2].map((c) => x.data[sample * 6 + 2 * c + at])
    const counted = [position(0, 0), position(0, 1), position(2, 0), position(3, 1)]
    // Three samples, of four values.
    const values = tensor(counted)
    expectStatistics(
      bn,
      ((three) => ({
        mean: three.mean.map((mean, c) => (4 * sourceMean(c) + 3 * mean) / 7),
        variance: three.variance.map((variance, c) => (4 * (0.5 + 1.5 * c) + 3 * variance) / 7),
      }))(blended({ mean: new Float64Array(3), variance: new Float64Array(3) }, 0, alike([values]))),
    )
    const lengths = normal([4, 3, 2], 10)
    bn.forward(lengths, { lengths: [2, 2, 2, 2] })
    expected.forward(lengths)
    expect(sourceOf(bn)).toEqual(sourceOf(expected))
    function sourceMean(channel: number): number {
      return channel % 2 === 0 ? 0.25 : -0.125
    }
  })

  test.each(['propagate', 'skip'] as const)('nonFinite %s: NaN stays where it is', async (nonFinite) => {
    const [bn, clean] = [filled(new BatchNorm1d(3, { nonFinite })).eval(), source()]
    const broken = shifted([8, 3], 5)
    broken.data[4] = Number.NaN
    const huge = tensor([
      [3e38, 0, 0],
      [-3e38, 0, 0],
    ])
    for (const options of [{ window: 4 }, { decay: 0.5 }]) {
      using _ = withAdaptation([bn, clean], { prior: 4, ...options })
      for (const x of [parts[0], broken, huge, parts[1]]) {
        const y = bn.forward(x)
        if (x === parts[0] || x === parts[1]) expectSameBits(y, clean.forward(x))
        if (x === broken) expect([...y.data].filter(Number.isNaN)).toHaveLength(1)
      }
    }
    await adapt(bn, [parts[0], broken], { prior: 4 })
    await adapt(clean, [parts[0]], { prior: 4 })
    expect(sourceOf(bn)).toEqual(sourceOf(clean))
  })

  test('empty inputs and a single value leave the source alone; the batch may normalize beside', () => {
    const bn = source()
    const before = snapshot(bn)
    using _ = withAdaptation(bn, { prior: 4, window: 2 })
    bn.forward(normal([0, 3], 1))
    bn.forward(normal([1, 3], 1))
    Object.assign(bn, { useBatchStats: true })
    bn.forward(parts[0])
    Object.assign(bn, { useBatchStats: null })
    expect(snapshot(bn)).toEqual(before)
    bn.forward(normal([1, 3], 2))
    expectStatistics(bn, blended(sourceOf(source()), 4, alike([normal([1, 3], 1), normal([1, 3], 2)])))
  })

  test('the output may stand where the input was, and backward follows the statistics of its forward', () => {
    const [bn, other] = [source(), source()]
    using _ = withAdaptation([bn, other], { prior: 4 })
    const [x, g] = [shifted([8, 3], 6), normal([8, 3], 7)]
    bn.forward(x)
    const gradInput = bn.backward(g)
    const scale = [...sourceOf(bn).variance].map(
      (variance, channel) => bn.weight.data[channel] / Math.sqrt(variance + bn.eps),
    )
    gradInput.data.forEach((value, index) => {
      expect(value).toBeCloseTo(g.data[index] * scale[index % 3], 5)
    })
    const inPlace = tensor(x.data.slice(), x.shape)
    expectSameBits(other.forward(inPlace, { out: inPlace.data }), bn.forward(x))
  })
})

describe('after an error everything is as it was', () => {
  const throwing = () => filled(new BatchNorm1d(3, { nonFinite: 'throw' })).eval()
  const broken = tensor([
    [1, Number.NaN, 1],
    [2, 2, 2],
  ])
  type Module = ReturnType<typeof source>

  test.each<[string, (bn: Module, other: Module) => unknown, string]>([
    ['no batches', (bn) => adapt(bn, [], { prior: 1 }), 'Expected batches with values for BatchNorm1d(3, '],
    [
      'a single value',
      (bn) => adapt(bn, [parts[3]], { prior: 1 }),
      'Expected batches of more than 1 value a channel',
    ],
    [
      'no prior',
      (bn) => adapt(bn, parts, {} as never),
      'Expected prior to be a number, at least 0, or Infinity,',
    ],
    ['prior NaN', (bn) => adapt(bn, parts, { prior: Number.NaN }), 'Expected prior to be a number'],
    ['prior below 0', (bn) => withAdaptation(bn, { prior: -1 }) as never, 'Expected prior to be a number'],
    ['a window for adapt', (bn) => adapt(bn, parts, { prior: 1, window: 2 } as never), 'among prior but'],
    [
      'window and decay',
      (bn) => withAdaptation(bn, { prior: 1, window: 2, decay: 0.5 }),
      'window with decay',
    ],
    [
      'window 0',
      (bn) => withAdaptation(bn, { prior: 1, window: 0 }),
      'Expected window to be a positive integer',
    ],
    [
      'decay 2',
      (bn) => withAdaptation(bn, { prior: 1, decay: 2 }),
      'Expected decay to be a number from 0 to 1',
    ],
    [
      'modules without a run',
      (bn) => adapt([bn], parts, { prior: 1 } as never, undefined as never),
      'Expected run',
    ],
    [
      'no running statistics',
      (bn) => adapt([bn, new BatchNorm1d(3, { trackRunningStats: false })], parts, () => 0, { prior: 1 }),
      'to have running statistics but received trackRunningStats: false (there is nothing to adapt)',
    ],
    [
      'a lazy module',
      () => withAdaptation(new LazyBatchNorm1d(), { prior: 1 }),
      'to know its number of channels',
    ],
    [
      'other channels',
      (bn) => adapt(bn, [parts[0], normal([2, 4], 1)], { prior: 1 }),
      'input of shape [N, 3, ...]',
    ],
    [
      'a second module that run does not call',
      (bn, other) => adapt([bn, other], parts, (x) => bn.forward(x), { prior: 1 }),
      'Expected batches with values for',
    ],
    [
      'a run that fails midway',
      (bn, other) =>
        adapt(
          [bn, other],
          parts,
          (x) => {
            other.forward(bn.forward(x))
            if (x === parts[1]) throw new Error('enough')
          },
          { prior: 1 },
        ),
      'enough',
    ],
    [
      'weights',
      (bn) => adapt([bn], [parts[3]], (x) => bn.forward(x, { weights: [1] }), { prior: 1 }),
      'without weights while it is adapted',
    ],
    [
      'training meanwhile',
      (bn) => adapt([bn], parts, (x) => bn.train().forward(x), { prior: 1 }),
      'to leave the running statistics alone while they are adapted',
    ],
    [
      'two at a time',
      (bn, other) => adapt([bn], parts, () => adapt([other, bn], parts, () => 0, { prior: 1 }), { prior: 1 }),
      'Expected adapt() of BatchNorm1d(3, ',
    ],
  ])('%s', async (_, call, message) => {
    const modules: [Module, Module] = [source(), source()]
    const before = modules.map((bn) => [snapshot(bn), bn.training])
    await expect((async () => call(...modules))()).rejects.toThrow(message)
    expect(modules.map((bn) => [snapshot(bn), bn.training])).toEqual(before)
    // Nothing is held.
    withAdaptation(modules, { prior: 1 }).undo()
  })

  test("nonFinite: 'throw' names the channels, and the stream goes on as if nothing had been", async () => {
    const [bn, clean] = [throwing(), throwing()]
    const { state } = snapshot(bn)
    await expect(adapt(bn, [parts[0], broken], { prior: 4 })).rejects.toThrow('channel 1 (1 of 3)')
    expect(snapshot(bn).state).toEqual(state)
    using _ = withAdaptation([bn, clean], { prior: 4, window: 3 })
    for (const x of parts) {
      expect(() => bn.forward(broken)).toThrow('channel 1 (1 of 3)')
      expect(() => bn.forward(x, { out: new Float32Array(1) })).toThrow('Expected out')
      expect(() => bn.forward(normal([2, 4], 1))).toThrow('Expected input of shape')
      expectSameBits(bn.forward(x), clean.forward(x))
    }
  })

  test('while a stream is adapted: training, loading, and what wants the module for itself', async () => {
    const bn = source()
    const { state } = snapshot(bn)
    const adapted = await adapt(bn, parts, { prior: 1 })
    const stream = withAdaptation(bn, { prior: 1 })
    expect(snapshot(bn).state).toEqual(state)
    for (const call of [adapt(bn, parts, { prior: 1 }), recalibrate(bn, parts)]) {
      await expect(call).rejects.toThrow('during withAdaptation() (end the first before)')
    }
    expect(() => withAdaptation(bn, { prior: 1 })).toThrow('received a second')
    expect(() => adapted.undo()).toThrow('Expected undo() of BatchNorm1d(3, ')
    expect(() => bn.train().forward(parts[0])).toThrow(
      '(call eval(), or undo() of the adaptation to train on)',
    )
    bn.eval().resetRunningStats()
    expect(() => bn.forward(parts[0])).toThrow('(call undo() of the adaptation before they are loaded')
    stream.undo()
    expect(bn.runningMean.data).toEqual(state.running_mean)
    adapted.undo()
    expect(bn.runningMean.data).toEqual(state.running_mean)
  })
})
