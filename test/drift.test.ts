/** `watch`: the drift of inputs from the running statistics. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  DomainBatchNorm1d,
  type ModuleDrift,
  recalibrate,
  type Tensor,
  tensor,
  type WatchOptions,
  watch,
} from '../lib/index.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import { describeEachBackend } from './support/backends.ts'
import type { FloatArray } from './support/bits.ts'
import { expectSameBits, filled, normal, normal64, snapshot } from './support/module.ts'

const channels = 3

/** Of mean 0 and variance 1 in every channel, as the inputs of `normal` are. */
function served(options: BatchNormOptions = {}): BatchNorm1d {
  return new BatchNorm1d(channels, options as BatchNormOptions<'float32', true, true, true>).eval()
}

/** Samples whose channel 1 is moved and stretched. */
function moved(samples: number, seed: number, shift: number, scale = 1): Tensor {
  const { data } = normal([samples, channels], seed)
  return tensor(
    data.map((value, index) => (index % channels === 1 ? value * scale + shift : value)),
    [samples, channels],
  )
}

async function eventsOf(batches: readonly Tensor[], options: WatchOptions): Promise<[string, ModuleDrift][]> {
  const bn = served()
  using watching = watch({ bn }, options)
  const events: [string, ModuleDrift][] = []
  watching.on('drift', (drift) => events.push(['drift', drift]))
  watching.on('recovery', (drift) => events.push(['recovery', drift]))
  for (const batch of batches) {
    bn.forward(batch)
    await setImmediate()
  }
  return events
}

