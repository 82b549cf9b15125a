/** Running statistics are the average of those of the batches, as PyTorch's update_bn makes them. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { SyncBatchNorm } from '../lib/distributed/index.ts'
import {
  BatchNorm1d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  type Tensor,
  updateBn,
  withAdaptation,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { filled, normal, normal64, snapshot, trained } from './support/module.ts'
import { localCollectives, onEachRank, partsOf } from './support/ranks.ts'

const sizes = [32, 32, 5]
const batches = sizes.map((size, index) => normal([size, 3], 50 + index))
const wide = sizes.map((size, index) => normal64([size, 3], 50 + index))

/** The mean of the batches' means and of their unbiased variances, in float64. */
function averages(parts: readonly Tensor<Float32Array | Float64Array>[]) {
  const each = parts.map(({ data, shape: [samples, channels] }) =>
    Array.from({ length: channels }, (_, channel) => {
      const column = [...data].filter((_, index) => index % channels === channel)
      const mean = column.reduce((sum, value) => sum + value, 0) / samples
      const squares = column.reduce((sum, value) => sum + (value - mean) ** 2, 0)
      return { mean, variance: squares / (samples - 1) }
    }),
  )
  const average = (of: (channel: { mean: number; variance: number }) => number) =>
    each[0].map((_, channel) => each.reduce((sum, part) => sum + of(part[channel]), 0) / each.length)
  return [average(({ mean }) => mean), average(({ variance }) => variance)]
}

function expectAverages(
  bn: BatchNorm1d,
  parts: readonly Tensor<Float32Array | Float64Array>[],
  digits: number,
) {
  const actual = [bn.runningMean, bn.runningVar].map(({ data }) => [...data])
  averages(parts).forEach((statistic, index) => {
    statistic.forEach((value, channel) => {
      expect(Math.abs(actual[index][channel] - value)).toBeLessThanOrEqual(
        digits * Math.max(1, Math.abs(value)),
      )
    })
  })
}

describeEachBackend('updateBn', () => {
  test.each<[string, BatchNormOptions, boolean]>([
    ['training', {}, true],
    ['eval', { momentum: 0.7 }, false],
    ['switches', { useBatchStats: false, updateStats: false, momentum: 0 }, true],
    ['ghost batches', { virtualBatchSize: 4 }, true],
    ['renorm', { renorm: true, momentum: null }, true],
  ])('each batch weighs the same, and all else is as it was: %s', async (_, options, training) => {
    for (const hasRun of [false, true]) {
      const bn = filled(new BatchNorm1d(3, options)).train(training) as BatchNorm1d
      const { state, gradients } = snapshot(bn)
      const settings = () => [`${bn}`, bn.training, bn.useBatchStats, bn.updateStats, bn.momentum]
      const before = settings()
      await (hasRun ? updateBn([bn], batches, (x) => bn.forward(x)) : updateBn(bn, batches))
      expectAverages(bn, batches, 1e-6)
      expect(bn.numBatchesTracked.data[0]).toBe(3n)
      expect(settings()).toEqual(before)
      const after = snapshot(bn)
      expect([after.state.weight, after.state.bias, after.gradients]).toEqual([
        state.weight,
        state.bias,
        gradients,
      ])
    }
  })

  test('float64: the bits of training with momentum null from the initial statistics', async () => {
    const [bn, trainedOn] = [0.1, null].map((momentum) => new BatchNorm1d(3, { dtype: 'float64', momentum }))
    await updateBn(bn, wide)
    for (const x of wide) trainedOn.forward(x)
    expect(snapshot(bn)).toEqual(snapshot(trainedOn))
  })

  test.each(['forward', 'forwardAsync'] as const)(
    'a network: batches normalize, and what is frozen or has no statistics is left alone, by %s',
    async (call) => {
      const [first, second] = [trained(3), trained(3, { virtualBatchSize: 4 }).eval()]
      const frozen = trained(3).freeze()
      const before = snapshot(frozen)
      const without = trained(3, { trackRunningStats: false })
      await updateBn([first, frozen, without, second], batches, async (x) => {
        await second[call](await without[call](await frozen[call](await first[call](x))))
      })
      expect(snapshot(frozen)).toEqual(before)
      expectAverages(first as BatchNorm1d, batches, 1e-6)
      const inputs = batches.map((x) =>
        trained(3, { trackRunningStats: false }).forward(frozen.forward(trained(3).forward(x))),
      )
      expectAverages(second as BatchNorm1d, inputs, 1e-6)
    },
  )

  test('what has no statistics does not count: empty batches, NaN with skip, a single value with running', async () => {
    const bn = filled(new BatchNorm1d(3, { nonFinite: 'skip', singleValue: 'running' }))
    const broken = normal([4, 3], 9)
    broken.data[1] = Number.NaN
    await updateBn(bn, [normal([0, 3], 1), batches[0], broken, normal([1, 3], 2), batches[1], batches[2]])
    expectAverages(bn, batches, 1e-6)
    expect(bn.numBatchesTracked.data[0]).toBe(3n)
  })
})

