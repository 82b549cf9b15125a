/** Batches of several ranks are one batch. The ranks are in one process here; collectives.test.ts has real ones. */
import { describe, expect, test } from 'vitest'
import { averageGradientsAsync } from '../lib/distributed/average-gradients.ts'
import type { Collective } from '../lib/distributed/collective.ts'
import { convertSyncBatchNorm, revertSyncBatchNorm } from '../lib/distributed/convert.ts'
import { solo } from '../lib/distributed/solo.ts'
import { SyncBatchNorm } from '../lib/distributed/sync-batch-norm.ts'
import {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  MicroBatches,
  Moments,
  recalibrate,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend, share } from './support/backends.ts'
import { difference, type FloatArray } from './support/bits.ts'
import {
  callOf,
  chosenModule,
  combinations,
  contradicts,
  forms,
  forwardOptions,
  inputOf,
  problemOf,
} from './support/choices.ts'
import { expectSameBits, filled, joined, normal, normal64, snapshot } from './support/module.ts'
import { expectNear } from './support/near.ts'
import { callsOf, localCollectives, onEachRank, partsOf } from './support/ranks.ts'
import { gradientReference, reference } from './support/reference.ts'
import { unit, unit64 } from './support/tolerance.ts'

type Module = SyncBatchNorm<'float32' | 'float64', boolean, boolean, boolean>

const splits = [
  [5, 3, 0, 1],
  [4, 5],
  [0, 9, 0],
  [3, 3, 3],
]

/** Collectives that say what they did. */
function watched(ranks: readonly Collective[], done: string[]): Collective[] {
  return ranks.map((collective) => ({
    rank: collective.rank,
    size: collective.size,
    allReduceSum: (values, key) => collective.allReduceSum(values, key),
    allReduceSumAsync: (values, key) => {
      done.push(`${collective.rank}: ${key}`)
      return collective.allReduceSumAsync(values, key)
    },
    close: () => collective.close(),
  }))
}

const sum = (arrays: readonly ArrayLike<number>[]) =>
  Array.from(arrays[0], (_, index) => arrays.reduce((total, array) => total + array[index], 0))

const withoutGhosts = combinations.filter((combination) =>
  combination.every(({ key }) => key !== 'virtualBatchSize'),
)
const digits = { float32: 1, float64: (2 * unit64) / unit }
const dtypes = ['float32', 'float64'] as const
const cases = withoutGhosts.flatMap((combination) =>
  dtypes.map((dtype) => ({
    name: `${dtype}: ${combination.map(({ title }) => title).join(', ')}`,
    combination,
    dtype,
  })),
)

/** Forward and backward of a shard on every rank. */
function step(
  ranks: readonly Collective[],
  modules: readonly Module[],
  inputs: readonly Tensor<FloatArray>[],
  gradients: readonly Tensor<FloatArray>[],
) {
  return onEachRank(ranks, async (_, rank) => {
    const y = await modules[rank].forwardAsync(inputs[rank])
    return { y, gradInput: await modules[rank].backwardAsync(gradients[rank]) }
  })
}

function modulesOf(ranks: readonly Collective[], channels: number, options: BatchNormOptions = {}) {
  return ranks.map((collective) => filled(new SyncBatchNorm(channels, { ...options, collective })))
}

