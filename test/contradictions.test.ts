/** Options that exclude each other: an error names both, and nothing has changed. */
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  type ForwardOptions,
  MicroBatches,
} from '../lib/index.ts'
import { chosenModule, combinations, forms } from './support/choices.ts'
import { filled, normal, snapshot } from './support/module.ts'

/** The options of each, and the two that the error names. */
const ofModule: readonly [options: BatchNormOptions, one: string, other: string][] = [
  [{ affine: false, scale: true }, 'affine: false', 'scale: true'],
  [{ affine: false, center: true }, 'affine: false', 'center: true'],
  [{ affine: false, positiveScale: true }, 'affine: false', 'positiveScale: true'],
  [{ affine: false, trainAffine: true }, 'affine: false', 'trainAffine: true'],
  [{ scale: false, positiveScale: true }, 'scale: false', 'positiveScale: true'],
  [{ scale: false, center: false, trainAffine: true }, 'scale: false and center: false', 'trainAffine: true'],
  [
    { trackRunningStats: false, singleValue: 'running' },
    'trackRunningStats: false',
    "singleValue: 'running'",
  ],
  [{ trackRunningStats: false, useBatchStats: false }, 'trackRunningStats: false', 'useBatchStats: false'],
  [{ trackRunningStats: false, updateStats: true }, 'trackRunningStats: false', 'updateStats: true'],
  [{ trackRunningStats: false, renorm: true }, 'trackRunningStats: false', 'renorm'],
  [{ trackRunningStats: false, renorm: { rMax: 2 } }, 'trackRunningStats: false', 'renorm'],
  [{ useBatchStats: false, virtualBatchSize: 2 }, 'useBatchStats: false', 'virtualBatchSize'],
  [{ useBatchStats: false, renorm: true }, 'useBatchStats: false', 'renorm'],
  [{ negativeSlope: 0.2 }, 'activation: null', 'negativeSlope'],
  [{ activation: null, negativeSlope: 0 }, 'activation: null', 'negativeSlope'],
  [{ activation: 'relu', negativeSlope: 0.01 }, "activation: 'relu'", 'negativeSlope'],
]

function expectContradiction(call: () => unknown, one: string, other: string): void {
  expect(call).toThrow(TypeError)
  expect(call).toThrow(
    `Expected options that agree but received ${one} with ${other} (leave one of them out)`,
  )
}

test.each(ofModule)('%o', (options, one, other) => {
  expectContradiction(() => new BatchNorm1d(3, options), one, other)
})

/** What is set, or done, later. */
const later: readonly [
  options: BatchNormOptions,
  change: (bn: BatchNorm) => unknown,
  one: string,
  other: string,
][] = [
  [
    { trackRunningStats: false },
    (bn) => Object.assign(bn, { useBatchStats: false }),
    'trackRunningStats: false',
    'useBatchStats: false',
  ],
  [
    { trackRunningStats: false },
    (bn) => Object.assign(bn, { updateStats: true }),
    'trackRunningStats: false',
    'updateStats: true',
  ],
  [{ trackRunningStats: false }, (bn) => bn.freeze(), 'trackRunningStats: false', 'freeze()'],
  [
    { virtualBatchSize: 2 },
    (bn) => Object.assign(bn, { useBatchStats: false }),
    'useBatchStats: false',
    'virtualBatchSize',
  ],
  [{ renorm: true }, (bn) => Object.assign(bn, { useBatchStats: false }), 'useBatchStats: false', 'renorm'],
  [{ virtualBatchSize: 2 }, (bn) => new MicroBatches(bn), 'virtualBatchSize', 'micro-batches'],
  [{ renorm: true }, (bn) => new MicroBatches(bn), 'renorm', 'micro-batches'],
  [{ positiveScale: true }, (bn) => new MicroBatches(bn), 'positiveScale', 'micro-batches'],
  [{ activation: 'relu' }, (bn) => new MicroBatches(bn), 'activation', 'micro-batches'],
  [{ reuse: true }, (bn) => new MicroBatches(bn), 'reuse: true', 'micro-batches'],
]

test.each(later)('%o, and then %s', (options, change, one, other) => {
  const bn = filled(new BatchNorm1d(3, options))
  const [before, text] = [snapshot(bn), String(bn)]
  expectContradiction(() => change(bn), one, other)
  expect([snapshot(bn), String(bn)]).toEqual([before, text])
})

test.each<[ForwardOptions]>([
  [{ mask: [1, 0, 1, 1], lengths: [2, 2, 1, 0] }],
  [{ mask: new Uint8Array(8), lengths: new Uint8Array(4) }],
])('of a call: %o', (call) => {
  const bn = filled(new BatchNorm1d(3))
  const before = snapshot(bn)
  expectContradiction(() => bn.forward(normal([4, 3, 2], 1), call), 'mask', 'lengths')
  expect(snapshot(bn)).toEqual(before)
})

describe('no contradiction', () => {
  test.each<[BatchNormOptions]>([
    [{ affine: false, scale: false, center: false, positiveScale: false, trainAffine: false }],
    [{ scale: false, center: true, trainAffine: true }],
    [{ trackRunningStats: false, useBatchStats: true, updateStats: false, renorm: false }],
    [{ useBatchStats: false, virtualBatchSize: null, renorm: null }],
    [{ activation: 'leakyRelu', negativeSlope: 0 }],
    [{ activation: 'relu', negativeSlope: undefined }],
  ])('%o', (options) => {
    expect(new BatchNorm1d(3, options).forward(normal([4, 3], 1)).shape).toEqual([4, 3])
  })

  test('a module frozen with options for what is done with batches has them again when it is not', () => {
    const bn = filled(new BatchNorm1d(2, { virtualBatchSize: 2, renorm: true }))
    const text = String(bn)
    expect(String(new BatchNorm1d(2, bn.freeze().options))).toBe(text)
    expect(String(bn.unfreeze())).toBe(text)
  })

  test('what a module has by now makes another like it', () => {
    let made = 0
    for (const combination of combinations) {
      let bn: BatchNorm
      try {
        bn = chosenModule(combination, forms[0], true, 'float32')
      } catch (error) {
        expect(String(error)).toContain('Expected options that agree')
        continue
      }
      const { frozen } = bn
      if (frozen) bn.unfreeze()
      const other = new BatchNorm1d(bn.numFeatures, bn.options)
      expect([String(other), other.options]).toEqual([String(bn), bn.options])
      made++
    }
    expect(made).toBeGreaterThan(combinations.length / 2)
  })
})