describeEachBackend('a watch', () => {
  test.each<[string, BatchNormOptions<ParameterType>, readonly number[]]>([
    ['[N, C]', {}, [40, channels]],
    ['[N, C, L]', {}, [16, channels, 5]],
    ['[N, L, C]', { layout: 'channels-last' }, [16, 70, channels]],
    ['float64', { dtype: 'float64' }, [16, channels, 5]],
    ['a frozen module with an activation', { activation: 'relu' }, [40, channels]],
  ])('reports the formulas in float64, and leaves outputs and state alone: %s', async (_, options, shape) => {
    const make = () => {
      const bn = filled(new BatchNorm1d(channels, options as BatchNormOptions)).eval()
      return options.activation ? bn.freeze() : bn
    }
    const [bn, plain] = [make(), make()]
    using watching = watch({ first: bn }, { every: 1, window: 1000 })
    const batches = [1, 2, 3].map((seed) =>
      options.dtype === 'float64' ? normal64([...shape], seed) : normal([...shape], seed),
    ) as Tensor<FloatArray>[]
    for (const batch of batches) {
      expectSameBits(bn.forward(batch), plain.forward(batch))
      expectSameBits(await bn.forwardAsync(batch), plain.forward(batch))
    }
    expect(snapshot(bn)).toEqual(snapshot(plain))

    const [report] = watching.report()
    expect(report).toMatchObject({
      name: 'first',
      channels,
      calls: 6,
      observedCalls: 6,
      samples: 6 * shape[0],
    })
    const axis = options.layout === 'channels-last' ? shape.length - 1 : 1
    const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1)
    const values = Array.from({ length: channels }, (_, channel) =>
      batches.flatMap(({ data }) =>
        Array.from(data).filter((_, at) => Math.floor(at / inner) % channels === channel),
      ),
    )
    values.forEach((own, channel) => {
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length
      const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length
      const scale = (bn.runningVar?.data[channel] as number) + bn.eps
      const shift = (mean - (bn.runningMean?.data[channel] as number)) / Math.sqrt(scale)
      const ratio = (variance + bn.eps) / scale
      expect(report.drift?.meanShift[channel]).toBeCloseTo(shift, 6)
      expect((report.drift?.varianceRatio[channel] as number) / ratio).toBeCloseTo(1, 6)
      const z = Math.sqrt(2 * Math.log((4 * channels) / 1e-3))
      const doubt = z * Math.sqrt(Math.max(ratio, 1) / report.samples)
      expect((report.drift?.meanDoubt[channel] as number) / doubt).toBeCloseTo(1, 6)
      const factor = report.drift?.varianceDoubt as number
      expect(factor).toBeGreaterThan(1)
      expect(((factor - 1 - Math.log(factor)) * (report.samples - 1)) / z ** 2).toBeCloseTo(1, 6)
    })
  })

  test('observes what mask and lengths let count, and nothing that does not normalize with running statistics', () => {
    const bn = served()
    using watching = watch(bn, { every: 1 })
    const batch = normal([4, channels, 6], 1)
    const kept = tensor(
      [0, 2].flatMap((sample) =>
        Array.from(batch.data.slice(sample * channels * 6, (sample + 1) * channels * 6)),
      ),
      [2, channels, 6],
    )
    bn.forward(batch, { mask: [1, 0, 1, 0] })
    const masked = watching.report()[0]
    watching.reset()
    bn.forward(kept)
    const alone = watching.report()[0]
    expect([masked.samples, alone.samples]).toEqual([2, 2])
    masked.drift?.meanShift.forEach((shift, channel) => {
      expect(shift).toBeCloseTo(alone.drift?.meanShift[channel] as number, 12)
    })
    bn.forward(batch, { lengths: [6, 0, 2, 0] })
    expect(watching.report()[0]).toMatchObject({ samples: 4, calls: 3 })
    bn.forward(batch, { mask: [0, 0, 0, 0] })
    bn.forward(tensor([], [0, channels]))
    expect(() => bn.forward(batch, { residual: kept })).toThrow(RangeError)
    bn.train().forward(batch)
    bn.eval().useBatchStats = true
    bn.forward(batch)
    expect(watching.report()[0].samples).toBe(4)
  })

  test('halves are observed as they are widened', () => {
    const bn = served()
    using watching = watch(bn, { every: 1 })
    // 1, 2 and -1 as bfloat16.
    const data = Uint16Array.of(0x3f80, 0x4000, 0xbf80, 0x3f80, 0x4000, 0xbf80)
    bn.forward({ data, shape: [2, channels], dtype: 'bfloat16' })
    const scale = Math.sqrt(1 + bn.eps)
    expect(Array.from(watching.report()[0].drift?.meanShift ?? [])).toEqual([
      1 / scale,
      2 / scale,
      -1 / scale,
    ])
  })
})

describe('a channel has drifted', () => {
  const healthy = Array.from({ length: 8 }, (_, seed) => normal([256, channels], seed + 1))
  test.each<[string, readonly Tensor[], WatchOptions, readonly number[] | null]>([
    ['by a mean beyond the threshold', [moved(512, 3, 1)], {}, [1]],
    ['not by a mean within it', [moved(4096, 3, 0.2)], { window: 4096 }, null],
    [
      'by any mean that is no chance, with a threshold of 0',
      [moved(4096, 3, 0.2)],
      { meanShift: 0, window: 4096 },
      [1],
    ],
    ['not by a shift that so few samples cannot tell from chance', [moved(16, 3, 0.6)], { window: 16 }, null],
    ['by a variance of nine times', [moved(1024, 4, 0, 3)], {}, [1]],
    ['by a variance of a ninth', [moved(1024, 4, 0, 1 / 3)], {}, [1]],
    ['not by a variance of 1.44 times', [moved(1024, 4, 0, 1.2)], {}, null],
    ['not in healthy data', healthy, { window: 256 }, null],
    [
      'not by chance, with no threshold but chance',
      healthy,
      { window: 256, meanShift: 0, varianceRatio: 1 },
      null,
    ],
  ])('%s', async (_, batches, options, drifted) => {
    const events = await eventsOf(batches, { every: 1, window: 512, ...options })
    expect(events.map(([event, { drift }]) => [event, drift?.drifted])).toEqual(
      drifted === null ? [] : [['drift', drifted]],
    )
  })

  test('false alarms are as rare as they are said to be, of windows of many sizes', async () => {
    for (const size of [2, 8, 64]) {
      const batches = Array.from({ length: 400 }, (_, seed) => normal([size, channels], seed + 7))
      const options = { every: 1, window: size, meanShift: 0, varianceRatio: 1, falseAlarms: 1e-3 }
      expect(await eventsOf(batches, options)).toEqual([])
    }
  })

  test('once when it begins and once when it ends, also for a service of one sample a call', async () => {
    const samples = (batch: Tensor) =>
      Array.from({ length: batch.shape[0] }, (_, row) =>
        tensor(batch.data.slice(row * channels, (row + 1) * channels), [1, channels]),
      )
    const stream = [normal([200, channels], 1), moved(400, 2, 2), normal([400, channels], 3)].flatMap(samples)
    const events = await eventsOf(stream, { every: 1, window: 100 })
    expect(events.map(([event]) => event)).toEqual(['drift', 'recovery'])
    expect(events[0][1]).toMatchObject({ name: 'bn', calls: 300, hasDrifted: true })
    expect(events[1][1].hasDrifted).toBe(false)
  })
})