describeEachBackend('SyncBatchNorm is a batch norm of the whole batch', (_, place) => {
  test.each(share(cases, 12, place))('$name', async ({ combination, dtype }) => {
    const by = digits[dtype]
    for (const [index, form] of forms.entries()) {
      if (form.positions === 1 && combination.some(({ key }) => key === 'lengths')) continue
      if (contradicts(combination, form)) continue
      const sizes = splits[(index + place) % splits.length]
      const ranks = localCollectives(sizes.length)
      const whole = chosenModule(combination, form, true, dtype)
      const modules = ranks.map((collective) => convertSyncBatchNorm(whole, collective))
      const call = callOf(combination, form)
      const [x, g] = [31, 32].map((seed) => inputOf(dtype, form.shape, seed))
      const expected = reference(problemOf(whole, x, call))
      const exact = gradientReference(problemOf(whole, x, call), expected, g.data)

      const [inputs, gradients, calls] = [partsOf(x, sizes), partsOf(g, sizes), callsOf(call, sizes)]
      const outputs = await onEachRank(ranks, (_, rank) =>
        modules[rank].forwardAsync(inputs[rank], forwardOptions(calls[rank], inputs[rank].shape, dtype)),
      )
      expectNear(
        'y',
        outputs.flatMap(({ data }) => [...data]),
        expected.y,
        (i) => by * expected.tolerance[i],
      )
      const [first, ...others] = modules.map((module) => snapshot(module).state)
      for (const other of others) expect(other).toEqual(first)
      const { running } = expected
      if (running) {
        const [mean, variance] = [modules[0].runningMean?.data ?? [], modules[0].runningVar?.data ?? []]
        expectNear('running mean', mean, running.mean, (i) => by * running.meanTolerance[i])
        expectNear('running variance', variance, running.variance, (i) => by * running.varianceTolerance[i])
        expect(modules[0].numBatchesTracked?.data[0]).toBe(BigInt(running.batches))
      }

      const gradResiduals = gradients.map(({ data }) => (call.residual ? data.map(() => 42) : undefined))
      const gradInputs = await onEachRank(ranks, (_, rank) =>
        modules[rank].backwardAsync(gradients[rank], { gradResidual: gradResiduals[rank] }),
      )
      if (call.residual) {
        const found = gradResiduals.flatMap((part) => [...(part ?? [])])
        expect(found).toEqual([...exact.residual].map((value) => value + 0))
      }
      const gradInput = gradInputs.flatMap(({ data }) => [...data])
      expectNear('gradInput', gradInput, exact.input, (i) => by * exact.inputTolerance[i])
      whole.namedParameters().forEach(([name, { requiresGrad }], index) => {
        const key = name === 'bias' ? 'bias' : 'scale'
        const found = sum(modules.map((module) => module.parameters()[index].grad))
        const wanted = requiresGrad ? exact[key] : exact[key].map(() => 0)
        // Each rank rounds its own.
        expectNear(name, found, wanted, (i) => (sizes.length + 1) * by * exact[`${key}Tolerance`][i])
      })
    }
  })
})

