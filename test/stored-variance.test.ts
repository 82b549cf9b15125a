/** `storedVariance`: whatever moves or sets a running variance takes the one that the option says. */
import { expect, test } from 'vitest'
import { SyncBatchNorm } from '../lib/distributed/index.ts'
import {
  adapt,
  BatchNorm1d,
  type BatchNormOptions,
  explainGap,
  functional,
  MicroBatches,
  recalibrate,
  type StoredVariance,
  slice,
  updateBn,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { normal } from './support/module.ts'
import { localCollectives, onEachRank } from './support/ranks.ts'

const x = normal([6, 3, 2], 1)
const n = 12

type Statistics = [mean: ArrayLike<number>, variance: ArrayLike<number>]

function statisticsOf({ runningMean, runningVar }: BatchNorm1d): Statistics {
  return [runningMean.data, runningVar.data]
}

/** Of a module after something was done with it. */
const after =
  (change: (bn: BatchNorm1d) => unknown, options: BatchNormOptions = {}) =>
  async (storedVariance: StoredVariance): Promise<Statistics> => {
    const bn = new BatchNorm1d(3, { momentum: 1, ...options, storedVariance } as { momentum: number })
    await change(bn)
    return statisticsOf(bn)
  }

/** What each makes of a batch, and by how many values a channel its variances differ. */
const movers: Readonly<
  Record<string, [count: number, move: (stored: StoredVariance) => Promise<Statistics>]>
> = {
  forward: [n, after((bn) => bn.forward(x))],
  forwardAsync: [n, after((bn) => bn.forwardAsync(x))],
  mask: [8, after((bn) => bn.forward(x, { mask: [1, 1, 0, 1, 0, 1] }))],
  // The effective number of values: (2 * 9)^2 / (2 * 15).
  weights: [10.8, after((bn) => bn.forward(x, { weights: [1, 1, 1, 2, 2, 2] }))],
  renorm: [n, after((bn) => bn.forward(x), { renorm: true })],
  'ghost batches': [6, after((bn) => bn.forward(x), { virtualBatchSize: 3 })],
  'micro-batches': [
    n,
    after((bn) => {
      const step = new MicroBatches(bn)
      step.observe(x)
      step.forward(x)
    }),
  ],
  recalibrate: [n, after((bn) => recalibrate(bn, [x]))],
  updateBn: [n, after((bn) => updateBn(bn, [x]))],
  adapt: [n, after((bn) => adapt(bn, [x], { prior: 0 }))],
  'a slice': [
    n,
    async (storedVariance) => {
      const bn = slice(new BatchNorm1d(5, { momentum: 1, storedVariance }), 3)
      bn.forward(x)
      return statisticsOf(bn)
    },
  ],
  ranks: [
    2 * n,
    async (storedVariance) => {
      const all = await onEachRank(localCollectives(2), async (collective) => {
        const bn = new SyncBatchNorm(3, { momentum: 1, storedVariance, collective })
        await bn.forwardAsync(x)
        return [bn.runningMean.data, bn.runningVar.data] as Statistics
      })
      return all[0]
    },
  ],
  'functional.batchNorm': [
    n,
    async (storedVariance) => {
      const [runningMean, runningVar] = [new Float32Array(3), new Float32Array(3)]
      functional.batchNorm(x, { training: true, momentum: 1, runningMean, runningVar, storedVariance })
      return [runningMean, runningVar]
    },
  ],
}

describeEachBackend('the biased variance is (n - 1) / n of the unbiased one:', () => {
  test.each(Object.keys(movers))('%s', async (name) => {
    const [count, move] = movers[name]
    const [biased, unbiased] = [await move('biased'), await move('unbiased')]
    expect(biased[0]).toEqual(unbiased[0])
    Array.from(biased[1]).forEach((variance, channel) => {
      expect((variance * count) / (count - 1) / unbiased[1][channel]).toBeCloseTo(1, 6)
    })
  })
})

test('it is where a variance does not fit that decides whether a batch does', () => {
  // The unbiased variance is twice the biased one, which is the largest float32 and fits.
  const far = Math.sqrt(3.4e38)
  const batch = { data: Float32Array.of(-far, far), shape: [2, 1] }
  const make = (storedVariance: StoredVariance) =>
    new BatchNorm1d(1, { storedVariance, momentum: 1, nonFinite: 'throw' })
  const fitting = make('biased')
  fitting.forward(batch)
  expect(Number.isFinite(fitting.runningVar.data[0])).toBe(true)
  expect(() => make('unbiased').forward(batch)).toThrow(/a variance that does not fit float32/)
})

test('of the same few samples again and again no gap remains, as explainGap sees', async () => {
  const few = normal([4, 3], 7)
  const names = async (storedVariance: StoredVariance) => {
    const bn = new BatchNorm1d(3, { storedVariance })
    for (let step = 0; step < 300; step++) bn.forward(few)
    const [report] = await explainGap(bn, [few, few, few])
    return [report.gap < 1e-5, report.verdicts.map(({ name }) => name)]
  }
  expect(await names('biased')).toEqual([true, []])
  expect(await names('unbiased')).toEqual([false, ['unbiased variance']])
})
