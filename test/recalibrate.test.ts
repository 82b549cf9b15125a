/** Running statistics are made those of the population, in one pass over its batches, of which none is kept. */
import { describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import {
  BatchNorm1d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  Moments,
  recalibrate,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { extentOf } from '../lib/tensor/shape.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { type Kind, values } from './support/data.ts'
import { exactStatistics } from './support/exact.ts'
import { normal, samplesOf, snapshot, trained } from './support/module.ts'
import { localCollectives, onEachRank } from './support/ranks.ts'
import { doubtOfMerged, relativeDoubtOfMergedVariance, unit } from './support/tolerance.ts'

/** Samples in parts of `size`, the last with what remains. */
function cut(x: Tensor, size: number): Tensor[] {
  const [samples] = x.shape
  return Array.from({ length: Math.ceil(samples / size) }, (_, part) =>
    samplesOf(x, part * size, Math.min((part + 1) * size, samples)),
  )
}

/** One after another, each in a turn of its own. */
async function* streamed<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  for (const item of items) {
    await Promise.resolve()
    yield item
  }
}

/** The whole data as one batch of training, with all its weight. */
function asOneBatch(x: Tensor, options: BatchNormOptions = {}): BatchNorm {
  const bn = trained(x.shape[1], { ...options, momentum: 1 })
  bn.forward(x)
  return bn
}

function expectSameStatistics(actual: BatchNorm, expected: BatchNorm): void {
  for (const name of ['runningMean', 'runningVar'] as const) {
    expect(difference((actual[name] as Tensor).data, (expected[name] as Tensor).data), name).toBeNull()
  }
}

const batchesTracked = (bn: BatchNorm) => bn.numBatchesTracked?.data[0]

describeEachBackend('recalibrate', () => {
  test.each<[Kind, number[], number]>([
    ['normal', [1000, 5], 64],
    ['normal', [100, 5, 7], 32],
    ['offset 1e6', [1000, 5], 64],
    ['outlier', [1000, 5], 1],
    ['sorted', [1000, 5], 300],
    ['scale 1e-20', [1000, 5], 64],
  ])('the statistics are those of the whole data: %s, %j in batches of %i', async (kind, shape, size) => {
    const extent = extentOf(shape, 'channels-first')
    const x = tensor(values(kind, extent, 1), shape)
    const bn = trained(5)
    await recalibrate(bn, streamed(cut(x, size)))
    const count = extent.outer * extent.inner
    const exact = exactStatistics(x.data, extent, 0)
    exact.mean.forEach((mean, channel) => {
      const unbiased = (exact.variance[channel] * count) / (count - 1)
      const doubtOfMean =
        doubtOfMerged(count).mean * Math.sqrt(exact.variance[channel]) + unit * Math.abs(mean)
      const doubt = (relativeDoubtOfMergedVariance(count) + unit) * unbiased + 2 ** -150
      expect(Math.abs((bn.runningMean as Tensor).data[channel] - mean)).toBeLessThanOrEqual(doubtOfMean)
      expect(Math.abs((bn.runningVar as Tensor).data[channel] - unbiased)).toBeLessThanOrEqual(doubt)
    })
    expect(batchesTracked(bn)).toBe(BigInt(Math.ceil(shape[0] / size)))
  })

  test.each<[string, number, BatchNormOptions]>([
    ['one batch', 5000, {}],
    ['three batches of a segment, the last one short', 2048, {}],
    ['with momentum null', 2048, { momentum: null }],
    ['without affine parameters', 2048, { affine: false }],
  ])('the bits are those of one big batch: %s', async (_, size, options) => {
    const x = normal([5000, 64], 2)
    const bn = trained(64, options)
    await recalibrate(bn, cut(x, size))
    expectSameStatistics(bn, asOneBatch(x, options))
  })

  test('a module of float64 beside one of float32, which takes halves: to the last digit of each', async () => {
    const [wide, narrow] = [new BatchNorm1d(1, { dtype: 'float64' }), new BatchNorm1d(1)]
    const column = [1, 1 + 2 ** -40, 1 - 2 ** -40]
    await recalibrate([wide, narrow], [column, [1]], (values) => {
      const batch = values.map((value) => [value])
      wide.forward(tensor([...batch, [1]], { dtype: 'float64' }))
      narrow.forward(tensor([...batch, [2]], { dtype: 'bfloat16' }))
    })
    const statistics = [wide, narrow].flatMap((bn) => [bn.runningMean, bn.runningVar])
    expect(statistics.map((statistic) => statistic?.data[0])).toEqual([
      1,
      2 ** -79 / 5,
      ...[4 / 3, 4 / 15].map(Math.fround),
    ])
  })

  test('a short last batch weighs what its values weigh, and so does the variance between batches', async () => {
    const bn = new BatchNorm1d(1)
    const batches = [tensor([[0], [0], [0]]), tensor([[8]])]
    await recalibrate(bn, batches)
    expect([...(bn.runningMean as Tensor).data, ...(bn.runningVar as Tensor).data]).toEqual([2, 16])
  })

  test('nothing but the running statistics changes, whatever the mode and the switches', async () => {
    const x = normal([90, 5], 3)
    const cases: [BatchNormOptions, boolean][] = [
      [{}, true],
      [{}, false],
      [{ useBatchStats: false, updateStats: true }, true],
      [{ updateStats: false }, false],
      [{ virtualBatchSize: 8 }, true],
      [{ renorm: true }, true],
    ]
    for (const [options, training] of cases) {
      for (const run of [undefined, (bn: BatchNorm) => (batch: Tensor) => bn.forward(batch)]) {
        const bn = trained(5, options).train(training)
        const { forward, forwardAsync } = bn
        const { state, gradients } = snapshot(bn)
        const title = `${bn}`
        await (run ? recalibrate(bn, cut(x, 30), run(bn)) : recalibrate(bn, cut(x, 30)))
        expectSameStatistics(bn, recalibrated(x))
        expect([`${bn}`, bn.training]).toEqual([title, training])
        expect([bn.forward, bn.forwardAsync]).toEqual([forward, forwardAsync])
        expect(Object.keys(bn)).not.toContain('forward')
        const after = snapshot(bn)
        expect([after.state.weight, after.state.bias]).toEqual([state.weight, state.bias])
        expect(after.gradients).toEqual(gradients)
      }
    }
    function recalibrated(data: Tensor): BatchNorm {
      const bn = new BatchNorm1d(5)
      const moments = new Moments(5)
      for (const batch of cut(data, 30)) moments.update(batch)
      bn.runningMean?.data.set(moments.mean)
      bn.runningVar?.data.set(moments.variance({ unbiased: true }))
      return bn
    }
  })

  test.each(['forward', 'forwardAsync'] as const)(
    'a network: each module sees what the ones before make of the batch, by %s',
    async (call) => {
      const x = normal([90, 5], 4)
      const relu = (y: Tensor) =>
        tensor(
          y.data.map((value) => Math.max(value, 0)),
          y.shape,
        )
      const [first, second] = [trained(5, { virtualBatchSize: 4 }), trained(5).eval()]
      let samples = 0
      await recalibrate([first, second, first], streamed(cut(x, 40)), async (batch) => {
        const y = await second[call](relu(await first[call](batch)))
        samples += y.shape[0]
      })
      expect(samples).toBe(90)

      const alone = trained(5)
      await recalibrate(alone, cut(x, 40))
      expectSameStatistics(first, alone)
      const normalized = cut(x, 40).map((batch) => relu(trained(5).forward(batch)))
      await recalibrate(alone, normalized)
      expectSameStatistics(second, alone)
      expect([first, second].map(batchesTracked)).toEqual([3n, 3n])
    },
  )

  test('a module that is called twice for each batch sees both, time after time; empty batches do not count', async () => {
    const [bn, twice] = [trained(5), trained(5)]
    const [one, other] = [normal([20, 5], 5), normal([30, 5], 6)]
    await recalibrate(bn, [one, normal([0, 5], 7), other])
    for (let time = 0; time < 2; time++) {
      await recalibrate(twice, [[one, other]], (batch) => batch.map((x) => twice.forward(x)))
    }
    expectSameStatistics(twice, bn)
    expect([bn, twice].map(batchesTracked)).toEqual([2n, 2n])
  })

  test("NaN: nonFinite 'skip' leaves the batch out, 'propagate' does not", async () => {
    const [x, broken] = [normal([20, 5], 5), normal([20, 5], 6)]
    broken.data[7] = Number.NaN
    const [skipping, clean] = [trained(5, { nonFinite: 'skip' }), trained(5)]
    await recalibrate(skipping, [x, broken])
    await recalibrate(clean, [x])
    expectSameStatistics(skipping, clean)
    expect(batchesTracked(skipping)).toBe(1n)
    const propagating = trained(5)
    await recalibrate(propagating, [x, broken])
    expect((propagating.runningMean as Tensor).data.map(Number.isNaN as never)).toEqual(
      Float32Array.of(0, 0, 1, 0, 0),
    )
  })

  test('the output may stand where the input was', async () => {
    const [bn, x] = [trained(5), normal([20, 5], 5)]
    const expected = asOneBatch(x)
    await recalibrate([bn], [x], (batch) => bn.forward(batch, { out: batch.data }))
    expectSameStatistics(bn, expected)
  })
})

describeEachBackend('recalibrate of many widths', () => {
  const widths = () => ({
    '0.5': [trained(2), trained(2, { virtualBatchSize: 4 }).eval()],
    '1': [trained(5), trained(5, { momentum: null })],
    alone: trained(3),
  })
  type Widths = ReturnType<typeof widths>
  /** The first channels, through the modules of a width. */
  const network = (modules: Widths) => async (batch: Tensor, width: keyof Widths) => {
    const layers = [modules[width]].flat()
    const [samples] = batch.shape
    const { numFeatures } = layers[0]
    const first = batch.data.filter((_, index) => index % 5 < numFeatures)
    let y = tensor(first, [samples, numFeatures])
    for (const layer of layers) y = await layer.forwardAsync(y)
  }
  const modulesOf = (all: Widths) => Object.values(all).flat()

  test('one pass over the batches gives the bits of one a width, and leaves modes and switches', async () => {
    const [together, apart] = [widths(), widths()]
    const batches = cut(normal([100, 5], 4), 30)
    const sent: [number, string][] = []
    const run = network(together)
    // A generator is read once.
    await recalibrate(together, streamed(batches), (batch, width) => {
      sent.push([batches.indexOf(batch), width])
      return run(batch, width)
    })
    const names = Object.keys(together) as (keyof Widths)[]
    expect(sent).toEqual(batches.flatMap((_, index) => names.map((width) => [index, width])))
    for (const width of names) {
      await recalibrate(apart[width], batches, (batch) => network(apart)(batch, width))
    }
    const seen = (all: Widths) =>
      modulesOf(all).map((bn) => [snapshot(bn), `${bn}`, bn.training, bn.useBatchStats])
    expect(seen(together)).toEqual(seen(apart))
    expect(modulesOf(together).map(batchesTracked)).toEqual(Array(5).fill(4n))
  })

  test('with a collective each rank gives its own batches, and all get the statistics of all', async () => {
    const batches = cut(normal([100, 5], 5), 25)
    const expected = widths()
    await recalibrate(expected, batches, network(expected))
    const ranks = localCollectives(2)
    const every = await onEachRank(ranks, async (collective, rank) => {
      const own = widths()
      await recalibrate(own, batches.slice(2 * rank, 2 * rank + 2), network(own), { collective })
      return modulesOf(own)
    })
    expect(every[0].map(snapshot)).toEqual(every[1].map(snapshot))
    modulesOf(expected).forEach((bn, index) => {
      expect(batchesTracked(every[0][index])).toBe(batchesTracked(bn))
      bn.runningVar?.data.forEach((variance, channel) => {
        const actual = every[0][index].runningVar?.data[channel] as number
        expect(Math.abs(actual - variance)).toBeLessThanOrEqual(4 * unit * variance)
      })
    })
  })
})

describe('after an error every module is as it was', () => {
  const x = normal([20, 5], 5)
  const through =
    (...modules: BatchNorm[]) =>
    (batch: Tensor) =>
      modules.reduce((y, module) => module.forward(y), batch)
  const failing = (at: number) => {
    let calls = 0
    return () => {
      if (calls++ === at) throw new Error('enough')
    }
  }
  type Call = (one: BatchNorm, other: BatchNorm) => Promise<void>

  test.each<[string, Call, string]>([
    ['no batches', (bn) => recalibrate(bn, []), 'Expected batches with values for BatchNorm1d(5, '],
    [
      'empty batches',
      (bn) => recalibrate(bn, [normal([0, 5], 1)]),
      '(is the iterable used up, or does run not call its forward?)',
    ],
    [
      'no iterable',
      (bn) => recalibrate(bn, x as never),
      'Expected batches to be an iterable of batches but received a Tensor',
    ],
    [
      'no module',
      () => recalibrate({} as never, [x]),
      'Expected modules to be a batch norm or an array of at least one, or such by width, but received an object',
    ],
    [
      'no modules',
      () => recalibrate([], [x], () => 0),
      'Expected modules to be a batch norm or an array of at least one but received []',
    ],
    [
      'one that is none',
      (bn) => recalibrate([bn, {} as never], [x], through(bn)),
      'Expected each of modules to be a batch norm but received an object',
    ],
    [
      'modules without a run',
      (bn) => recalibrate([bn], [x], undefined as never),
      'Expected run to be a function that takes a batch but received undefined',
    ],
    [
      'a single value',
      (bn) => recalibrate(bn, [normal([1, 5], 1)]),
      'received 1 (one value has no variance)',
    ],
    [
      'a batch of other channels',
      (bn) => recalibrate(bn, [x, normal([2, 3], 1)]),
      'Expected batch of shape [N, 5, ...] but received [2, 3]',
    ],
    [
      'batches that fail',
      (bn, other) =>
        recalibrate(
          [bn, other],
          streamed(
            (function* () {
              yield x
              failing(0)()
            })(),
          ),
          through(bn, other),
        ),
      'enough',
    ],
    [
      'a run that fails midway',
      (bn, other) => {
        const fail = failing(1)
        return recalibrate([bn, other], [x, x], (batch) => {
          through(bn, other)(batch)
          fail()
        })
      },
      'enough',
    ],
    [
      'a second module that run does not call',
      (bn, other) => recalibrate([bn, other], [x], through(bn)),
      'Expected batches with values for BatchNorm1d(5, ',
    ],
    [
      'a frozen module',
      (bn, other) => recalibrate([bn, other.freeze()], [x], through(bn, other)),
      'to let its running statistics move but received it frozen (call unfreeze() first)',
    ],
    [
      'a frozen module alone',
      (bn) => recalibrate(bn.freeze(), [x]),
      'to let its running statistics move but received it frozen',
    ],
    [
      'a module without running statistics',
      () => recalibrate(new BatchNorm1d(5, { trackRunningStats: false }), [x]),
      'to have running statistics but received trackRunningStats: false',
    ],
    ['a lazy module', () => recalibrate(new LazyBatchNorm1d(), [x]), 'to know its number of channels'],
    [
      'masks',
      (bn) => recalibrate([bn], [x], (batch) => bn.forward(batch, { lengths: [1] })),
      'without mask, lengths and weights while it is recalibrated',
    ],
    [
      'a module in two widths',
      (bn, other) => recalibrate({ narrow: [bn, other], wide: bn }, [x], () => 0),
      "to stand in one width but received it in 'narrow' and 'wide' (its statistics would be a mixture)",
    ],
    [
      'a module that is called at another width',
      (bn, other) => recalibrate({ narrow: bn, wide: other }, [x], through(bn, other)),
      "Expected run(batch, 'narrow') to call modules of 'narrow' but received a call of BatchNorm1d(5, ",
    ],
    [
      'a width that run does not call',
      (bn, other) =>
        recalibrate({ narrow: bn, wide: other }, [x], (batch, width) => {
          if (width === 'narrow') bn.forward(batch)
        }),
      'Expected batches with values for BatchNorm1d(5, ',
    ],
    [
      'a width that fails',
      (bn, other) =>
        recalibrate({ narrow: bn, wide: other }, [x, x], (batch, width) => {
          if (width === 'wide') failing(0)()
          bn.forward(batch)
        }),
      'enough',
    ],
    [
      'a frozen module of a width',
      (bn, other) => recalibrate({ narrow: bn, wide: other.freeze() }, [x], () => 0),
      'to let its running statistics move but received it frozen',
    ],
    [
      'a width without modules',
      (bn) => recalibrate({ narrow: bn, wide: [] }, [x], () => 0),
      "Expected modules['wide'] to be a batch norm or an array of at least one but received []",
    ],
    [
      'widths without a run',
      (bn) => recalibrate({ narrow: bn }, [x], undefined as never),
      'Expected run to be a function that takes a batch but received undefined',
    ],
    [
      'two at a time',
      (bn) => recalibrate([bn], [x], () => recalibrate([bn], [x], through(bn))),
      'Expected recalibrate() of BatchNorm1d(5, ',
    ],
  ])('%s', async (_, call, message) => {
    const modules: [BatchNorm, BatchNorm] = [trained(5), trained(5, { updateStats: false }).eval()]
    const before = modules.map((bn) => [snapshot(bn), bn.training, bn.updateStats])
    await expect(call(...modules)).rejects.toThrow(message)
    for (const bn of modules) if (bn.frozen) bn.unfreeze()
    expect(modules.map((bn) => [snapshot(bn), bn.training, bn.updateStats])).toEqual(before)
    expect(modules.flatMap((bn) => Object.keys(bn)).filter((key) => key.startsWith('forward'))).toEqual([])
  })

  test("nonFinite: 'throw' names the channels", async () => {
    const [bn, broken] = [trained(5, { nonFinite: 'throw' }), normal([20, 5], 6)]
    broken.data[7] = Number.NaN
    const before = snapshot(bn)
    await expect(recalibrate(bn, [x, broken])).rejects.toThrow('NaN or Infinity in channel 2 (1 of 5)')
    expect(snapshot(bn)).toEqual(before)
  })
})
