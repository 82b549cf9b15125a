/** Other frameworks' batch norms: their names and defaults, their formulas, and back to the bit. */
import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  type ConventionName,
  type Conventions,
  fromConvention,
  toConvention,
} from '../lib/index.ts'
import { complement } from '../lib/interop/conventions/momentum.ts'
import type { AnyBatchNorm } from '../lib/modules/batch-norm.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import type { Shape } from '../lib/tensor/shape.ts'
import { filled, normal, normal64, trained } from './support/module.ts'
import { outputTolerance, unit } from './support/tolerance.ts'

const gamma = Float32Array.of(2, -0.5)
const beta = Float32Array.of(0.25, 3)
const mean = Float32Array.of(10, -1)
const variance = Float32Array.of(4, 0.5)

/** The same batch norm in the words of each, without what has a default. */
const said: { [Name in ConventionName]: Conventions[Name] } = {
  keras: { gamma, beta, moving_mean: mean, moving_variance: variance },
  'tf-fused': { scale: gamma, offset: beta, mean, variance },
  flax: { params: { scale: gamma, bias: beta }, batch_stats: { mean, var: variance } },
  mlx: { weight: gamma, bias: beta, running_mean: mean, running_var: variance },
  onnx: { scale: gamma, B: beta, input_mean: mean, input_var: variance },
  onednn: { epsilon: 1e-4, use_scale: true, use_shift: true, scale: gamma, shift: beta, mean, variance },
  mxnet: { fix_gamma: false, gamma, beta, moving_mean: mean, moving_var: variance },
}
const names = Object.keys(said) as ConventionName[]

/** A module of what `fromConvention` gives. */
function moduleOf<Name extends ConventionName>(
  name: Name,
  parameters: Conventions[Name],
  Module: typeof BatchNorm1d | typeof BatchNorm2d | typeof BatchNorm3d = BatchNorm1d,
  dtype: ParameterType = 'float32',
) {
  const { numFeatures, options, state, training, notes } = fromConvention(name, parameters, { dtype })
  const module = new Module(numFeatures, options).train(training)
  module.loadStateDict(state)
  return { module, notes }
}

// The documentation or the source that each row is taken from is cited beside the convention itself.
test.each<[ConventionName, BatchNormOptions, boolean]>([
  ['keras', { eps: 1e-3, momentum: 0.01, layout: 'channels-last', storedVariance: 'biased' }, true],
  ['tf-fused', { eps: 1e-3, momentum: 1, layout: 'channels-last', storedVariance: 'unbiased' }, true],
  ['flax', { eps: 1e-5, momentum: 0.01, layout: 'channels-last', storedVariance: 'biased' }, true],
  ['mlx', { eps: 1e-5, momentum: 0.1, layout: 'channels-last', storedVariance: 'unbiased' }, true],
  ['onnx', { eps: 1e-5, momentum: 0.1, layout: 'channels-first', storedVariance: 'biased' }, false],
  ['onednn', { eps: 1e-4, layout: 'channels-first', storedVariance: 'biased' }, true],
  ['mxnet', { eps: 1e-3, momentum: 0.1, layout: 'channels-first', storedVariance: 'biased' }, true],
])('%s has its own defaults', (name, options, training) => {
  expect(fromConvention(name, said[name])).toMatchObject({
    numFeatures: 2,
    options: { ...options, scale: true, center: true, trackRunningStats: true, dtype: 'float32' },
    state: { weight: gamma, bias: beta, running_mean: mean, running_var: variance, num_batches_tracked: 0 },
    training,
  })
  expect('momentum' in fromConvention(name, said[name]).options).toBe(name !== 'onednn')
})

// Every framework's page gives scale * (x - mean) / sqrt(variance + epsilon) + shift.
test.each(names)('%s: the outputs of inference are those of its formula', (name) => {
  const { module } = moduleOf(name, said[name])
  const x = normal([64, 2], 5)
  const y = module.eval().forward(x)
  for (const [index, value] of y.data.entries()) {
    const c = index % 2
    const exact = (gamma[c] * (x.data[index] - mean[c])) / Math.sqrt(variance[c] + module.eps) + beta[c]
    const allowed = outputTolerance(exact, gamma[c], beta[c], { mean: 0, invstd: unit })
    expect(Math.abs(value - exact)).toBeLessThanOrEqual(allowed)
  }
})

/**
 * One training step on the channel 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 = 14, so
 * 14 / 4 = 3.5 is the biased variance and 14 / 3 the unbiased one. From a running mean of 10 and a
 * running variance of 4, with 0.75 of the old and 0.25 of the new:
 * 0.75 * 10 + 0.25 * 3 = 8.25, and 0.75 * 4 + 0.25 * 3.5 = 3.875 or 0.75 * 4 + 0.25 * 14 / 3 = 25 / 6.
 */
