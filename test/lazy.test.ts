/** Batch norms that learn their number of channels from the first input: ordinary modules from then on. */
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  LazyBatchNorm2d,
  LazyBatchNorm3d,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { normal, snapshot } from './support/module.ts'

const channels = 5
const kinds = [
  { Lazy: LazyBatchNorm1d, Ordinary: BatchNorm1d, sizes: [] as number[], shapes: '[N, C] or [N, C, L]' },
  { Lazy: LazyBatchNorm1d, Ordinary: BatchNorm1d, sizes: [7], shapes: '[N, C] or [N, C, L]' },
  { Lazy: LazyBatchNorm2d, Ordinary: BatchNorm2d, sizes: [3, 4], shapes: '[N, C, H, W]' },
  { Lazy: LazyBatchNorm3d, Ordinary: BatchNorm3d, sizes: [2, 3, 4], shapes: '[N, C, D, H, W]' },
]
const layouts = ['channels-first', 'channels-last'] as const

function shapeOf(samples: number, sizes: readonly number[], layout: (typeof layouts)[number]): number[] {
  return layout === 'channels-first' ? [samples, channels, ...sizes] : [samples, ...sizes, channels]
}

describeEachBackend('lazy batch norms', () => {
  describe.each(kinds)('$Lazy.name, $sizes', ({ Lazy, Ordinary, sizes }) => {
    test.each(layouts)('are what an ordinary module is from the first input on, %s', async (layout) => {
      const options: BatchNormOptions = { layout, momentum: null, positiveScale: true }
      const shape = shapeOf(4, sizes, layout)
      for (const call of ['forward', 'forwardAsync'] as const) {
        const [lazy, ordinary]: BatchNorm[] = [new Lazy(options), new Ordinary(channels, options)]
        for (const seed of [1, 2]) {
          const [x, g] = [normal(shape, seed), normal(shape, seed + 10)]
          expect(await lazy[call](x)).toEqual(ordinary.forward(x))
          expect(lazy.backward(g)).toEqual(ordinary.backward(g))
          expect(snapshot(lazy)).toEqual(snapshot(ordinary))
        }
        expect(lazy.constructor).toBe(Ordinary)
        expect(lazy).toBeInstanceOf(Ordinary)
        expect(String(lazy)).toBe(String(ordinary))
        expect(() =>
          lazy.forward(
            normal(
              shapeOf(4, sizes, layout).map((size) => size + 1),
              1,
            ),
          ),
        ).toThrow('Expected input of shape')
      }
    })

    test('learn it in eval mode and from an empty batch too', () => {
      const empty = new Lazy()
      const noSamples = tensor(new Float32Array(0), shapeOf(0, sizes, 'channels-first'))
      empty.forward(noSamples)
      const ordinary = new Ordinary(channels)
      ordinary.forward(noSamples)
      expect(snapshot(empty)).toEqual(snapshot(ordinary))
      const evaluated = new Lazy().eval()
      const x = normal(shapeOf(4, sizes, 'channels-first'), 1)
      expect(evaluated.forward(x)).toEqual(new Ordinary(channels).eval().forward(x))
      expect(evaluated.training).toBe(false)
    })

    test('learn it from a state dict', () => {
      const shape = shapeOf(4, sizes, 'channels-first')
      for (const options of [{}, { positiveScale: true }, { affine: false }, { scale: false }]) {
        const source = new Ordinary(channels, options)
        source.forward(normal(shape, 1))
        const lazy: BatchNorm = new Lazy(options).eval()
        expect(lazy.loadStateDict(source.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] })
        expect(lazy.constructor).toBe(Ordinary)
        expect(lazy.numFeatures).toBe(channels)
        expect(snapshot(lazy)).toEqual(snapshot(source))
        expect(lazy.forward(normal(shape, 2))).toEqual(source.eval().forward(normal(shape, 2)))
      }
    })

    test('have the switches that were set before', () => {
      const x = normal(shapeOf(4, sizes, 'channels-first'), 1)
      const lazy: BatchNorm = new Lazy()
      lazy.freeze()
      lazy.forward(x)
      expect(snapshot(lazy)).toEqual(snapshot(new Ordinary(channels)))
      expect(lazy.parameters().map(({ requiresGrad }) => requiresGrad)).toEqual([false, false])
      lazy.unfreeze()
      expect(lazy.parameters().map(({ requiresGrad }) => requiresGrad)).toEqual([true, true])
    })
  })

  test.each(kinds)(
    '$Lazy.name: an error leaves it lazy, $sizes',
    async ({ Lazy, Ordinary, sizes, shapes }) => {
      const lazy: BatchNorm = new Lazy({ nonFinite: 'throw' })
      const [good, single] = [4, 1].map((samples) => normal(shapeOf(samples, sizes, 'channels-first'), 1))
      const broken = tensor(
        good.data.map(() => Number.NaN),
        [...good.shape],
      )
      const wrongRank = normal([4, channels, 2, 2, 2, 2], 1)
      const state = new Ordinary(channels).stateDict()
      const failing: [() => unknown, string][] = [
        [() => lazy.forward(wrongRank), `Expected input of shape ${shapes} but received [4, 5, 2, 2, 2, 2]`],
        [() => lazy.forwardAsync(wrongRank), `Expected input of shape ${shapes}`],
        [() => lazy.forward(normal([4, 0, ...sizes], 1)), `Expected input of shape ${shapes}`],
        [() => lazy.forward([1, 2] as never), 'Expected input to be a tensor'],
        [() => lazy.forward(broken), 'NaN or Infinity in channels'],
        [() => lazy.forwardAsync(broken), 'NaN or Infinity in channels'],
        [() => lazy.forward(good, { mask: [1] }), 'Expected mask of shape'],
        [() => lazy.forwardAsync(good, { mask: [1] }), 'Expected mask of shape'],
        [() => lazy.recompute(good), 'received no input yet'],
        [() => lazy.loadStateDict({ ...state, bias: [1] }), 'bias: expected shape [5]'],
        [() => lazy.loadStateDict({}), 'its number of channels but received none in the keys weight, bias'],
        [() => lazy.loadStateDict(7 as never), 'Expected state to be an object of tensors but received 7'],
      ]
      if (sizes.length === 0) failing.push([() => lazy.forward(single), 'more than 1 value per channel'])
      for (const [call, message] of failing) {
        await expect((async () => call())(), message).rejects.toThrow(message)
        expect(String(lazy)).toBe(
          `${Lazy.name}(0, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, non_finite=throw)`,
        )
        expect(lazy).toBeInstanceOf(Lazy)
      }
      lazy.forward(good)
      expect(lazy.constructor).toBe(Ordinary)
    },
  )

  test('another call during the first asynchronous one is refused, and does not disturb it', async () => {
    const lazy = new LazyBatchNorm1d()
    const x = normal([64, channels], 1)
    const pending = lazy.forwardAsync(x)
    expect(() => lazy.forward(x)).toThrow('await that call first')
    await expect(lazy.forwardAsync(normal([4, 3], 1))).rejects.toThrow('await that call first')
    const ordinary = new BatchNorm1d(channels)
    expect(await pending).toEqual(ordinary.forward(x))
    expect(snapshot(lazy)).toEqual(snapshot(ordinary))
  })
})

