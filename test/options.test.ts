/** A misspelled option would do nothing in silence: in every object of options it is an error with a hint. */
import { describe, expect, test, vi } from 'vitest'
import * as library from '../lib/index.ts'
import {
  BatchNorm1d,
  BatchNorm3d,
  functional,
  LazyBatchNorm2d,
  MicroBatches,
  Moments,
  tensor,
} from '../lib/index.ts'
import { fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'
import { trained } from './support/module.ts'

const x = tensor([
  [1, 2, 3],
  [4, 5, 9],
])
const layer = () => ({ weight: tensor(new Float32Array(9).fill(1), [3, 3]), bias: new Float32Array(3) })
const fromForward = () => functional.batchNormStats(x)

/** Options of every call, each as it may be, and the call with whatever options. */
// biome-ignore lint/suspicious/noExplicitAny: the wrong options are what is tested
const calls: Record<string, [options: object, call: (options: any) => unknown]> = {
  'new BatchNorm1d': [
    {
      ...{ eps: 0, momentum: 0.1, affine: true, scale: true, center: true, trackRunningStats: true },
      ...{ layout: 'channels-first', singleValue: 'throw', nonFinite: 'skip', useBatchStats: null },
      ...{ updateStats: null, trainAffine: true, positiveScale: false, virtualBatchSize: 2, renorm: null },
      ...{ reuse: false, dtype: 'float32', activation: 'leakyRelu', negativeSlope: 0.1 },
    },
    (options) => new BatchNorm1d(3, options),
  ],
  'new BatchNorm3d': [{ eps: 0 }, (options) => new BatchNorm3d(3, options)],
  'new LazyBatchNorm2d': [{ momentum: null }, (options) => new LazyBatchNorm2d(options)],
  renorm: [{ rMax: 3, dMax: 5 }, (renorm) => new BatchNorm1d(3, { renorm })],
  forward: [
    { out: new Float32Array(6), residual: x, mask: [1, 1], weights: [1, 1] },
    (options) => trained(3).forward(x, options),
  ],
  recompute: [
    { out: new Float32Array(6), lengths: undefined },
    (options) => {
      const bn = trained(3)
      bn.forward(x)
      return bn.recompute(x, options)
    },
  ],
  backward: [
    { out: new Float32Array(6), gradResidual: new Float32Array(6) },
    (options) => {
      const bn = trained(3)
      bn.forward(x, { residual: x })
      return bn.backward(x, options)
    },
  ],
  loadStateDict: [{ strict: false }, (options) => trained(3).loadStateDict(trained(3).stateDict(), options)],
  batchNorm: [
    {
      ...{ runningMean: new Float32Array(3), runningVar: new Float32Array(3), weight: null, bias: null },
      ...{ training: true, momentum: 0.1, eps: 0, layout: 'channels-first', residual: x },
      ...{ out: new Float32Array(6), activation: 'leakyRelu', negativeSlope: 0.1 },
    },
    (options) => functional.batchNorm(x, options),
  ],
  batchNormStats: [{ eps: 0, layout: 'channels-first' }, (options) => functional.batchNormStats(x, options)],
  batchNormBackward: [
    {
      ...{
        ...fromForward(),
        weight: null,
        training: true,
        layout: 'channels-first',
        activation: 'leakyRelu',
      },
      ...{ negativeSlope: 0.1, output: x, out: new Float32Array(6), gradResidual: new Float32Array(6) },
    },
    (options) => functional.batchNormBackward(x, x, options),
  ],
  batchNormDoubleBackward: [
    {
      ...{ ...fromForward(), weight: null, training: true, layout: 'channels-first' },
      ...{ gradGradInput: x, gradGradWeight: null, gradGradBias: null },
    },
    (options) => functional.batchNormDoubleBackward(x, x, options),
  ],
  tensor: [{ dtype: 'float64' }, (options) => tensor([1, 2], [2], options)],
  'tensor of an array': [{ dtype: 'float64' }, (options) => tensor(new Float32Array(2), [2], options)],
  'new Moments': [{ layout: 'channels-last' }, (options) => new Moments(3, options)],
  'Moments.of': [{ layout: 'channels-last' }, (options) => Moments.of(x, options)],
  'moments.variance': [{ unbiased: true }, (options) => Moments.of(x).variance(options)],
  'microBatches.forward': [
    { out: new Float32Array(6) },
    (options) => new MicroBatches(trained(3)).observe(x).forward(x, options),
  ],
  fromConvention: [
    { rank: 2, valuesPerChannel: 4, dtype: 'float64' },
    (options) =>
      library.fromConvention('keras', library.toConvention('keras', trained(3)).parameters, options),
  ],
  toConvention: [{ valuesPerChannel: 4 }, (options) => library.toConvention('keras', trained(3), options)],
  toOnnx: [{ name: 'bn', rank: 2, valuesPerChannel: 4 }, (options) => toOnnx(trained(3).eval(), options)],
  fromOnnx: [
    { node: 'batchnorm', rank: 2, valuesPerChannel: 4 },
    (options) => fromOnnx(toOnnx(trained(3).eval(), { rank: 2 }), options),
  ],
  foldIntoPrevious: [
    { probe: x },
    (options) => library.foldIntoPrevious(layer(), trained(3).eval(), options),
  ],
  foldIntoNext: [{ probe: x }, (options) => library.foldIntoNext(trained(3).eval(), layer(), options)],
  absorbScale: [
    { probe: x },
    (options) => library.absorbScale(new BatchNorm1d(3).eval(), 'relu', layer(), options),
  ],
  collapse: [{ probe: x }, (options) => library.collapse([layer(), trained(3).eval()], options)],
  saturation: [{ eps: 0, layout: 'channels-first' }, (options) => library.saturation('tanh', x, options)],
  outputRange: [{ eps: 0, variance: 1, xhat: x }, (options) => library.outputRange(3, options)],
  describeOutput: [{ layout: 'channels-first' }, (options) => library.describeOutput(x, options)],
  summarize: [{ eps: 0 }, (options) => library.summarize(trained(3).stateDict(), options)],
}

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** A name as it is written by mistake; what has the same letters may be another option. */
const misspellings: Record<string, (name: string) => string> = {
  'in the plural': (name) => `${name}s`,
  'with a capital': (name) => name[0].toUpperCase() + name.slice(1),
  "as Python's": (name) => (snakeCase(name) === name ? `_${name}` : snakeCase(name)),
  'with its last letters in another order': (name) => name.slice(0, -2) + name.at(-1) + name.at(-2),
}

describe.each(Object.entries(calls))('%s', (_, [options, call]) => {
  test('with options that there are', () => {
    call(options)
  })

  const names = Object.keys(options)
  const wrong = Object.entries(misspellings).flatMap(([how, misspell]) =>
    names.map((name) => ({ name, how, written: misspell(name) })),
  )
  test.each(wrong.filter(({ written }) => !names.includes(written)))('$name $how', ({ name, written }) => {
    const { [name as keyof typeof options]: value, ...others } = options
    const wrong = { ...others, [written]: value }
    expect(() => call(wrong)).toThrow(TypeError)
    expect(() => call(wrong)).toThrow(
      new RegExp(`among .*${name}.* but received '${written}' \\(did you mean ${name}\\?\\)$`),
    )
  })

  test.each([
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set([1])],
    ['an array', [1]],
    ['a typed array', new Float32Array(1)],
    ['a tensor', x],
  ])('%s', (_name, value) => {
    expect(() => call(value)).toThrow(/^Expected (options|renorm) to be/)
  })
})

