/** `useBatchStats`, `updateStats`, `trainAffine`, each on its own; `freeze`; `recompute`. */
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  type ForwardOptions,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'

const channels = 3
const shape = [8, channels, 4]
const [x, g] = [normal(shape, 1), normal(shape, 2)]

function moduleOf(options: BatchNormOptions = {}): BatchNorm {
  return filled(new BatchNorm1d(channels, options))
}

const each = [null, true, false]
const settings = [true, false].flatMap((training) =>
  each.flatMap((useBatchStats) =>
    each.flatMap((updateStats) =>
      [true, false].map((trainAffine) => ({ training, useBatchStats, updateStats, trainAffine })),
    ),
  ),
)

describeEachBackend('the three switches', () => {
  test.each(settings)(
    'useBatchStats $useBatchStats, updateStats $updateStats, trainAffine $trainAffine, training $training',
    async ({ training, useBatchStats, updateStats, trainAffine }) => {
      // The batch normalizes in training, the running statistics in eval; the former moves the latter.
      const [byBatch, byRunning] = [moduleOf(), moduleOf().eval()]
      const [ofBatch, ofRunning] = [byBatch.forward(x), byRunning.forward(x)]
      const usesBatch = useBatchStats ?? training
      const expected = usesBatch ? byBatch : byRunning
      const gradInput = expected.backward(g)
      const moved = snapshot((updateStats ?? training) ? byBatch : byRunning).state
      const gradients = trainAffine ? snapshot(expected).gradients : snapshot(moduleOf()).gradients

      const given = moduleOf({ useBatchStats, updateStats, trainAffine })
      const set = moduleOf()
      Object.assign(set, { useBatchStats, updateStats, trainAffine })
      for (const bn of [given, set]) {
        expect(bn).toMatchObject({ useBatchStats, updateStats, trainAffine })
        expectSameBits(bn.train(training).forward(x), usesBatch ? ofBatch : ofRunning)
        expectSameBits(bn.backward(g), gradInput)
        expect(snapshot(bn)).toEqual({ state: moved, gradients })
      }
      const away = moduleOf({ useBatchStats, updateStats, trainAffine }).train(training)
      expectSameBits(await away.forwardAsync(x), usesBatch ? ofBatch : ofRunning)
      expectSameBits(await away.backwardAsync(g), gradInput)
      expect(snapshot(away)).toEqual({ state: moved, gradients })
    },
  )

  test('running statistics that normalize and move do so batch after batch, first the one, then the other', () => {
    const bn = moduleOf({ useBatchStats: false, updateStats: true, momentum: null }).eval()
    const evaluated = moduleOf({ momentum: null })
    for (const seed of [3, 4, 5]) {
      const batch = normal(shape, seed)
      expectSameBits(bn.forward(batch), evaluated.eval().forward(batch))
      evaluated.train().forward(batch)
      expect(snapshot(bn)).toEqual(snapshot(evaluated))
    }
  })

  test('one value a channel matters where the batch normalizes, or moves the running statistics', () => {
    const single = normal([1, channels], 1)
    for (const { training, useBatchStats, updateStats } of settings) {
      const usesBatch = useBatchStats ?? training
      const moves = updateStats ?? training
      const bn = moduleOf({ useBatchStats, updateStats }).train(training)
      const before = snapshot(bn)
      if (usesBatch || moves) expect(() => bn.forward(single)).toThrow('more than 1 value per channel')
      else expectSameBits(bn.forward(single), moduleOf().eval().forward(single))
      const running = moduleOf({ useBatchStats, updateStats, singleValue: 'running' }).train(training)
      expectSameBits(running.forward(single), moduleOf().eval().forward(single))
      for (const module of [bn, running]) expect(snapshot(module)).toEqual(before)
    }
  })

  test('a batch that is refused changes nothing', () => {
    const bad = tensor(x.data.with(5, Number.NaN), shape)
    for (const { training, useBatchStats, updateStats } of settings) {
      const bn = moduleOf({ useBatchStats, updateStats, nonFinite: 'throw' }).train(training)
      const skipping = moduleOf({ useBatchStats, updateStats, nonFinite: 'skip' }).train(training)
      const before = snapshot(bn)
      if ((useBatchStats ?? training) || (updateStats ?? training)) {
        expect(() => bn.forward(bad)).toThrow('NaN or Infinity in channel 1 (1 of 3)')
      } else {
        bn.forward(bad)
      }
      skipping.forward(bad)
      for (const module of [bn, skipping]) expect(snapshot(module)).toEqual(before)
    }
  })

  test('a parameter can be left out on its own', () => {
    const bn = moduleOf()
    const { weight, bias } = bn
    if (weight === null || bias === null) throw new Error('there are both')
    weight.requiresGrad = false
    bn.forward(x)
    bn.backward(g)
    expect(weight.grad.every((value) => value === 0)).toBe(true)
    const expected = moduleOf()
    expected.forward(x)
    expected.backward(g)
    expect(bias.grad).toEqual(expected.bias?.grad)
    bn.freeze()
    expect([weight.requiresGrad, bias.requiresGrad]).toEqual([false, false])
    bn.freeze().unfreeze()
    expect([weight.requiresGrad, bias.requiresGrad], 'as before freeze()').toEqual([false, true])
    bn.trainAffine = true
    expect([weight.requiresGrad, bias.requiresGrad]).toEqual([true, true])
  })
})