describeEachBackend('ranks', () => {
  test('one rank has the bits of a batch norm', () => {
    const [x, g] = [normal([7, 3, 2], 1), normal([7, 3, 2], 2)]
    const bn = filled(new BatchNorm1d(3))
    const sync = convertSyncBatchNorm(bn, solo())
    expectSameBits(sync.forward(x), bn.forward(x))
    expectSameBits(sync.backward(g), bn.backward(g))
    expect(snapshot(sync)).toEqual(snapshot(bn))
  })

  const types = ['float32', 'float64', 'bfloat16', 'float16'] as const
  test.each(types)('a rank that has all values has the bits of a batch norm, in %s', async (dtype) => {
    const [x, g] = [1, 2].map((seed) => tensor(normal([7, 3, 2], seed).toArray(), { dtype }))
    const none = tensor([], { dtype })
    const bn = filled(new BatchNorm1d(3, { dtype: dtype === 'float64' ? dtype : 'float32' }))
    const ranks = localCollectives(3)
    const modules = ranks.map((collective) => convertSyncBatchNorm(bn, collective))
    const shards = (all: typeof x) =>
      ranks.map((_, rank) => (rank === 1 ? all : { ...none, shape: [0, 3, 2] }))
    const [, { y, gradInput }] = await step(ranks, modules, shards(x) as never, shards(g) as never)
    expectSameBits(y as never, bn.forward(x as never) as never)
    expectSameBits(gradInput as never, bn.backward(g as never) as never)
    expect(snapshot(modules[1])).toEqual(snapshot(bn))
    expect(snapshot(modules[0]).state).toEqual(snapshot(bn).state)
  })

  const hard = {
    'an offset of 1e6': (value: number) => value + 1e6,
    'a variance far below eps': (value: number) => value * 1e-9,
    'a channel that is constant on each rank': (_: number, index: number) => Math.floor(index / 12),
  }
  test.each(Object.entries(hard))('%s leaves float64 its digits, small and large', async (_, change) => {
    for (const channels of [4, 6000]) {
      const shape = [9, channels]
      const sizes = [3, 6, 0]
      const ranks = localCollectives(3)
      const x = tensor(normal64(shape, 1).data.map(change), shape)
      const g = normal64(shape, 2)
      const whole = new BatchNorm1d(channels, { dtype: 'float64' })
      const modules = ranks.map((collective) => convertSyncBatchNorm(whole, collective))
      const results = await step(ranks, modules, partsOf(x, sizes), partsOf(g, sizes))
      const y = whole.forward(x).data
      const gradInput = whole.backward(g).data
      const parts = partsOf(tensor(y, shape), sizes)
      parts.forEach((part, rank) => {
        expectNear('y', results[rank].y.data, part.data, (i) => 2e-14 * Math.max(1, Math.abs(part.data[i])))
      })
      const scale = Math.max(...gradInput.map(Math.abs))
      partsOf(tensor(gradInput, shape), sizes).forEach((part, rank) => {
        expectNear('gradInput', results[rank].gradInput.data, part.data, () => 2e-14 * scale)
      })
      const variance = whole.runningVar.data
      expectNear('runningVar', modules[0].runningVar.data, variance, (channel) => 2e-14 * variance[channel])
      for (const { state } of modules.map(snapshot)) expect(state).toEqual(snapshot(modules[0]).state)
    }
  })

  test('NaN and Infinity on one rank reach all, where nonFinite says so, and none where it throws', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const nonFinite of ['propagate', 'skip', 'throw'] as const) {
        const ranks = localCollectives(2)
        const modules = modulesOf(ranks, 2, { nonFinite })
        const before = snapshot(modules[0])
        const inputs = partsOf(normal([6, 2], 1), [3, 3])
        inputs[1].data[2] = value
        const settled = await Promise.allSettled(
          modules.map((module, rank) => module.forwardAsync(inputs[rank])),
        )
        const after = modules.map((module) => snapshot(module))
        if (nonFinite !== 'propagate') for (const each of after) expect(each).toEqual(before)
        expect(settled.map(({ status }) => status)).toEqual(
          Array(2).fill(nonFinite === 'throw' ? 'rejected' : 'fulfilled'),
        )
        if (nonFinite === 'propagate') {
          expect(modules.map(({ runningVar }) => runningVar?.data[0])).toEqual([Number.NaN, Number.NaN])
        }
        for (const each of settled) {
          if (each.status === 'fulfilled') expect(each.value.data[0]).toBeNaN()
          else expect(String(each.reason)).toMatch('NaN or Infinity in channel 0')
        }
      }
    }
  })

  test('one value over all ranks throws on all, or takes the running statistics, and changes nothing', async () => {
    const inputs = partsOf(normal([1, 2], 1), [0, 1, 0])
    const ranks = localCollectives(3)
    for (const singleValue of ['throw', 'running'] as const) {
      const modules = modulesOf(ranks, 2, { singleValue })
      const before = snapshot(modules[0])
      const settled = await Promise.allSettled(
        modules.map((module, rank) => module.forwardAsync(inputs[rank])),
      )
      for (const each of settled) {
        if (each.status === 'rejected')
          expect(String(each.reason)).toMatch('Expected more than 1 value per channel')
      }
      expect(settled.every(({ status }) => status === 'rejected')).toBe(singleValue === 'throw')
      for (const module of modules) expect(snapshot(module)).toEqual(before)
    }
  })

  test('one value a rank is a batch of several', async () => {
    const x = normal([3, 2], 1)
    const ranks = localCollectives(3)
    const modules = modulesOf(ranks, 2)
    const results = await step(ranks, modules, partsOf(x, [1, 1, 1]), partsOf(normal([3, 2], 2), [1, 1, 1]))
    const expected = filled(new BatchNorm1d(2)).forward(x)
    expectNear('y', joined(results.map(({ y }) => y as Tensor)), expected.data, () => 1e-6)
  })

  test('a batch that is empty on every rank is counted once and moves nothing', async () => {
    const ranks = localCollectives(2)
    const modules = modulesOf(ranks, 2)
    const empty = [tensor(new Float32Array(0), [0, 2]), tensor(new Float32Array(0), [0, 2])]
    const results = await step(ranks, modules, empty, empty)
    expect(results.map(({ y, gradInput }) => [y.shape, gradInput.shape])).toEqual(
      Array(2).fill([
        [0, 2],
        [0, 2],
      ]),
    )
    const expected = filled(new BatchNorm1d(2))
    expected.forward(empty[0])
    for (const module of modules) expect(snapshot(module)).toEqual(snapshot(expected))
  })

  test('where nothing counts on any rank the running statistics normalize, as in a batch norm', async () => {
    const x = normal([4, 2], 1)
    const ranks = localCollectives(2)
    const modules = modulesOf(ranks, 2)
    const inputs = partsOf(x, [3, 1])
    const calls = [{ mask: [0, 0, 0] }, { weights: [0] }]
    const outputs = await onEachRank(ranks, (_, rank) =>
      modules[rank].forwardAsync(inputs[rank], calls[rank]),
    )
    const expected = filled(new BatchNorm1d(2))
    expect(difference(joined(outputs), expected.forward(x, { mask: [0, 0, 0, 0] }).data)).toBeNull()
    for (const module of modules) expect(snapshot(module)).toEqual(snapshot(expected))
    const g = normal([4, 2], 2)
    const gradients = partsOf(g, [3, 1])
    const gradInputs = await onEachRank(ranks, (_, rank) => modules[rank].backwardAsync(gradients[rank]))
    expect(difference(joined(gradInputs), expected.backward(g).data)).toBeNull()
  })

  test('weights are compared over all ranks, also with those of ranks that have none', async () => {
    const x = normal64([9, 2], 1)
    const sizes = [4, 2, 3]
    const weights = [2, 2, 2, 2, 1, 1, 0, 0.5, 8]
    const whole = filled(new BatchNorm1d(2, { dtype: 'float64' }))
    const ranks = localCollectives(3)
    const modules = ranks.map((collective) => convertSyncBatchNorm(whole, collective))
    const inputs = partsOf(x, sizes)
    const calls = [{ weights: weights.slice(0, 4) }, {}, { weights: weights.slice(6) }]
    const outputs = await onEachRank(ranks, (_, rank) =>
      modules[rank].forwardAsync(inputs[rank], calls[rank]),
    )
    const g = normal64([9, 2], 2)
    const gradients = partsOf(g, sizes)
    const gradInputs = await onEachRank(ranks, (_, rank) => modules[rank].backwardAsync(gradients[rank]))
    const near = (what: string, parts: readonly Tensor<Float64Array>[], expected: Float64Array) =>
      expectNear(
        what,
        parts.flatMap(({ data }) => [...data]),
        expected,
        () => 1e-14,
      )
    near('y', outputs, whole.forward(x, { weights }).data)
    near('gradInput', gradInputs, whole.backward(g).data)
    expectNear('runningVar', modules[1].runningVar.data, whole.runningVar.data, () => 1e-14)
  })

  test('a forward again, and a backward after another forward, take part like the first', async () => {
    const ranks = localCollectives(2)
    const modules = modulesOf(ranks, 2, { renorm: { rMax: 1.25, dMax: 0.5 } })
    const [x, g] = [normal([6, 2], 1), normal([6, 2], 2)]
    const [inputs, gradients] = [partsOf(x, [2, 4]), partsOf(g, [2, 4])]
    const first = await step(ranks, modules, inputs, gradients)
    const after = snapshot(modules[0]).state
    const again = await onEachRank(ranks, (_, rank) => modules[rank].recomputeAsync(inputs[rank]))
    again.forEach((y, rank) => {
      expectSameBits(y, first[rank].y as Tensor)
    })
    expect(snapshot(modules[0]).state).toEqual(after)
    const other = await onEachRank(ranks, (_, rank) => modules[rank].forwardAsync(inputs[rank]))
    expect(other[0].shape).toEqual([2, 2])
    await onEachRank(ranks, (_, rank) => modules[rank].backwardAsync(gradients[rank]))
  })
})