describe('one training step moves the running statistics', () => {
  const [m, v] = [[10], [4]]
  const steps: [ConventionName, ReturnType<typeof moduleOf>, number][] = [
    // moving_var = moving_var * momentum + var(batch) * (1 - momentum), https://keras.io/api/layers/normalization_layers/batch_normalization/
    [
      'keras',
      moduleOf('keras', {
        momentum: 0.75,
        scale: false,
        center: false,
        moving_mean: m,
        moving_variance: v,
      }),
      3.875,
    ],
    // one_minus_factor * old_variance + (factor * rest_size_adjust) * batch_variance, fused_batch_norm_op.cc
    [
      'tf-fused',
      moduleOf('tf-fused', { exponential_avg_factor: 0.25, scale: [1], offset: [0], mean: m, variance: v }),
      25 / 6,
    ],
    // ra_var = momentum * ra_var + (1 - momentum) * var, flax/linen/normalization.py
    [
      'flax',
      moduleOf('flax', {
        momentum: 0.75,
        use_scale: false,
        use_bias: false,
        batch_stats: { mean: m, var: v },
      }),
      3.875,
    ],
    // running_var = (1 - mu) * running_var + mu * unbiased, python/mlx/nn/layers/normalization.py since pull request 3817
    ['mlx', moduleOf('mlx', { momentum: 0.25, affine: false, running_mean: m, running_var: v }), 25 / 6],
    // running_var = input_var * momentum + current_var * (1 - momentum), https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
    [
      'onnx',
      moduleOf('onnx', { momentum: 0.75, training_mode: 1, scale: [1], B: [0], input_mean: m, input_var: v }),
      3.875,
    ],
    // moving_var = moving_var * momentum + data_var * (1 - momentum), src/operator/nn/batch_norm.cc
    ['mxnet', moduleOf('mxnet', { momentum: 0.75, beta: [0], moving_mean: m, moving_var: v }), 3.875],
  ]
  test.each(steps)('%s', (_, { module, notes }, theirs) => {
    module.forward({ data: Float32Array.of(1, 2, 3, 6), shape: [4, 1] })
    expect(module.runningMean?.data).toEqual(Float32Array.of(8.25))
    expect(module.runningVar?.data).toEqual(Float32Array.of(theirs))
    expect(notes.join()).not.toContain('biased')
  })
})

test('a file of a framework that has changed its variance says which it has', () => {
  const before = fromConvention('mlx', said.mlx, { storedVariance: 'biased' })
  expect(before.options.storedVariance).toBe('biased')
  expect(before.state.running_var).toEqual(variance)
  const converted = fromConvention('mlx', said.mlx, { storedVariance: 'biased', valuesPerChannel: 5 })
  expect(converted.options.storedVariance).toBe('unbiased')
  expect(converted.state.running_var).toEqual(variance.map((value) => (value * 5) / 4))
  const wrong = 'neither' as 'biased'
  expect(() => fromConvention('mlx', said.mlx, { storedVariance: wrong })).toThrow(RangeError)
})

test.each(names)('%s: a module that stores the other variance is converted, or a note says so', (name) => {
  const { options } = fromConvention(name, said[name])
  const storedVariance = options.storedVariance === 'biased' ? 'unbiased' : 'biased'
  const module = new BatchNorm2d(2, { ...options, momentum: 0.5, storedVariance })
  module.runningVar?.data.set(variance)
  const factor = storedVariance === 'biased' ? 5 / 4 : 4 / 5
  const expected = variance.map((value) => value * factor)
  const { parameters, notes } = toConvention(name, module.eval(), { valuesPerChannel: 5 })
  expect(JSON.stringify(parameters)).toContain(JSON.stringify(expected))
  expect(notes.join()).not.toContain('biased')
  const kept = toConvention(name, module)
  expect(JSON.stringify(kept.parameters)).toContain(JSON.stringify(variance))
  expect(kept.notes.join()).toContain(`the ${storedVariance} variance`)
})

test.each(names)('%s: valuesPerChannel makes the running variance unbiased, and biased again', (name) => {
  const isBiased = fromConvention(name, said[name]).options.storedVariance === 'biased'
  const { state, notes, options } = fromConvention(name, said[name], { valuesPerChannel: 5 })
  expect(state.running_var).toEqual(variance.map((value) => value * (isBiased ? 5 / 4 : 1)))
  expect(options.storedVariance).toBe('unbiased')
  const isLeftOut = (all: string[]) => all.some((note) => note.startsWith('valuesPerChannel is left out'))
  expect(isLeftOut(notes)).toBe(!isBiased)
  const module = new BatchNorm2d(2, options)
  module.loadStateDict(state)
  const { parameters, notes: back } = toConvention(name, module, { valuesPerChannel: 5 })
  // 4 and 0.5, times 5 / 4 and back: no rounding.
  expect(JSON.stringify(parameters)).toContain(JSON.stringify(variance))
  expect(isLeftOut(back)).toBe(!isBiased)
})