describeEachBackend('freeze', () => {
  test('holds through train() and eval(), until unfreeze()', () => {
    const options: BatchNormOptions[] = [
      {},
      { useBatchStats: true, updateStats: true },
      { trainAffine: false },
    ]
    for (const given of options) {
      const [bn, evaluated] = [moduleOf(given), moduleOf({ trainAffine: false }).eval()]
      const before = snapshot(bn)
      expect(bn.freeze()).toBe(bn)
      for (const training of [true, false, true]) {
        expect(bn.train(training).training).toBe(training)
        expect(bn).toMatchObject({
          frozen: true,
          useBatchStats: false,
          updateStats: false,
          trainAffine: false,
        })
        expect(bn.parameters().every(({ requiresGrad }) => !requiresGrad)).toBe(true)
        expectSameBits(bn.forward(x), evaluated.forward(x))
        expectSameBits(bn.backward(g), evaluated.backward(g))
        expect(snapshot(bn)).toEqual(before)
      }
      expect(bn.unfreeze()).toBe(bn)
      const fresh = moduleOf(given)
      expect(bn.frozen).toBe(false)
      expect(bn.options).toEqual(fresh.options)
      expectSameBits(bn.forward(x), fresh.forward(x))
      expectSameBits(bn.backward(g), fresh.backward(g))
      expect(snapshot(bn)).toEqual(snapshot(fresh))
    }
  })
})

/** Modules whose forward is worth doing again, and calls of it. */
const again: { title: string; options?: BatchNormOptions; call?: ForwardOptions; training?: boolean }[] = [
  { title: 'plain' },
  { title: 'momentum null', options: { momentum: null } },
  { title: 'eval', training: false },
  { title: 'no running statistics', options: { trackRunningStats: false } },
  {
    title: 'running statistics that normalize and move',
    options: { useBatchStats: false, updateStats: true },
  },
  { title: 'renorm', options: { renorm: { rMax: 1.1, dMax: 0.1 } } },
  { title: 'ghost batches', options: { virtualBatchSize: 3 } },
  { title: 'ghost batches, renorm', options: { virtualBatchSize: 3, renorm: { rMax: 1.1, dMax: 0.1 } } },
  { title: 'mask', call: { mask: [1, 1, 0, 1, 0, 1, 1, 1] } },
  {
    title: 'mask, renorm',
    options: { renorm: { rMax: 1.1, dMax: 0.1 } },
    call: { mask: [1, 1, 0, 1, 0, 1, 1, 1] },
  },
  { title: 'weights', call: { weights: [1, 2, 0, 1, 3, 1, 1, 2] } },
  {
    title: 'ghost batches of weight 0',
    options: { virtualBatchSize: 4 },
    call: { weights: [1, 1, 1, 1, 0, 0, 0, 0] },
  },
  { title: 'nothing counts', call: { lengths: [0, 0, 0, 0, 0, 0, 0, 0] } },
  { title: 'skip', options: { nonFinite: 'skip', virtualBatchSize: 2 } },
]