describe('what ranks say to each other', () => {
  const shape = [4, 2]

  test('one collective for a forward and one for a backward; none in eval, frozen or with one rank', async () => {
    const done: string[] = []
    const ranks = watched(localCollectives(2), done)
    const modules = modulesOf(ranks, 2)
    const [inputs, gradients] = [partsOf(normal(shape, 1), [1, 3]), partsOf(normal(shape, 2), [1, 3])]
    await step(ranks, modules, inputs, gradients)
    expect(done.sort()).toEqual(
      [0, 1].flatMap((rank) => [
        `${rank}: backward of SyncBatchNorm 0`,
        `${rank}: forward of SyncBatchNorm 0`,
      ]),
    )
    done.length = 0
    const bn = filled(new BatchNorm1d(2))
    for (const module of modules) module.eval()
    modules[0].eval().forward(inputs[0])
    modules[0].backward(gradients[0])
    modules[1].freeze().train().forward(inputs[1])
    expect(done).toEqual([])
    convertSyncBatchNorm(bn, watched([solo()], done)[0]).forward(inputs[1])
    expect(done).toEqual([])
  })

  test('a backward is entered by every rank, whatever it needs for itself', async () => {
    const ranks = localCollectives(2)
    const modules = modulesOf(ranks, 2)
    const [inputs, gradients] = [partsOf(normal(shape, 1), [1, 3]), partsOf(normal(shape, 2), [1, 3])]
    modules[0].trainAffine = false
    const [{ gradInput }] = await step(ranks, modules, inputs, gradients)
    const others = modulesOf(ranks, 2)
    const [expected] = await step(ranks, others, inputs, gradients)
    expectSameBits(gradInput as Tensor, expected.gradInput as Tensor)
    expect(modules[0].weight?.grad).toEqual(new Float32Array(2))
  })

  test('layers in another order on one rank are an error on all, and nothing has changed', async () => {
    const ranks = localCollectives(2)
    const [one, other] = [modulesOf(ranks, 2), modulesOf(ranks, 2)]
    const before = snapshot(one[0])
    const settled = await Promise.allSettled([
      one[0].forwardAsync(normal(shape, 1)),
      other[1].forwardAsync(normal(shape, 2)),
    ])
    for (const each of settled) expect(each).toMatchObject({ reason: { code: 'ERR_COLLECTIVE_MISMATCH' } })
    for (const module of [...one, ...other]) expect(snapshot(module)).toEqual(before)
    await expect(one[0].forwardAsync(normal(shape, 1))).rejects.toMatchObject({
      code: 'ERR_COLLECTIVE_CLOSED',
    })
  })

  test('what contradicts ranks names both', () => {
    const collective = localCollectives(2)[0]
    expect(() => new SyncBatchNorm(2, { collective, virtualBatchSize: 4 })).toThrow(
      'received virtualBatchSize with a collective',
    )
    expect(() => new MicroBatches(new SyncBatchNorm(2, { collective }))).toThrow(
      'received micro-batches with a collective',
    )
    expect(() => new SyncBatchNorm(2, {} as never)).toThrow('Expected collective to be a collective')
    expect(() => new SyncBatchNorm(2, undefined as never)).toThrow(/^Expected options/)
    expect(() => new SyncBatchNorm(2, { collective, epsilon: 1 } as never)).toThrow('epsilon')
  })
})