describe('there and back', () => {
  const constraints = { minLength: 3, maxLength: 3, noNaN: true, noDefaultInfinity: true }
  const vectors = { float32: fc.float32Array(constraints), float64: fc.float64Array(constraints) }
  const momentum = fc.oneof(
    fc.integer({ min: 0, max: 1000 }).map((thousandths) => thousandths / 1000),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  const epsilon = fc.double({ min: 1.001e-5, max: 10, noNaN: true })
  const axis = fc.constantFrom(1, -1)
  const anyBoolean = fc.boolean()
  const without = (name: string, value: unknown, there: boolean) => (there ? { [name]: value } : {})

  /** Everything that each of them can say, in full. */
  const parametersOf = (
    vector: fc.Arbitrary<Float32Array> | fc.Arbitrary<Float64Array>,
  ): { [Name in ConventionName]: fc.Arbitrary<Conventions[Name]> } => ({
    keras: fc
      .tuple(axis, momentum, epsilon, anyBoolean, anyBoolean, vector, vector, vector, vector)
      .map(([axis, momentum, epsilon, center, scale, gamma, beta, moving_mean, moving_variance]) => ({
        ...{ axis, momentum, epsilon, center, scale, moving_mean, moving_variance },
        ...without('gamma', gamma, scale),
        ...without('beta', beta, center),
      })),
    'tf-fused': fc
      .tuple(fc.constantFrom('NHWC' as const, 'NCHW' as const), momentum, epsilon, vector, vector)
      .chain(([data_format, exponential_avg_factor, epsilon, scale, offset]) =>
        fc.tuple(anyBoolean, anyBoolean, vector, vector).map(([is_training, tracks, mean, variance]) => ({
          ...{ data_format, exponential_avg_factor, epsilon, scale, offset },
          is_training: is_training || !tracks,
          ...without('mean', mean, tracks),
          ...without('variance', variance, tracks),
        })),
      ),
    flax: fc
      .tuple(anyBoolean, axis, momentum, epsilon, anyBoolean, anyBoolean, vector, vector, vector)
      .map(([use_running_average, axis, momentum, epsilon, use_bias, use_scale, scale, bias, mean]) => ({
        ...{ use_running_average, axis, momentum, epsilon, use_bias, use_scale },
        params: { ...without('scale', scale, use_scale), ...without('bias', bias, use_bias) },
        batch_stats: { mean, var: mean.map(Math.abs) },
      })),
    mlx: fc
      .tuple(anyBoolean, anyBoolean, momentum, epsilon, vector, vector, vector, vector)
      .map(([affine, tracks, momentum, eps, weight, bias, running_mean, running_var]) => ({
        ...{ affine, track_running_stats: tracks, momentum, eps },
        ...without('weight', weight, affine || !tracks),
        ...without('bias', bias, affine || !tracks),
        ...without('running_mean', running_mean, tracks),
        ...without('running_var', running_var, tracks),
        ...(!tracks && { affine: true }),
      })),
    onnx: fc
      .tuple(fc.constantFrom(0, 1), momentum, epsilon, vector, vector, vector, vector)
      .map(([training_mode, momentum, epsilon, scale, B, input_mean, input_var]) => ({
        ...{ training_mode, momentum, epsilon, scale, B, input_mean, input_var },
      })),
    onednn: fc
      .tuple(
        anyBoolean,
        anyBoolean,
        anyBoolean,
        anyBoolean,
        anyBoolean,
        epsilon,
        vector,
        vector,
        vector,
        vector,
      )
      .map(([global, relu, use_scale, use_shift, given, epsilon, scale, shift, mean, variance]) => ({
        ...{ epsilon, use_scale, use_shift, use_global_stats: global, fuse_norm_relu: relu },
        ...without('scale', scale, use_scale),
        ...without('shift', shift, use_shift),
        ...without('mean', mean, given || global || !(use_scale || use_shift)),
        ...without('variance', variance, given || global || !(use_scale || use_shift)),
      })),
    mxnet: fc
      .tuple(anyBoolean, anyBoolean, axis, momentum, epsilon, vector, vector, vector, vector)
      .map(([fix_gamma, use_global_stats, axis, momentum, eps, gamma, beta, moving_mean, moving_var]) => ({
        ...{ fix_gamma, use_global_stats, axis, momentum, eps, beta, moving_mean, moving_var },
        gamma: fix_gamma ? gamma.map(() => 1) : gamma,
      })),
  })

  const cases = names.flatMap((name) => [[name, 'float32'] as const, [name, 'float64'] as const])
  test.each(cases)('%s, %s: the same parameters, to the bit, or a note about the momentum', (name, dtype) => {
    const check = <Name extends ConventionName>(name: Name, given: Conventions[Name]) => {
      const { module, notes } = moduleOf(name, given, BatchNorm2d, dtype)
      const back: Record<string, unknown> = { ...toConvention(name, module).parameters }
      const expected: Record<string, unknown> = { ...given }
      if (notes.some((note) => note.startsWith('momentum: '))) {
        // 1 - momentum is rounded to a multiple of 2^-54 at worst, and so is what comes back.
        expect(Math.abs((back.momentum as number) - (expected.momentum as number))).toBeLessThan(2 ** -52)
        delete back.momentum
        delete expected.momentum
      }
      expect(back).toEqual(expected)
    }
    const parameters = parametersOf(vectors[dtype])[name] as fc.Arbitrary<Conventions[typeof name]>
    fc.assert(fc.property(parameters, (given) => check(name, given)))
  })

  test('a momentum of up to 15 decimal places comes back as it was', () => {
    expect([0.9, 0.99, 0.999, 0.1, 0, 1].map(complement)).toEqual([0.1, 0.01, 0.001, 0.9, 1, 0])
    const decimal = fc
      .tuple(fc.nat(15), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([n, x]) => Number(x.toFixed(n)))
    fc.assert(fc.property(decimal, (value) => complement(complement(value)) === value))
  })

  test.each([
    [BatchNorm1d, 'NHWC', /\[N, 1, 1, C\]/],
    [BatchNorm2d, 'NHWC', null],
    [BatchNorm3d, 'NDHWC', null],
  ] as const)('tf-fused says the axes of %o', (Module, data_format, note) => {
    const options = { eps: 1e-3, layout: 'channels-last' } as const
    const { parameters, notes } = toConvention('tf-fused', new Module(2, options))
    expect(parameters.data_format).toBe(data_format)
    expect(notes).toEqual(note ? [expect.stringMatching(note)] : [])
  })
})

test.each([
  [-1, undefined, 'channels-last'],
  [1, undefined, 'channels-first'],
  [[-1], undefined, 'channels-last'],
  [3, 4, 'channels-last'],
  [[4], 5, 'channels-last'],
  [-3, 4, 'channels-first'],
  [1, 2, 'channels-first'],
] as const)('axis %j of an input of %j axes is %s', (axis, rank, layout) => {
  expect(fromConvention('keras', { ...said.keras, axis }, { rank }).options.layout).toBe(layout)
})

describe('what normalizes and what moves', () => {
  const set = { useBatchStats: null, updateStats: null }
  const frozen = 'frozen'
  const both = { useBatchStats: false, updateStats: false }
  const twoSwitches = /^updateStats: .* does not tell the two apart\.$/

  // Where the parameters have the mode: what they say, and whether that is all.
  const written: [name: ConventionName, key: string, ofBatch: unknown, ofRunning: unknown][] = [
    ['tf-fused', 'is_training', true, false],
    ['flax', 'use_running_average', false, true],
    ['onnx', 'training_mode', 1, 0],
    ['onednn', 'use_global_stats', false, true],
  ]
  const switches: [
    options: BatchNormOptions | typeof frozen,
    training: boolean,
    batch: boolean,
    all: boolean,
  ][] = [
    [set, true, true, true],
    [set, false, false, true],
    [{ useBatchStats: true }, true, true, true],
    [{ useBatchStats: true }, false, true, false],
    [{ useBatchStats: false }, true, false, false],
    [{ useBatchStats: false }, false, false, true],
    [{ updateStats: false }, true, true, false],
    [{ updateStats: true }, false, false, false],
    [both, true, false, true],
    [{ useBatchStats: true, updateStats: true }, false, true, true],
    [frozen, true, false, true],
  ]
  const made = (options: BatchNormOptions | typeof frozen, training: boolean) => {
    const bn = trained(2, options === frozen ? {} : options).train(training)
    return options === frozen ? bn.freeze() : bn
  }
  describe.each(written)('%s: %s', (name, key, ofBatch, ofRunning) => {
    test.each(switches)('%o, training %j', (options, training, batch, all) => {
      const { parameters, notes } = toConvention(name, made(options, training))
      expect(parameters).toHaveProperty(key, batch ? ofBatch : ofRunning)
      expect(notes.filter((note) => twoSwitches.test(note))).toHaveLength(all ? 0 : 1)
    })
  })

  test.each(['tf-fused', 'onednn'] as const)(
    '%s: without running statistics there are none to move',
    (name) => {
      const { notes } = toConvention(name, new BatchNorm1d(2, { trackRunningStats: false }))
      expect(notes.filter((note) => twoSwitches.test(note))).toEqual([])
    },
  )

  // Where the mode is in the calls, the one of the module is not written, and every switch is lost.
  test.each<[BatchNormOptions | typeof frozen, boolean, RegExp | null]>([
    [set, true, null],
    [set, false, null],
    [{ useBatchStats: true }, false, /^useBatchStats: true is left out: in training Keras/],
    [{ updateStats: false }, false, /^updateStats: false is left out/],
    [both, true, /^useBatchStats: false with updateStats: false is left out/],
  ])('keras: %o, training %j', (options, training, note) => {
    const { parameters, notes } = toConvention('keras', made(options, training), { valuesPerChannel: 9 })
    expect(notes).toEqual(note === null ? [] : [expect.stringMatching(note)])
    expect(parameters).not.toHaveProperty('trainable')
  })

  test.each<[BatchNormOptions | typeof frozen]>([
    [frozen],
    [{ ...both, trainAffine: false }],
    [{ ...both, affine: false }],
  ])('keras: %o is trainable: false, there and back', (options) => {
    const { parameters, notes } = toConvention('keras', made(options, true), { valuesPerChannel: 9 })
    expect([parameters.trainable, notes]).toEqual([false, []])
    const { module } = moduleOf('keras', parameters)
    expect(toConvention('keras', module).parameters).toEqual(parameters)
  })

  test('trainable: false of Keras: in training the moving statistics normalize and stay, and nothing is trained', () => {
    const { module } = moduleOf('keras', { ...said.keras, trainable: false })
    const before = module.stateDict()
    const x = normal([8, 2], 5)
    expect(module.training).toBe(true)
    const inTraining = module.forward(x)
    expect(inTraining).toEqual(moduleOf('keras', said.keras).module.eval().forward(x))
    module.backward(normal([8, 2], 6))
    expect(module.parameters().map(({ grad, requiresGrad }) => [[...grad], requiresGrad])).toEqual([
      [[0, 0], false],
      [[0, 0], false],
    ])
    expect(module.stateDict()).toEqual(before)
  })

  test.each<[BatchNormOptions | typeof frozen, boolean, boolean, RegExp | null]>([
    [set, true, false, null],
    [set, false, false, null],
    [both, true, true, null],
    [both, false, true, null],
    [frozen, true, true, /^trainAffine: false/],
    [{ useBatchStats: false }, true, true, twoSwitches],
    [{ useBatchStats: true }, false, false, /^useBatchStats: true is left out: in training MXNet/],
    [{ updateStats: false }, true, false, /^updateStats: false is left out/],
  ])('mxnet: %o, training %j: use_global_stats: %j', (options, training, global, note) => {
    const { parameters, notes } = toConvention('mxnet', made(options, training), { valuesPerChannel: 9 })
    expect(parameters.use_global_stats).toBe(global)
    expect(notes).toEqual(note === null ? [] : [expect.stringMatching(note)])
  })

  test('use_global_stats of MXNet: in training the moving statistics normalize, and stay', () => {
    const { module } = moduleOf('mxnet', { ...said.mxnet, use_global_stats: true })
    const state = module.stateDict()
    const before = Object.values(state).map(({ data }) => data.slice())
    const x = normal([8, 2], 5)
    expect(module.training).toBe(true)
    const inTraining = module.forward(x)
    expect(Object.values(state).map(({ data }) => data)).toEqual(before)
    expect(inTraining).toEqual(moduleOf('mxnet', said.mxnet).module.eval().forward(x))
  })
})

test('fuse_norm_relu of oneDNN: what is below 0 is 0', () => {
  const x = normal([64, 2], 5)
  const { module } = moduleOf('onednn', { ...said.onednn, fuse_norm_relu: true })
  const plain = moduleOf('onednn', said.onednn).module
  const expected = plain.forward(x).data.map((value) => Math.max(value, 0))
  expect(module.forward(x).data).toEqual(expected)
  expect(expected).toContain(0)
})

describe('dtype', () => {
  const digits = Float64Array.of(0.1, -0.3)
  const wide = { params: { scale: digits, bias: beta }, batch_stats: { mean: [0.1, 0.3], var: variance } }

  test.each(names)(
    '%s is given Float64Arrays of a float64 module, also for what it does not have',
    (name) => {
      const options = { dtype: 'float64', affine: false } as const
      for (const module of [filled(new BatchNorm1d(2, { dtype: 'float64' })), new BatchNorm1d(2, options)]) {
        const { parameters } = toConvention(name, module, { valuesPerChannel: 9 })
        const arrays = [parameters, ...Object.values(parameters)]
          .flatMap(Object.values)
          .filter(ArrayBuffer.isView)
        expect(arrays.length).toBeGreaterThan(1)
        for (const array of arrays) expect(array).toBeInstanceOf(Float64Array)
      }
    },
  )

  test('is float32 unless told, with a note for a Float64Array that loses digits', () => {
    const { module, notes } = moduleOf('flax', wide)
    expect(module.weight?.data).toEqual(Float32Array.from(digits))
    expect(notes.filter((note) => note.includes('rounded'))).toEqual([
      "params.scale is rounded from float64 to float32; dtype: 'float64' keeps its digits.",
    ])
    const exact = { ...wide, params: { scale: Float64Array.of(0.5, Number.NaN), bias: beta } }
    expect(moduleOf('flax', exact).notes.join()).not.toContain('rounded')
  })

  test('is float64 when told, with every digit', () => {
    const { module, notes } = moduleOf('flax', wide, BatchNorm1d, 'float64')
    expect([module.weight?.data, module.bias?.data]).toEqual([digits, Float64Array.from(beta)])
    expect(module.runningMean?.data).toEqual(Float64Array.of(0.1, 0.3))
    expect(notes.join()).not.toContain('rounded')
    expect(module.eval().forward(normal64([4, 2], 1)).dtype).toBe('float64')
  })

  test('a tensor of halves is the numbers that it stands for', () => {
    const bits = { data: Uint16Array.of(0x3fc0, 0xc000), shape: [2], dtype: 'bfloat16' }
    const { state } = fromConvention('keras', { ...said.keras, gamma: bits })
    expect(state.weight).toEqual(Float32Array.of(1.5, -2))
  })
})

describe('what is lost is said', () => {
  const unaffine = trained(2, { affine: false })
  test.each<[string, string[], RegExp]>([
    [
      'gamma that is not used',
      moduleOf('mxnet', { ...said.mxnet, fix_gamma: true }).notes,
      /^gamma is left out/,
    ],
    [
      'an epsilon that TensorFlow raises',
      moduleOf('tf-fused', { ...said['tf-fused'], epsilon: 1e-6 }).notes,
      /^epsilon: 0\.000001 is raised to 0\.00001001/,
    ],
    [
      'an epsilon that TensorFlow will raise',
      toConvention('tf-fused', trained(2)).notes,
      /^epsilon: 0\.00001 will be raised/,
    ],
    [
      'statistics that are not there',
      fromConvention('tf-fused', { scale: gamma, offset: beta }).notes,
      /no running statistics/,
    ],
    ['no scale', toConvention('onnx', unaffine).notes, /^scale is ones/],
    ['no center', toConvention('onnx', unaffine).notes, /^B is zeros/],
    ['no center in MXNet', toConvention('mxnet', unaffine).notes, /^beta is zeros/],
    ['an eps below that of cuDNN', toConvention('mxnet', trained(2, { eps: 1e-6 })).notes, /^eps: 0\.000001/],
    [
      'the momentum of oneDNN',
      toConvention('onednn', trained(2)).notes,
      /momentum: 0\.1, the weight of the new/,
    ],
    [
      'the axes of oneDNN',
      toConvention('onednn', trained(2, { layout: 'channels-last' })).notes,
      /format tag nwc/,
    ],
    [
      'a momentum of many digits',
      toConvention('keras', trained(2, { momentum: 1e-17 })).notes,
      /^momentum: 1e-17/,
    ],
  ])('%s', (_, notes, expected) => {
    expect(notes).toContainEqual(expect.stringMatching(expected))
  })

  describe.each(names)('%s', (name) => {
    const notesOf = (options: BatchNormOptions, change = (bn: AnyBatchNorm) => bn) => {
      const without = toConvention(name, trained(2, { eps: 1e-3 })).notes
      const { notes } = toConvention(name, change(trained(2, { eps: 1e-3, ...options })))
      return notes.filter((note) => !without.includes(note))
    }
    test.each<[BatchNormOptions, RegExp]>([
      [{ virtualBatchSize: 4 }, /^virtualBatchSize: 4 is left out: training there is plain/],
      [{ renorm: { rMax: 2, dMax: 1 } }, /^renorm: .*2.*1.* is left out: training there is plain/],
      [{ singleValue: 'running' }, /^singleValue: 'running' is left out/],
      [{ nonFinite: 'skip' }, /^nonFinite: 'skip' is left out/],
      [{ trainAffine: false }, /^trainAffine: false is left out: scale and shift are trained there/],
      [{ positiveScale: true }, /^positiveScale: true is left out: .* may make it 0 or negative/],
    ])('%j', (options, note) => {
      expect(notesOf(options)).toEqual([expect.stringMatching(note)])
    })

    test('but what is frozen has nothing to train', () => {
      const notes = toConvention(name, trained(2, { affine: false }).freeze()).notes
      expect(notes.join()).not.toContain('trainAffine')
    })
  })

  test('a positive scale is written as it is', () => {
    const bn = new BatchNorm1d(2, { positiveScale: true })
    bn.rawWeight?.data.set([0, 3])
    const { parameters } = toConvention('keras', bn)
    expect(parameters.gamma).toEqual(Float32Array.of(Math.log(2), Math.log1p(Math.exp(3))))
  })

  test('and what is not is not', () => {
    expect(toConvention('keras', trained(2), { valuesPerChannel: 9 }).notes).toEqual([])
    expect(fromConvention('tf-fused', said['tf-fused']).notes).toEqual([])
  })
})

describe('what would change the outputs, or is not known, is an error:', () => {
  const { keras, mxnet } = said
  test.each<[string, () => unknown, RegExp]>([
    [
      'another framework',
      () => fromConvention('torch' as never, {} as never),
      /name to be one of keras, tf-fused/,
    ],
    ['no parameters', () => fromConvention('keras', null as never), /parameters to be an object of keras/],
    [
      'a parameter that is not known',
      () => fromConvention('keras', { ...keras, moving_stddev: [1, 1] } as never),
      /among axis, .*moving_variance, .*for keras, but received \['moving_stddev'\]/,
    ],
    ['a missing gamma', () => fromConvention('keras', { ...keras, gamma: undefined }), /gamma.*scale: false/],
    [
      'a gamma without scale',
      () => fromConvention('keras', { ...keras, scale: false }),
      /scale: false with gamma/,
    ],
    [
      'another length',
      () => fromConvention('keras', { ...keras, beta: [1] }),
      /beta to be of length 2, as gamma is/,
    ],
    [
      'no channels',
      () => fromConvention('keras', { ...keras, gamma: [] }),
      /gamma to be one number a channel/,
    ],
    [
      'a matrix',
      () => fromConvention('keras', { ...keras, gamma: { data: gamma, shape: [1, 2] } }),
      /gamma of shape \[2\] but received \[1, 2\]/,
    ],
    [
      'no numbers',
      () => fromConvention('keras', { ...keras, gamma: ['1', '2'] as never }),
      /gamma\[0\] to be a number/,
    ],
    [
      'an axis that may be the last',
      () => fromConvention('keras', { ...keras, axis: 3 }),
      /axis to be 1.*option rank/,
    ],
    [
      'an axis in the middle',
      () => fromConvention('keras', { ...keras, axis: 2 }, { rank: 4 }),
      /axis to be 1.*transpose/,
    ],
    ['two axes', () => fromConvention('flax', { ...said.flax, axis: [1, 2] }), /axis to be an integer/],
    [
      'a negative epsilon',
      () => fromConvention('keras', { ...keras, epsilon: -1 }),
      /epsilon to be a finite number/,
    ],
    [
      'a momentum above 1',
      () => fromConvention('mxnet', { ...mxnet, momentum: 2 }),
      /momentum to be a number from 0/,
    ],
    ...names
      .filter((name) => name !== 'onednn')
      .map((name): [string, () => unknown, RegExp] => [
        `a ReLU in ${name}`,
        () => toConvention(name, new BatchNorm1d(2, { activation: 'relu' })),
        /module without an activation but received activation: 'relu', .* \(.*apply relu after it\)/,
      ]),
    ...names.map((name): [string, () => unknown, RegExp] => [
      `a leaky ReLU in ${name}`,
      () => toConvention(name, new BatchNorm1d(2, { activation: 'leakyRelu' })),
      /activation: 'leakyRelu', .* \(.*apply leakyRelu after it\)/,
    ]),
    [
      'a fused ReLU that is not a switch',
      () => fromConvention('onednn', { ...said.onednn, fuse_norm_relu: 1 as never }),
      /fuse_norm_relu to be true or false/,
    ],
    [
      'another dtype',
      () => fromConvention('keras', keras, { dtype: 'float16' as never }),
      /dtype to be one of float32, float64/,
    ],
    [
      'bits of halves without their dtype',
      () => fromConvention('keras', { ...keras, gamma: Uint16Array.of(1, 2) }),
      /gamma to be an array of numbers.*halves are a tensor with their dtype/,
    ],
    [
      'a number too large for float32',
      () => moduleOf('keras', { ...keras, gamma: Float64Array.of(1e300, 1) }),
      /numbers that fit float32, received 1e\+300/,
    ],
    [
      'global statistics that are not there',
      () => fromConvention('onednn', { epsilon: 0, use_global_stats: true }),
      /mean to be one number a channel/,
    ],
    ['no channels at all', () => fromConvention('onednn', { epsilon: 0 }), /at least one vector/],
    [
      'a switch that is none',
      () => fromConvention('onnx', { ...said.onnx, training_mode: 2 }),
      /training_mode/,
    ],
    ['one value a channel', () => fromConvention('keras', keras, { valuesPerChannel: 1 }), /at least 2/],
    ['no module', () => toConvention('keras', {} as never), /module to be a batch norm/],
    [
      'no running statistics',
      () => toConvention('keras', new BatchNorm1d(2, { trackRunningStats: false })),
      /trackRunningStats: false, and Keras/,
    ],
    [
      'a cumulative average',
      () => toConvention('flax', new BatchNorm1d(2, { momentum: null })),
      /momentum to be a number but received null, and Flax/,
    ],
    [
      'channels last in ONNX',
      () => toConvention('onnx', new BatchNorm1d(2, { layout: 'channels-last' })),
      /'channels-last', and ONNX/,
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })
})

/** What `get_config()` gives of a layer, as each writes it. */
describe('a whole config of Keras', () => {
  const object = (class_name: string, module = 'keras') => ({
    ...{ module, class_name, config: {}, registered_name: null },
  })
  const policy = (name: string) => ({ ...object('DTypePolicy'), config: { name } })
  const numbers = { axis: -1, momentum: 0.9, epsilon: 1e-4, center: true, scale: true }
  const keras3 = {
    ...{ name: 'bn1', trainable: true, dtype: policy('float32'), ...numbers },
    beta_initializer: object('Zeros', 'keras.initializers'),
    gamma_initializer: object('Ones', 'keras.initializers'),
    moving_mean_initializer: object('Zeros', 'keras.initializers'),
    moving_variance_initializer: object('Ones', 'keras.initializers'),
    ...{ beta_regularizer: null, gamma_regularizer: null, beta_constraint: null, gamma_constraint: null },
    ...{ synchronized: false, renorm: false, renorm_clipping: null, renorm_momentum: 0.99 },
  }
  const keras2 = {
    ...{ name: 'bn1', trainable: true, batch_input_shape: [null, 28, 28, 2], dtype: 'float32', ...numbers },
    axis: [3],
    beta_initializer: { class_name: 'Zeros', config: {} },
    gamma_initializer: { class_name: 'Ones', config: {} },
    moving_mean_initializer: { class_name: 'Zeros', config: {} },
    moving_variance_initializer: { class_name: 'Ones', config: {} },
    ...{ beta_regularizer: null, gamma_regularizer: null, beta_constraint: null, gamma_constraint: null },
  }
  const layer = {
    ...{ module: 'keras.layers', class_name: 'BatchNormalization', config: keras3, registered_name: null },
    ...{ build_config: { input_shape: [null, 28, 28, 2] }, name: 'bn1', inbound_nodes: [] },
  }
  const tfjs = tfl.layers.batchNormalization({ ...numbers, betaConstraint: undefined }).getConfig()
  const tuple = { class_name: '__tuple__', items: [null, 28, 28, 2] }
  const take = (config: object, options = {}) =>
    fromConvention('keras', { ...config, ...said.keras } as Conventions['keras'], {
      valuesPerChannel: 9,
      ...options,
    })
  const plain = take(numbers)

  test.each<[string, object]>([
    ['Keras 3', keras3],
    ['Keras 3 before its policies were objects', { ...keras3, dtype: 'float32' }],
    ['Keras 3, the last axis by its number', { ...keras3, axis: 3, build_config: layer.build_config }],
    ['Keras 2', keras2],
    ['Keras 2 without a type', { ...keras2, dtype: null }],
    ['Keras 2, a tuple', { ...keras2, batch_input_shape: tuple }],
    ['TensorFlow.js', tfjs],
    ['a layer of a model of Keras 3', layer],
    ['a layer of a model of Keras 2', { class_name: 'BatchNormalization', config: keras2 }],
  ])('%s: means what its arguments alone mean', (_, config) => {
    expect(take(config)).toEqual(plain)
  })

  test.each<[string, object, RegExp]>([
    ['a regularizer', { gamma_regularizer: object('L2') }, /^gamma_regularizer is left out: .*training loop/],
    ['a constraint', { betaConstraint: object('NonNeg') }, /^betaConstraint is left out/],
    ['statistics of all devices', { synchronized: true }, /^synchronized: true is left out/],
    ['a layer with those', { class_name: 'SyncBatchNormalization' }, /^synchronized: true is left out/],
    [
      'mixed precision',
      { dtype: policy('mixed_bfloat16') },
      /^dtype: 'mixed_bfloat16' .* inputs of bfloat16/,
    ],
    ['its older form', { dtype: { class_name: 'Policy', config: { name: 'mixed_float16' } } }, /of float16/],
    ['float64', { dtype: 'float64' }, /^dtype: 'float64' is float32 here/],
  ])('%s: a note', (_, config, note) => {
    const { notes, ...taken } = take({ ...keras3, ...config })
    expect({ ...taken, notes: [] }).toEqual(plain)
    expect(notes).toEqual([expect.stringMatching(note)])
  })

  test('float64 is kept by the option', () => {
    expect(take({ ...keras3, dtype: 'float64' }, { dtype: 'float64' })).toMatchObject({
      options: { dtype: 'float64' },
      notes: [],
    })
  })

  test('fused: true, whose moving variance is unbiased already', () => {
    for (const options of [{}, { valuesPerChannel: 5 }]) {
      const fused = fromConvention('keras', { ...said.keras, fused: true }, options)
      expect([fused.state.running_var, fused.options.storedVariance]).toEqual([variance, 'unbiased'])
    }
  })

  test.each<[string, object, object, RegExp]>([
    ['renorm', { renorm: true }, {}, /renorm to be false but received true \(it trains otherwise/],
    ['ghost batches', { virtual_batch_size: 8 }, {}, /virtual_batch_size to be null but received 8/],
    ['another layer', { class_name: 'LayerNormalization' }, {}, /class_name to be one of BatchNormalization/],
    ['parameters of halves', { dtype: policy('float16') }, {}, /dtype to be a type or policy.*'float16' \(/],
    ['quantized ones', { dtype: { config: { mode: 'int8' } } }, {}, /dtype to be a type or policy/],
    ['integers', { dtype: 'int32' }, {}, /dtype to be a type or policy.*'int32'/],
    ['no switch', { trainable: 0 }, {}, /trainable to be true or false but received 0/],
    ['two shapes', { batch_input_shape: [null, 3, 2] }, { rank: 4 }, /rank to be 3, as the input shape/],
    ['a config in a config', { config: 'bn1' }, {}, /config to be an object but received 'bn1'/],
    ['what is not in a config', { config: { rate: 0.5 } }, {}, /for keras, but received \['rate'\]/],
  ])('%s: an error', (_, config, options, message) => {
    expect(() => take({ ...keras3, ...config }, options)).toThrow(message)
  })
})

describe('a layer of TensorFlow.js', () => {
  const shapes: [Shape, typeof BatchNorm1d | typeof BatchNorm2d][] = [
    [[12, 3], BatchNorm1d],
    [[4, 5, 6, 3], BatchNorm2d],
  ]
  const tfTensor = (shape: Shape, seed: number) => tf.tensor(normal([...shape], seed).data, [...shape])
  const vectors = (layer: tfl.layers.Layer) =>
    Object.fromEntries(
      layer.weights.map((weight) => [
        weight.originalName.split('/').pop(),
        weight.read().dataSync<'float32'>().slice(),
      ]),
    )
  const build = (shape: Shape, args = {}) => {
    const layer = tfl.layers.batchNormalization(args)
    const model = tfl.sequential({ layers: [tfl.layers.inputLayer({ inputShape: shape.slice(1) }), layer] })
    return { layer, model }
  }

  test.each(shapes)(
    'of an input %j predicts the same, before and after a step of training',
    async (shape, Module) => {
      await tf.setBackend('cpu')
      const { layer, model } = build(shape, { momentum: 0.75 })
      layer.setWeights(layer.getWeights().map((_, seed) => tf.abs(tfTensor([3], seed))))
      const read = () =>
        moduleOf('keras', { ...vectors(layer), momentum: 0.75 } as Conventions['keras'], Module).module
      const before = read()
      const x = normal([...shape], 9)
      layer.apply(tf.tensor(x.data, [...shape]), { training: true })
      before.forward(x)
      // Both move it toward the biased variance. All are sums of a few products in float32.
      const n = x.data.length / 3
      const old = toConvention('keras', read()).parameters
      for (let c = 0; c < 3; c++) {
        const ours = before.runningVar?.data[c] as number
        expect(Math.abs((old.moving_variance as Float32Array)[c] - ours)).toBeLessThanOrEqual(
          (n + 8) * unit * ours,
        )
      }
      const after = read().eval()
      const theirs = (model.predict(tf.tensor(x.data, [...shape])) as tf.Tensor).dataSync<'float32'>()
      const ours = after.forward(x).data
      for (const [index, value] of theirs.entries()) {
        const c = index % 3
        const allowed = outputTolerance(
          value,
          after.weight?.data[c] as number,
          after.bias?.data[c] as number,
          { mean: 0, invstd: unit },
        )
        // TensorFlow.js rounds four times more.
        const product = Math.abs(value - (after.bias?.data[c] as number))
        expect(Math.abs(ours[index] - value)).toBeLessThanOrEqual(
          allowed + unit * (4 * product + Math.abs(value)),
        )
      }
    },
  )

  test('takes what toConvention gives, under the same names, and gives it back', () => {
    const module = trained(3, {
      eps: 1e-3,
      momentum: 0.01,
      layout: 'channels-last',
      storedVariance: 'biased',
    })
    const { parameters } = toConvention('keras', module)
    const { axis, momentum, epsilon, center, scale, ...weights } = parameters
    const { layer } = build([4, 3], { axis, momentum, epsilon, center, scale })
    expect(Object.keys(vectors(layer))).toEqual(Object.keys(weights))
    layer.setWeights(Object.values(weights).map((each) => tf.tensor(each as Float32Array)))
    const back = moduleOf('keras', { ...parameters, ...vectors(layer) }).module
    back.numBatchesTracked?.data.set(module.numBatchesTracked?.data as BigInt64Array)
    expect(back.stateDict()).toEqual(module.stateDict())
    expect(String(back)).toBe(String(module))
  })
})
