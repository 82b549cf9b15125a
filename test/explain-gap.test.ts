/** The gap is that of two forwards, and each cause is named in a module that was made ill in that way, and in no other. */
import { describe, expect, test } from 'vitest'
import { SyncBatchNorm } from '../lib/distributed/sync-batch-norm.ts'
import {
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  explainGap,
  type GapReport,
  gapLines,
  LazyBatchNorm1d,
  recalibrate,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { trained as filledModule, normal, snapshot } from './support/module.ts'
import { Random } from './support/random.ts'
import { localCollectives } from './support/ranks.ts'

const channels = 8

/** Batches of n values a channel, always other ones. */
function source(seed: number, n: number, { mean = 3, std = 2, inner = 0 } = {}): () => Tensor {
  const random = new Random(seed)
  const shape = inner === 0 ? [n, channels] : [n, channels, inner]
  const length = shape.reduce((size, axis) => size * axis)
  return () =>
    tensor(
      Float32Array.from({ length }, () => mean + std * random.normal()),
      shape,
    )
}

const many = (count: number, next: () => Tensor) => Array.from({ length: count }, next)

function trained(options: BatchNormOptions, steps: number, next: () => Tensor): BatchNorm {
  const bn = new BatchNorm1d(channels, options)
  bn.weight?.data.fill(0)
  for (let step = 0; step < steps; step++) bn.forward(next())
  return bn as BatchNorm
}

const healthy = (options: BatchNormOptions = {}) => trained(options, 200, source(1, 64))

async function explained(bn: BatchNorm, batches: Tensor[]): Promise<GapReport> {
  const [report] = await explainGap(bn, batches, { names: ['bn'] })
  return report
}

/** The root mean square between two forwards, of all and of each channel, without weight and bias. */
function measured(bn: BatchNorm, batches: Tensor[]): { all: number; each: number[] } {
  const sums = new Float64Array(bn.numFeatures)
  let count = 0
  for (const x of batches) {
    const options = { ...bn.options, scale: undefined, center: undefined, trainAffine: undefined }
    const copy = new BatchNorm1d(bn.numFeatures, { ...options, affine: false })
    copy.runningMean?.data.set(bn.runningMean?.data as Float32Array)
    copy.runningVar?.data.set(bn.runningVar?.data as Float32Array)
    copy.numBatchesTracked?.data.set(bn.numBatchesTracked?.data as BigInt64Array)
    const [train, evaluated] = [copy.forward(x).data.slice(), new Float32Array(x.data.length)]
    copy.runningMean?.data.set(bn.runningMean?.data as Float32Array)
    copy.runningVar?.data.set(bn.runningVar?.data as Float32Array)
    copy.eval().forward(x, { out: evaluated })
    const inner = x.data.length / x.shape[0] / x.shape[1]
    evaluated.forEach((value, at) => {
      sums[Math.floor(at / inner) % bn.numFeatures] += (value - train[at]) ** 2
    })
    count += x.data.length / bn.numFeatures
  }
  const each = Array.from(sums, (sum) => Math.sqrt(sum / count))
  return { all: Math.sqrt(sums.reduce((sum, value) => sum + value) / count / bn.numFeatures), each }
}

describeEachBackend('the gap', () => {
  test.each<[string, BatchNormOptions, number]>([
    ['plain', {}, 0],
    ['three axes', { momentum: null }, 5],
    ['large eps', { eps: 1 }, 0],
    ['ghost batches', { virtualBatchSize: 4 }, 0],
    ['wide renorm', { renorm: { rMax: 3, dMax: 5 } }, 0],
    ['narrow renorm', { renorm: { rMax: 1.1, dMax: 0.1 } }, 3],
    ['without parameters', { affine: false }, 0],
  ])(
    'is that of two forwards, also after recalibrate, and its parts add up: %s',
    async (_, options, inner) => {
      const bn = trained(options, 3, source(2, 20, { inner }))
      const batches = [...many(5, source(3, 12, { mean: 2, std: 5, inner })), source(4, 7, { inner })()]
      const report = await explained(bn, batches)
      const expectMeasured = (gap: number, each: number[]) => {
        const truth = measured(bn, batches)
        expect(Math.abs(gap - truth.all)).toBeLessThan(1e-5)
        const farthest = Math.max(...truth.each.map((value, channel) => Math.abs(each[channel] - value)))
        expect(farthest).toBeLessThan(1e-5)
      }
      expectMeasured(
        report.gap,
        report.channels.map(({ gap }) => gap),
      )
      for (const { gap, parts } of report.channels) {
        expect(parts.mean + parts.variance + parts.scatter).toBeCloseTo(gap ** 2, 12)
      }
      const shares = report.verdicts.reduce((sum, { share }) => sum + share, report.unexplained)
      expect(shares).toBeCloseTo(1, 12)
      await recalibrate(bn, batches)
      expectMeasured(
        report.gapAfterRecalibration,
        report.channels.map((each) => each.gapAfterRecalibration),
      )
    },
  )

  test('layout and type of the inputs do not matter, and float64 has all its digits', async () => {
    const options: BatchNormOptions = { virtualBatchSize: 3 }
    const bn = trained(options, 3, source(2, 9, { inner: 4 }))
    const last = new BatchNorm1d(channels, { ...options, layout: 'channels-last' })
    last.loadStateDict(bn.stateDict())
    const x = source(3, 9, { inner: 4 })()
    // Few digits, so that halves have all of them.
    const coarse = x.data.map((value) => Math.round(value * 4) / 4)
    const turned = coarse.map((_, at) => {
      const [sample, position, channel] = [Math.floor(at / 32), Math.floor(at / 8) % 4, at % 8]
      return coarse[32 * sample + 4 * channel + position]
    })
    const expected = await explained(bn, [tensor(coarse, x.shape)])
    const half = tensor(Array.from(coarse), { dtype: 'bfloat16' })
    expect(await explained(bn, [{ data: half.data, shape: x.shape, dtype: 'bfloat16' } as never])).toEqual(
      expected,
    )
    expect((await explained(last, [tensor(turned, [9, 4, 8])])).gap).toBeCloseTo(expected.gap, 6)

    const wide = new BatchNorm1d(1, { dtype: 'float64' })
    const column = tensor(Float64Array.of(1e9, 1e9 + 1, 1e9 + 2, 1e9 + 3), [4, 1])
    const [
      {
        channels: [only],
      },
    ] = await explainGap(wide, [column])
    expect(only.data).toEqual({ mean: 1e9 + 1.5, variance: 5 / 3 })
    // Train: sqrt(1.25) is 1; eval after recalibrate: sqrt(5 / 3) is.
    expect(only.gapAfterRecalibration).toBeCloseTo(1 - Math.sqrt(3) / 2, 5)
  })

  test('a healthy module has a small one, and no verdicts', async () => {
    for (const options of [{}, { momentum: null }, { renorm: true }]) {
      for (const count of [1, 2, 3, 20]) {
        const report = await explained(healthy(options), many(count, source(7, 64)))
        expect(report.verdicts).toEqual([])
        expect(report.gap).toBeLessThan(0.2)
        expect(gapLines(report)[1]).toBe('  nothing is wrong')
      }
    }
  })
})

/** An ill module, data, and what has to be found first: name, figure, its value, channels, least share. */
interface Illness {
  readonly title: string
  readonly make: () => readonly [BatchNorm, Tensor[]]
  readonly name: string
  readonly figure?: readonly [name: string, value: number, digits?: number]
  /** `null`: where chance decides. */
  readonly channels?: readonly number[] | null
  readonly share?: number
  readonly remedy: string
  /** What else has to be there, in any order; nothing else may. */
  readonly also?: readonly string[]
}

const data = (seed: number) => many(20, source(seed, 64))
const all = [0, 1, 2, 3, 4, 5, 6, 7]
const always = source(5, 4)()

const illnesses: readonly Illness[] = [
  {
    title: 'a fresh module',
    make: () => [new BatchNorm1d(channels), data(11)],
    ...{ name: 'never updated', figure: ['updates', 0], share: 0.98, remedy: 'recalibrate' },
  },
  {
    title: 'channels that are as at first',
    make: () => {
      const bn = healthy()
      for (const channel of [2, 5]) {
        bn.runningMean?.data.fill(0, channel, channel + 1)
        bn.runningVar?.data.fill(1, channel, channel + 1)
      }
      return [bn, data(12)]
    },
    ...{ name: 'never updated', channels: [2, 5], share: 0.98, remedy: 'train' },
  },
  {
    title: 'momentum 0.01 and 50 updates',
    make: () => [trained({ momentum: 0.01 }, 50, source(13, 64)), data(14)],
    ...{
      name: 'not arrived',
      figure: ['weight of the first values', 0.99 ** 50, 12],
      share: 0.95,
      remedy: 'momentum: null',
    },
  },
  {
    title: 'momentum 1',
    make: () => [trained({ momentum: 1 }, 50, source(15, 48)), many(20, source(16, 48))],
    ...{
      name: 'noisy average',
      figure: ['batches in the average', 1, 12],
      channels: null,
      share: 0.1,
      remedy: 'a smaller momentum',
    },
  },
  {
    title: 'batches of 4',
    make: () => [trained({ momentum: 0.01 }, 2000, source(17, 4)), many(200, source(18, 4))],
    ...{
      name: 'batch size',
      figure: ['effective values of a batch', 4, -0.3],
      share: 0.95,
      remedy: 'larger batches',
    },
  },
  {
    title: 'ghost batches of 4',
    make: () => [
      trained({ momentum: 0.01, virtualBatchSize: 4 }, 150, source(17, 64)),
      many(12, source(18, 64)),
    ],
    ...{
      name: 'batch size',
      figure: ['values of a batch', 4],
      share: 0.9,
      remedy: 'a virtualBatchSize above 4',
    },
  },
  {
    title: 'samples whose positions are alike',
    make: () => {
      const random = new Random(19)
      const next = source(20, 8, { inner: 50, mean: 0, std: 1 })
      const alike = () => {
        const x = next()
        for (let row = 0; row < 8 * channels; row++) {
          const offset = 3 * random.normal()
          for (let at = 0; at < 50; at++) x.data[50 * row + at] += offset
        }
        return x
      }
      return [trained({ momentum: 0.02 }, 300, alike), many(40, alike)]
    },
    ...{
      name: 'batch size',
      figure: ['effective values of a batch', 8, -0.7],
      share: 0.9,
      remedy: 'shuffle',
    },
  },
  {
    title: 'other data in two channels',
    make: () => {
      const batches = data(21)
      for (const { data } of batches) {
        for (let at = 0; at < data.length; at += channels) {
          data[at + 1] += 4
          data[at + 6] = 3 + (data[at + 6] - 3) / 3
        }
      }
      return [healthy(), batches]
    },
    ...{
      name: 'drift',
      figure: ['largest difference of means', 2, 0],
      channels: [1, 6],
      share: 0.9,
      remedy: 'recalibrate on data',
    },
  },
  {
    title: 'other data, in one batch',
    make: () => [healthy(), many(1, source(22, 64, { mean: 5 }))],
    ...{ name: 'drift', share: 0.95, remedy: 'adapt' },
  },
  {
    title: 'the same few samples in every batch',
    make: () => [trained({}, 300, () => always), [always, always, always]],
    ...{
      name: 'unbiased variance',
      figure: ['n / (n - 1)', 4 / 3, 12],
      share: 0.98,
      remedy: 'larger batches',
    },
  },
  {
    title: 'a variance of a tenth of eps',
    make: () => [
      trained({ eps: 1e-3 }, 200, source(23, 64, { std: 0.01 })),
      many(20, source(24, 64, { std: 0.01 })),
    ],
    ...{
      name: 'variance near eps',
      figure: ['eps / (variance + eps)', 10 / 11, 1],
      share: 0,
      remedy: 'a smaller eps',
    },
  },
  {
    title: 'a frozen module',
    make: () => [healthy().freeze(), data(25)],
    ...{ name: 'switched', figure: ['gap without the switch', 0.15, 1], share: 0, remedy: 'unfreeze()' },
  },
  {
    title: 'useBatchStats: true',
    make: () => [healthy({ useBatchStats: true }), data(25)],
    ...{ name: 'switched', share: 0, remedy: 'useBatchStats = null' },
  },
  {
    title: 'trackRunningStats: false',
    make: () => [healthy({ trackRunningStats: false }), data(25)],
    ...{ name: 'switched', share: 0, remedy: 'trackRunningStats: true' },
  },
  {
    title: 'updateStats: false',
    make: () => [healthy({ updateStats: false }), data(25)],
    ...{ name: 'never updated', share: 0.98, remedy: 'train', also: ['switched'] },
  },
  {
    title: 'a last batch of one sample',
    make: () => [healthy(), [...data(26), source(27, 1)()]],
    ...{
      name: 'single value',
      figure: ['batches of one value a channel', 1],
      share: 0,
      remedy: "singleValue: 'running'",
    },
  },
  {
    title: 'statistics that are not finite',
    make: () => {
      const bn = healthy()
      bn.runningMean?.data.fill(Number.NaN, 4, 5)
      return [bn, data(28)]
    },
    ...{ name: 'non-finite', channels: [4], share: Number.NaN, remedy: 'recalibrate' },
  },
  {
    title: 'a negative variance',
    make: () => {
      const bn = healthy()
      bn.runningVar?.data.fill(-2, 3, 4)
      return [bn, data(28)]
    },
    ...{
      name: 'negative variance',
      figure: ['least running variance', -2],
      channels: [3],
      share: Number.NaN,
      remedy: 'recalibrate',
    },
  },
  {
    title: 'a batch with NaN',
    make: () => {
      const batches = data(29)
      batches[7].data[2] = Number.NaN
      return [healthy(), batches]
    },
    ...{
      name: 'non-finite batches',
      figure: ['batches with NaN or Infinity', 1],
      channels: [2],
      share: Number.NaN,
      remedy: "nonFinite: 'throw'",
    },
  },
]

describe('a verdict', () => {
  test.each(illnesses)(
    '$title: $name',
    async ({ make, name, figure, channels: concerned = all, share = 0, remedy, also = [] }) => {
      const [bn, batches] = make()
      const before = [snapshot(bn), String(bn), bn.training]
      const report = await explained(bn, batches)
      expect([snapshot(bn), String(bn), bn.training]).toEqual(before)
      const verdict = report.verdicts.find((each) => each.name === name)
      // Small batches make the average noisy as well.
      const names = report.verdicts
        .map((each) => each.name)
        .filter((each) => each !== 'batch size' || name !== 'noisy average')
      expect(names.toSorted()).toEqual([name, ...also].toSorted())
      if (concerned !== null) expect(verdict?.channels).toEqual(concerned)
      if (Number.isNaN(share)) expect(verdict?.share).toBeNaN()
      else expect(verdict?.share).toBeGreaterThanOrEqual(share)
      expect(verdict?.remedy).toContain(remedy)
      if (figure !== undefined) {
        const [title, value, digits = 12] = figure
        const found = verdict?.figures.find((each) => each.name === title)
        expect(found?.value).toBeCloseTo(value, digits)
      }
      const [first, ...lines] = gapLines(report)
      expect(first).toMatch(
        /^bn: gap \S+, after recalibrate \S+ \(standard deviations of the training output; \d+ batch/,
      )
      expect(lines.some((line) => line.startsWith(`  ${name}, `))).toBe(true)
      expect(lines.join('\n')).toContain(`remedy: ${verdict?.remedy}`)
    },
  )

  test('a switch that makes both modes alike makes the gap 0, and drift is still named', async () => {
    const bn = healthy().freeze()
    const report = await explained(bn, many(20, source(31, 64, { mean: 9 })))
    expect([report.gap, report.gapAfterRecalibration]).toEqual([0, 0])
    expect(report.verdicts.map(({ name }) => name).toSorted()).toEqual(['drift', 'switched'])
  })

  test('what explains more comes first, and statistics from elsewhere without a counter are not new', async () => {
    const bn = healthy()
    bn.numBatchesTracked?.data.fill(0n)
    expect((await explained(bn, data(32))).verdicts).toEqual([])
    const both = await explained(
      trained({ momentum: 1 }, 50, source(15, 12)),
      many(20, source(16, 12, { mean: 9 })),
    )
    const shares = both.verdicts.map(({ share }) => share)
    expect(both.verdicts[0].name).toBe('drift')
    expect(shares).toEqual(shares.toSorted((one, other) => other - one))
  })
})

describe('in a network', () => {
  const relu = (y: Tensor) =>
    tensor(
      y.data.map((value) => Math.max(value, 0)),
      y.shape,
    )

  test.each(['forward', 'forwardAsync'] as const)(
    'each is measured on what it gets in eval, by %s',
    async (call) => {
      const [one, other] = [healthy({ affine: false }), filledModule(channels)]
      const batches = many(4, source(41, 40))
      const before = [one, other].map((bn) => [snapshot(bn), String(bn), bn.training])
      const reports = await explainGap(
        [one, other, one],
        batches,
        async (batch) => other[call](relu(await one[call](batch))),
        { names: ['one', 'other'] },
      )
      expect([one, other].map((bn) => [snapshot(bn), String(bn), bn.training])).toEqual(before)
      expect(reports.map(({ name }) => name)).toEqual(['one', 'other'])
      one.eval()
      const inputs = batches.map((batch) => relu(one.forward(batch)))
      expect(reports).toEqual([
        (await explainGap(one, batches, { names: ['one'] }))[0],
        (await explainGap(other, inputs, { names: ['other'] }))[0],
      ])
    },
  )

  test('a frozen module and one that normalizes with the batch stay so', async () => {
    for (const bn of [healthy().freeze(), healthy({ useBatchStats: true, updateStats: true })]) {
      const before = [snapshot(bn), String(bn)]
      const outputs: Tensor[] = []
      await explainGap(bn, data(42).slice(0, 2), (batch) => outputs.push(bn.forward(batch)))
      expect([snapshot(bn), String(bn)]).toEqual(before)
      expect(outputs).toHaveLength(2)
    }
  })
})

describe('an error', () => {
  const x = normal([20, channels], 5)
  const through = (bn: BatchNorm) => (batch: Tensor) => bn.forward(batch)

  test.each<[string, (bn: BatchNorm) => unknown, string]>([
    [
      'no batches',
      (bn) => explainGap(bn, []),
      'Expected batches of more than 1 value a channel for BatchNorm1d(8, ',
    ],
    ['single values', (bn) => explainGap(bn, [normal([1, channels], 1)]), 'but received single values'],
    ['no iterable', (bn) => explainGap(bn, x as never), 'Expected batches to be an iterable of batches'],
    ['no module', () => explainGap({} as never, [x]), 'Expected modules to be a batch norm or an array'],
    ['no run', (bn) => explainGap([bn], [x], undefined as never), 'Expected run to be a function'],
    ['other channels', (bn) => explainGap(bn, [normal([4, 3], 1)]), 'Expected batch of shape [N, 8, ...]'],
    [
      'a SyncBatchNorm',
      () => explainGap(new SyncBatchNorm(channels, { collective: localCollectives(2)[0] }), [x]),
      'received explainGap() with a collective',
    ],
    [
      'a lazy module',
      () => explainGap(new LazyBatchNorm1d() as never, [x]),
      'to know its number of channels',
    ],
    ['a wrong option', (bn) => explainGap(bn, [x], { name: 'bn' } as never), 'did you mean names?'],
    [
      'names of too few',
      (bn) => explainGap(bn, [x], { names: [] }),
      'Expected names to be as many as there are modules, 1,',
    ],
    [
      'names that are none',
      (bn) => explainGap(bn, [x], { names: [1] as never }),
      'Expected names to be an array of strings',
    ],
    [
      'weights',
      (bn) => explainGap(bn, [x], (batch) => bn.forward(batch, { lengths: [1] })),
      'without mask, lengths and weights while it is explained',
    ],
    ['a run that fails', (bn) => explainGap(bn, [x], () => Promise.reject(new Error('enough'))), 'enough'],
    [
      'two at a time',
      (bn) => explainGap(bn, [x], () => recalibrate(bn, [x], through(bn))),
      'but received it during explainGap()',
    ],
    ['no report', async () => gapLines({} as never), 'Expected report to be one that explainGap gave'],
  ])('%s leaves the module as it was', async (_, call, message) => {
    const bn = healthy({ updateStats: true })
    const before = [snapshot(bn), String(bn), bn.training]
    await expect(call(bn)).rejects.toThrow(message)
    expect([snapshot(bn), String(bn), bn.training]).toEqual(before)
    expect((await explained(bn, [x])).batches).toBe(1)
  })
})