describe('conversion', () => {
  test.each<[string, BatchNormOptions]>([
    [
      'every option',
      { eps: 0.5, momentum: null, activation: 'relu', layout: 'channels-last', center: false },
    ],
    ['no running statistics', { trackRunningStats: false, affine: false }],
    ['switches', { useBatchStats: true, updateStats: false, positiveScale: true }],
  ])('there and back again keeps %s, mode, counter, type and freezing', (_, options) => {
    const collective = localCollectives(2)[0]
    const bn = filled(new BatchNorm2d(3, { ...options, dtype: 'float64' } as never)).eval()
    if (options.trackRunningStats !== false) bn.freeze()
    const sync = convertSyncBatchNorm(bn, collective)
    expect(sync.options).toEqual({ ...bn.options, collective })
    const back = revertSyncBatchNorm(sync)
    expect(back).toBeInstanceOf(BatchNorm2d)
    for (const module of [sync, back]) {
      expect(module.stateDict()).toEqual(bn.stateDict())
      expect([module.training, module.frozen, module.dtype]).toEqual([false, bn.frozen, 'float64'])
    }
    expect(back.options).toEqual(bn.options)
    expect(String(sync)).toBe(String(bn).replace('BatchNorm2d', 'SyncBatchNorm'))
  })

  test('one that was not converted is told its class; what is none of them is refused', () => {
    const sync = new SyncBatchNorm(3, { collective: localCollectives(2)[0] })
    expect(revertSyncBatchNorm(sync, BatchNorm1d)).toBeInstanceOf(BatchNorm1d)
    expect(() => revertSyncBatchNorm(sync)).toThrow('Expected Class to be BatchNorm1d')
    expect(() => revertSyncBatchNorm(new BatchNorm1d(3) as never)).toThrow('a SyncBatchNorm')
    expect(() => convertSyncBatchNorm({} as never, solo())).toThrow('a batch norm')
    expect(() => convertSyncBatchNorm(new LazyBatchNorm1d() as never, solo())).toThrow('channels')
  })
})