describeEachBackend('recompute', () => {
  test.each(again)(
    'does the last forward again, to the bit: $title',
    async ({ options, call, training = true }) => {
      for (const away of [false, true]) {
        const [bn, expected] = [moduleOf(options).train(training), moduleOf(options).train(training)]
        for (const seed of [3, 4]) {
          const batch = normal(shape, seed)
          const y = bn.forward(batch, call)
          expectSameBits(y, expected.forward(batch, call))
          const after = snapshot(bn)
          for (let times = 0; times < 2; times++) {
            expectSameBits(away ? await bn.recomputeAsync(batch, call) : bn.recompute(batch, call), y)
            expect(snapshot(bn), 'not moved, not counted').toEqual(after)
          }
          expectSameBits(bn.backward(g), expected.backward(g))
          expect(snapshot(bn)).toEqual(snapshot(expected))
        }
      }
    },
  )

  test('gives backward an input of its own, where the first was written over', () => {
    const bn = moduleOf()
    const inPlace = tensor(x.data.slice(), shape)
    bn.forward(inPlace, { out: inPlace })
    expect(() => bn.backward(g)).toThrow('unchanged until backward')
    const expected = moduleOf()
    expectSameBits(bn.recompute(x), expected.forward(x))
    expectSameBits(bn.backward(g), expected.backward(g))
  })

  const seen = 'Expected recompute(input) right after the forward(input) that it repeats'
  test.each(again.filter(({ title }) => /renorm|that normalize and move|weight 0/.test(title)))(
    'is refused for another batch where running statistics took part: $title',
    async ({ options, call, title }) => {
      const bn = moduleOf(options)
      expect(() => bn.recompute(x, call), 'before any forward').toThrow(seen)
      bn.forward(x, call)
      const before = snapshot(bn)
      const out = new Float32Array(x.data.length).fill(42)
      const other = normal(shape, 9)
      const otherCall: ForwardOptions = { weights: [0, 0, 0, 0, 1, 1, 1, 1] }
      if (!title.includes('weight 0')) {
        expect(() => bn.recompute(other, { ...call, out })).toThrow(seen)
        // Of the same variance.
        const mirrored = tensor(
          x.data.map((value) => -value),
          shape,
        )
        expect(() => bn.recompute(mirrored, { ...call, out })).toThrow(seen)
        await expect(bn.recomputeAsync(other, { ...call, out })).rejects.toThrow(seen)
      }
      if (title.includes('ghost')) expect(() => bn.recompute(x, { ...otherCall, out })).toThrow(seen)
      if (!title.includes('weight 0')) expect(() => bn.recompute(normal([7, channels, 4], 1))).toThrow()
      expect(out).toEqual(new Float32Array(x.data.length).fill(42))
      expect(snapshot(bn)).toEqual(before)
      const expected = moduleOf(options)
      expected.forward(x, call)
      expectSameBits(bn.backward(g), expected.backward(g))
    },
  )

  test('throws what forward does', () => {
    const bn = moduleOf()
    bn.forward(x)
    const before = snapshot(bn)
    expect(() => bn.recompute(normal([1, channels], 1))).toThrow('more than 1 value per channel')
    expect(() => bn.recompute(normal([4, 7], 1))).toThrow('Expected input of shape')
    expect(() => bn.recompute(x, { out: new Float32Array(3) })).toThrow('Expected out to be of length')
    expect(snapshot(bn)).toEqual(before)
  })

  test('waits for the asynchronous call before it', async () => {
    const bn = moduleOf()
    const pending = bn.forwardAsync(x)
    expect(() => bn.recompute(x)).toThrow(
      'Expected recompute(input) after the last asynchronous call had ended',
    )
    await pending
  })
})

describe('bad switches', () => {
  const names = ['useBatchStats', 'updateStats', 'trainAffine'] as const
  test.each(names)('%s is true or false', (name) => {
    for (const value of ['yes', 1, 0, {}]) {
      const message = `Expected ${name} to be true or false but received`
      expect(() => new BatchNorm1d(channels, { [name]: value })).toThrow(message)
      const bn = moduleOf()
      expect(() => Object.assign(bn, { [name]: value })).toThrow(message)
      expect(bn.options).toEqual(moduleOf().options)
    }
  })

  test('trainAffine follows no mode', () => {
    expect(() => new BatchNorm1d(channels, { trainAffine: null as never })).toThrow(
      'Expected trainAffine to be true or false but received null',
    )
  })

  test.each(names)('%s is not set while the module is frozen', (name) => {
    const bn = moduleOf().freeze()
    expect(() => Object.assign(bn, { [name]: true })).toThrow(
      `Expected ${name} to be set on a module that is not frozen but received it after freeze() (call unfreeze() first)`,
    )
    expect(bn.unfreeze().options).toEqual(moduleOf().options)
  })

  test('a parameter requires its gradient or not', () => {
    const { weight } = moduleOf()
    expect(() => Object.assign(weight as object, { requiresGrad: 1 })).toThrow(
      'Expected requiresGrad to be true or false',
    )
  })

  test('without running statistics none can be used, moved or frozen', () => {
    const bn = moduleOf({ trackRunningStats: false })
    const contradiction = 'received trackRunningStats: false with'
    expect(() => Object.assign(bn, { useBatchStats: false })).toThrow(`${contradiction} useBatchStats: false`)
    expect(() => Object.assign(bn, { updateStats: true })).toThrow(`${contradiction} updateStats: true`)
    expect(() => bn.freeze()).toThrow(`${contradiction} freeze()`)
    expect(bn.frozen).toBe(false)
    Object.assign(bn, { useBatchStats: true, updateStats: false })
    expectSameBits(bn.forward(x), moduleOf().forward(x))
  })

  test('are told', () => {
    const bn = new BatchNorm1d(2, { useBatchStats: true, updateStats: false, trainAffine: false })
    const plain = 'BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True'
    expect(String(bn)).toBe(`${plain}, use_batch_stats=True, update_stats=False, train_affine=False)`)
    expect(String(bn.freeze())).toBe(`${plain}, frozen=True)`)
    expect(new BatchNorm1d(2, bn.options)).toMatchObject({
      useBatchStats: true,
      updateStats: false,
      trainAffine: false,
    })
  })
})