describe('before the first input', () => {
  const reads: [string, (bn: BatchNorm) => unknown][] = [
    ['weight', (bn) => bn.weight],
    ['rawWeight', (bn) => bn.rawWeight],
    ['bias', (bn) => bn.bias],
    ['runningMean', (bn) => bn.runningMean],
    ['runningVar', (bn) => bn.runningVar],
    ['numBatchesTracked', (bn) => bn.numBatchesTracked],
    ['parameters()', (bn) => bn.parameters()],
    ['namedParameters()', (bn) => bn.namedParameters()],
    ['stateDict()', (bn) => bn.stateDict()],
    ['zeroGrad()', (bn) => bn.zeroGrad()],
    ['resetRunningStats()', (bn) => bn.resetRunningStats()],
    ['resetParameters()', (bn) => bn.resetParameters()],
    ['backward()', (bn) => bn.backward(normal([4, channels], 1))],
  ]
  test.each(reads)('%s is an error that says what to do', (_, read) => {
    expect(() => read(new LazyBatchNorm1d())).toThrow(
      'Expected LazyBatchNorm1d(0, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True) to know its ' +
        'number of channels but received no input yet (call forward(input) or loadStateDict(state) first)',
    )
  })

  test('the number of features is 0, and everything else is there', () => {
    const bn = new LazyBatchNorm2d({ eps: 0.5, momentum: null, layout: 'channels-last' })
    expect(bn).toMatchObject({
      numFeatures: 0,
      eps: 0.5,
      momentum: null,
      layout: 'channels-last',
      training: true,
    })
  })

  test('options are checked as always', () => {
    expect(() => new LazyBatchNorm3d({ momentum: 2 })).toThrow('Expected momentum')
    expect(() => new LazyBatchNorm3d({ affine: false, scale: true })).toThrow(
      'affine: false with scale: true',
    )
  })
})