describe('gradients over ranks', () => {
  test('are the mean by weights, of every rank the same bits', async () => {
    const ranks = localCollectives(3)
    const weights = [5, 0, 3]
    const grads = weights.map((_, rank) => [normal([4], rank).data, normal64([3], 9 + rank).data])
    grads[1][0].fill(Number.NaN)
    const expected = [0, 1].map((index) =>
      Array.from(grads[0][index], (_, i) => (5 * grads[0][index][i] + 3 * grads[2][index][i]) / 8),
    )
    await onEachRank(ranks, (collective, rank) =>
      averageGradientsAsync(
        grads[rank].map((grad) => ({ grad })),
        collective,
        { weight: weights[rank] },
      ),
    )
    for (const [float32, float64] of grads) {
      expect(float32).toEqual(Float32Array.from(expected[0]))
      expect(float64).toEqual(Float64Array.from(expected[1]))
    }
  })

  test('where no rank has weight, and where lengths differ, are an error on all', async () => {
    const grads = [1, 2].map((seed) => normal([4], seed).data)
    const before = grads.map((grad) => grad.slice())
    const average = (collective: Collective, grad: Float32Array, weight?: number) =>
      averageGradientsAsync([{ grad }], collective, { weight })
    const ranks = localCollectives(2)
    const without = await Promise.allSettled(ranks.map((each, rank) => average(each, grads[rank], 0)))
    for (const each of without) expect(String((each as PromiseRejectedResult).reason)).toMatch('on all')
    const different = await Promise.allSettled(
      ranks.map((each, rank) => average(each, grads[rank].subarray(rank))),
    )
    for (const each of different) expect(each).toMatchObject({ reason: { code: 'ERR_COLLECTIVE_MISMATCH' } })
    expect(grads).toEqual(before)
    await expect(averageGradientsAsync([{ grad: [1] } as never], ranks[0])).rejects.toThrow(
      'Expected parameters[0].grad to be a Float32Array',
    )
  })
})

describe('statistics over ranks', () => {
  test('Moments.allReduce gives every rank the moments of all', async () => {
    const x = normal64([9, 3], 1)
    const whole = Moments.of(x)
    for (const sizes of splits) {
      const ranks = localCollectives(sizes.length)
      const parts = partsOf(x, sizes)
      const all = await onEachRank(ranks, (collective, rank) =>
        new Moments(3).update(parts[rank]).allReduceAsync(collective),
      )
      for (const each of all) expect(each.toJSON()).toEqual(all[0].toJSON())
      expect(all[0].count).toBe(9)
      expectNear('mean', all[0].mean, whole.mean, () => 1e-15)
      expectNear('variance', all[0].variance(), whole.variance(), () => 1e-15)
    }
    expect(new Moments(3).allReduce(solo()).count).toBe(0)
  })

  test('recalibrate takes the batches of all ranks, of which some may have none', async () => {
    const batches = [1, 2, 3].map((seed) => normal([5, 3], seed))
    const expected = new BatchNorm1d(3)
    await recalibrate(expected, batches)
    const ranks = localCollectives(3)
    const plain = ranks.map(() => new BatchNorm1d(3))
    const sync = ranks.map((collective) => new SyncBatchNorm(3, { collective }))
    await onEachRank(ranks, async (collective, rank) => {
      const own = [batches, [], []][rank].slice(0, 2)
      const rest = rank === 2 ? batches.slice(2) : []
      await recalibrate(plain[rank], [...own, ...rest], { collective })
      // By its own collective.
      await recalibrate(sync[rank], [...own, ...rest])
    })
    for (const bn of [...plain, ...sync]) {
      expect(snapshot(bn).state).toEqual(snapshot(plain[0]).state)
      expectNear('mean', bn.runningMean.data, expected.runningMean.data, () => 2 * unit)
      expectNear('variance', bn.runningVar.data, expected.runningVar.data, () => 4 * unit)
      expect(bn.numBatchesTracked.data[0]).toBe(3n)
    }
    await expect(recalibrate(plain[0], batches, { collective: {} } as never)).rejects.toThrow('a collective')
    await expect(recalibrate(plain[0], batches, { colective: 1 } as never)).rejects.toThrow('colective')
  })
})