test.each(['group', 'Groups', 'dilations', 'output_padding', 'paddign'])('%s of a layer', (name) => {
  const wrong = { ...layer(), [name]: 1 }
  expect(() => library.foldIntoPrevious(wrong, trained(3).eval())).toThrow(
    /but received '.*' \(did you mean /,
  )
})

test('a layer of its user may have more', () => {
  const more = { ...layer(), name: 'fc1', inFeatures: 3, forward: () => null }
  expect(library.foldIntoPrevious(more, trained(3).eval()).layer).toMatchObject({
    name: 'fc1',
    inFeatures: 3,
  })
})

test.each([
  { name: 'elu', negativeSlope: 1 },
  { name: 'relu', alpha: 1 },
  { name: 'leakyRelu', slope: 0.2 },
])('the setting of another activation: %o', (activation) => {
  expect(() => library.saturation(activation as never, x)).toThrow('Expected activation to be among name')
})

test('an option that an object has inherited counts, and so does its misspelling', () => {
  expect(new BatchNorm1d(3, Object.create({ eps: 0.25 })).eps).toBe(0.25)
  expect(() => new BatchNorm1d(3, Object.create({ epsilon: 0.25 }))).toThrow("'epsilon' (did you mean eps?)")
})

test('a momentum that is usual in Keras is warned of, once', async () => {
  vi.resetModules()
  const emitWarning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const { BatchNorm1d } = await import('../lib/index.ts')
  emitWarning.mockClear()
  for (const momentum of [0, 0.1, 0.5, 1, null]) new BatchNorm1d(1, { momentum })
  expect(emitWarning.mock.calls).toEqual([])
  new BatchNorm1d(1).momentum = 0.99
  new BatchNorm1d(1, { momentum: 0.9 })
  expect(emitWarning.mock.calls).toEqual([
    [expect.stringContaining("Keras' momentum: 0.99 is 1 - 0.99 here"), 'BatchNormWarning'],
  ])
  emitWarning.mockRestore()
})