test('ranks: the batches are those of all of them', async () => {
  const ranks = localCollectives(2)
  const modules = ranks.map((collective) => filled(new SyncBatchNorm(3, { collective, dtype: 'float64' })))
  const whole = filled(new BatchNorm1d(3, { dtype: 'float64' }))
  const divided = wide.map((x) => partsOf(x, [x.shape[0] - 5, 5]))
  await onEachRank(ranks, async (_, rank) => {
    await updateBn(
      [modules[rank]],
      divided.map((parts) => parts[rank]),
      (x) => modules[rank].forwardAsync(x),
    )
  })
  await updateBn(whole, wide)
  for (const { runningMean, runningVar, numBatchesTracked } of modules) {
    expect(numBatchesTracked.data[0]).toBe(3n)
    runningMean.data.forEach((mean, channel) => {
      expect(mean).toBeCloseTo(whole.runningMean.data[channel], 13)
      expect(runningVar.data[channel]).toBeCloseTo(whole.runningVar.data[channel], 13)
    })
  }
})

const program = `
import json, sys, torch
batches = [torch.tensor(batch, dtype=torch.float64) for batch in json.loads(sys.stdin.read())]
model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3, momentum=0.7)).double().eval()
torch.optim.swa_utils.update_bn(batches, model)
print(json.dumps([[bn.running_mean.tolist(), bn.running_var.tolist(), bn.num_batches_tracked.item()] for bn in model]))
`
const rows = wide.map(({ data }) =>
  Array.from({ length: data.length / 3 }, (_, row) => [...data.subarray(3 * row, 3 * row + 3)]),
)
const torch = spawnSync('/usr/bin/python3', ['-c', program], {
  input: JSON.stringify(rows),
  encoding: 'utf8',
})
if (torch.status !== 0) console.warn('NOT TESTED: against update_bn itself. Install python3-torch.')

test.skipIf(torch.status !== 0)(
  'a network in float64 has the statistics of torch.optim.swa_utils.update_bn',
  async () => {
    const modules = [0.1, 0.7].map((momentum) => new BatchNorm1d(3, { dtype: 'float64', momentum }).eval())
    await updateBn(modules, wide, (x) => modules[1].forward(modules[0].forward(x)))
    const expected: [number[], number[], number][] = JSON.parse(torch.stdout)
    modules.forEach(({ runningMean, runningVar, numBatchesTracked }, index) => {
      const [mean, variance, count] = expected[index]
      expect(Number(numBatchesTracked.data[0])).toBe(count)
      mean.forEach((value, channel) => {
        expect(runningMean.data[channel]).toBeCloseTo(value, 13)
        expect(runningVar.data[channel]).toBeCloseTo(variance[channel], 13)
      })
    })
  },
)

describe('after an error every module is as it was', () => {
  type Module = ReturnType<typeof trained>
  test.each<[string, (bn: Module, other: Module) => Promise<void>, string]>([
    ['no batches', (bn) => updateBn(bn, []), 'Expected batches with values for BatchNorm1d(3, '],
    [
      'a last batch of 1',
      (bn) => updateBn(bn, [...batches, normal([1, 3], 1)]),
      'a last batch of 1? Drop it',
    ],
    ['other channels', (bn) => updateBn(bn, [batches[0], normal([2, 4], 1)]), 'of shape [N, 3, ...]'],
    ['no iterable', (bn) => updateBn(bn, batches[0] as never), 'Expected batches to be an iterable'],
    ['no run', (bn) => updateBn([bn], batches, undefined as never), 'Expected run to be a function'],
    ['a run that is none', (bn) => updateBn(bn, batches, {} as never), 'Expected run to be a function'],
    ['a lazy module', () => updateBn(new LazyBatchNorm1d(), batches), 'to know its number of channels'],
    [
      'a run that fails midway',
      (bn, other) =>
        updateBn([bn, other], batches, (x) => {
          other.forward(bn.forward(x))
          if (x === batches[1]) throw new Error('enough')
        }),
      'enough',
    ],
    [
      'a module that run does not call',
      (bn, other) => updateBn([bn, other], batches, (x) => bn.forward(x)),
      'Expected batches with values for',
    ],
    [
      'masks',
      (bn) => updateBn([bn], batches, (x) => bn.forward(x, { mask: new Array(x.shape[0]).fill(1) })),
      'without mask, lengths and weights while it is averaged',
    ],
    [
      'two at a time',
      (bn) => updateBn([bn], batches, () => updateBn(bn, batches)),
      'Expected updateBn() of BatchNorm1d(3, ',
    ],
    [
      'during withAdaptation',
      async (bn) => {
        using _ = withAdaptation(bn, { prior: 1 })
        await updateBn(bn, batches)
      },
      'during withAdaptation()',
    ],
  ])('%s', async (_, call, message) => {
    const modules: [Module, Module] = [trained(3), trained(3, { updateStats: false }).eval()]
    const settings = () => modules.map((bn) => [snapshot(bn), bn.training, bn.useBatchStats, bn.updateStats])
    const before = settings()
    await expect(call(...modules)).rejects.toThrow(message)
    expect(settings()).toEqual(before)
  })

  test("nonFinite: 'throw' names the channels", async () => {
    const bn = trained(3, { nonFinite: 'throw' })
    const broken = normal([4, 3], 9)
    broken.data[1] = Number.NaN
    const before = snapshot(bn)
    await expect(updateBn(bn, [batches[0], broken])).rejects.toThrow('NaN or Infinity in channel 1 (1 of 3)')
    expect(snapshot(bn)).toEqual(before)
  })

  test('where nothing is to be moved no batch is taken', async () => {
    const bn = trained(3).freeze()
    const before = snapshot(bn)
    await updateBn(bn, batches)
    expect(
      difference(bn.runningMean?.data as Float32Array, before.state.running_mean as Float32Array),
    ).toBeNull()
  })
})