describe('watch', () => {
  test('events come after the forward has returned, whose caller an error of a listener would hit', async () => {
    const bn = served()
    using watching = watch(bn, { every: 1, window: 64 })
    const seen: string[] = []
    watching.on('drift', () => seen.push('called'))
    expect(bn.forward(moved(64, 1, 5)).shape).toEqual([64, channels])
    expect(seen, 'not before the forward has returned').toEqual([])
    await setImmediate()
    expect(seen).toEqual(['called'])
    const silent = () => seen.push('silent')
    watching.on('recovery', silent).off('recovery', silent)
    for (const seed of [2, 3]) bn.forward(normal([64, channels], seed))
    await setImmediate()
    expect([seen, watching.report()[0].hasDrifted]).toEqual([['called'], false])
  })

  test('one call in `every` is observed in the mean, and no period of the traffic hides', () => {
    const bn = served()
    using watching = watch(bn, { every: 32, window: 1e9 })
    const [even, odd] = [moved(1, 1, 100), moved(1, 1, -100)]
    for (let call = 0; call < 16_000; call++) bn.forward(call % 2 === 0 ? even : odd)
    const [{ calls, observedCalls, drift }] = watching.report()
    expect(calls).toBe(16_000)
    // 500 in the mean; pauses are even from 0 to 62, so their sum of 500 scatters by 4 %.
    expect(Math.abs(observedCalls - 500)).toBeLessThan(100)
    expect(Math.abs(drift?.meanShift[1] as number)).toBeLessThan(20)
  })

  test('inputs with NaN or Infinity are counted and left out', () => {
    const bn = served()
    using watching = watch(bn, { every: 1 })
    const broken = normal([4, channels], 1)
    broken.data[4] = Number.NaN
    for (const batch of [normal([4, channels], 2), broken]) bn.forward(batch)
    expect(watching.report()[0]).toMatchObject({ calls: 2, observedCalls: 2, nonFiniteCalls: 1, samples: 4 })
    expect(watching.report()[0].drift?.meanShift.every(Number.isFinite)).toBe(true)
  })

  test('forgets what is older than two windows; reset compares with the statistics of now; stop ends it', async () => {
    const bn = served()
    const watching = watch([bn], { every: 1, window: 128 })
    for (const batch of [moved(128, 1, 3), normal([128, channels], 2), normal([100, channels], 3)])
      bn.forward(batch)
    expect(watching.report()[0]).toMatchObject({ name: '0', samples: 228, hasDrifted: false })
    const far = moved(256, 4, 30)
    bn.forward(far)
    expect(watching.report()[0].hasDrifted).toBe(true)
    await recalibrate(bn, [far])
    watching.reset()
    expect(watching.report()[0]).toMatchObject({ samples: 0, drift: null, hasDrifted: false })
    bn.forward(far)
    expect(watching.report()[0].hasDrifted).toBe(false)
    watching.stop()
    bn.forward(far)
    expect(watching.report()[0].calls).toBe(5)
    expect(() => watching.stop()).not.toThrow()
    expect(() => watching.on('drifted' as 'drift', () => {})).toThrow(/event to be one of drift, recovery/)
    expect(() => watching.on('drift', 5 as never)).toThrow(/listener to be a function but received 5/)
  })

  test('several watches and a recalibration hear the same module', async () => {
    const bn = served()
    using one = watch(bn, { every: 1 })
    using other = watch({ bn }, { every: 1, window: 16 })
    bn.forward(normal([16, channels], 1))
    await recalibrate([bn], [normal([16, channels], 2)], (batch) => bn.forward(batch))
    expect([one, other].map((each) => each.report()[0].calls)).toEqual([1, 1])
  })

  test('toPrometheus is the text format, with names escaped', () => {
    const bn2 = new BatchNorm2d(2).eval()
    const bn = served()
    using watching = watch({ 'block "1"\n\\': bn, idle: bn2 }, { every: 1, window: 64 })
    bn.forward(moved(64, 1, 4))
    const text = watching.toPrometheus()
    const lines = text.split('\n')
    expect(lines.pop()).toBe('')
    const names = new Set<string>()
    for (const line of lines) {
      // https://prometheus.io/docs/instrumenting/exposition_formats/
      expect(line).toMatch(
        /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{module="([^"\\\n]|\\["\\n])*"\} (\+Inf|NaN|-?\d+(\.\d+)?(e[+-]\d+)?))$/,
      )
      const name = /^# TYPE ([a-z_]+)/.exec(line)?.[1]
      if (name) expect(names.has(name), 'each metric stands together').toBe(false)
      if (name) names.add(name)
    }
    expect(text).toContain('batchnorm_drifted_channels{module="block \\"1\\"\\n\\\\"} 1\n')
    expect(text).toContain('batchnorm_calls_total{module="idle"} 0\n')
    expect(text).not.toContain('batchnorm_mean_shift_max{module="idle"}')
    const shift = Number(/batchnorm_mean_shift_max\{module="block.*\} (.*)/.exec(text)?.[1])
    expect(shift).toBeCloseTo(watching.report()[0].drift?.meanShift[1] as number, 12)
  })

  test.each<[string, unknown, unknown, RegExp]>([
    ['no module', null, {}, /Expected modules to be a batch norm, an array of them, or a record/],
    [
      'several domains in one',
      new DomainBatchNorm1d(2, { domains: ['a'] }),
      {},
      /one of its domains: module.domain\(name\)/,
    ],
    ['an empty record', {}, {}, /Expected modules to be a batch norm/],
    ['another module', { one: 5 }, {}, /Expected modules.one to be a batch norm but received 5/],
    [
      'no running statistics',
      new BatchNorm1d(2, { trackRunningStats: false }),
      {},
      /there is nothing to compare with/,
    ],
    ['an unknown option', served(), { evry: 2 }, /Expected options to be among every, window/],
    ['no calls', served(), { every: 0 }, /every to be a positive integer/],
    ['a ratio below 1', served(), { varianceRatio: 0.5 }, /varianceRatio to be at least 1/],
    ['no chance at all', served(), { falseAlarms: 0 }, /falseAlarms to be above 0/],
    ['a negative shift', served(), { meanShift: -1 }, /meanShift to be a finite number, at least 0,/],
  ])('refuses %s', (_, modules, options, message) => {
    expect(() => watch(modules as BatchNorm1d, options as WatchOptions)).toThrow(message)
  })
})
