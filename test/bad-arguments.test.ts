/** Whatever stands in the place of an argument: an error names it in our words, and then nothing has changed. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import * as library from '../lib/index.ts'
import {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  functional,
  LazyBatchNorm1d,
  MicroBatches,
  Moments,
  Tensor,
  tensor,
} from '../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'
import { share } from './support/backends.ts'
import { badValues, placesOf } from './support/bad-values.ts'
import { snapshot, trained } from './support/module.ts'
import { ofOtherRealm } from './support/realm.ts'

/** A call with arguments that are right, and the modules that it may change. */
interface Call {
  readonly args: unknown[]
  // biome-ignore lint/suspicious/noExplicitAny: the wrong types are what is tested
  readonly call: (...args: any[]) => unknown
  readonly modules?: readonly BatchNorm[]
}

const x = () =>
  tensor([
    [1, 2, 3],
    [4, 5, 9],
  ])
const long = () =>
  tensor(
    Float32Array.from({ length: 12 }, (_, index) => index ** 2),
    [2, 3, 2],
  )
const vector = (...values: number[]) => Float32Array.from(values)
const ones = () => vector(1, 1, 1)
const linear = () => ({
  weight: tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]),
  bias: ones(),
})
const reader = () => ({ weight: tensor([[1, 2, 3]]), bias: vector(1) })
const convolution = () => ({
  weight: tensor(new Float32Array(18).fill(1), [3, 2, 3]),
  ...{ bias: ones(), groups: 1, stride: 1, padding: 0, dilation: 1 },
})
const statistics = () => ({ mean: new Float64Array(3), invstd: new Float64Array(3).fill(1) })
const file = () => library.decodeSafetensors(library.encodeSafetensors(trained(3).stateDict()))
const options = () => ({
  ...{ eps: 1e-5, momentum: 0.1, affine: true, scale: true, center: true, trackRunningStats: true },
  ...{ layout: 'channels-first', singleValue: 'throw', nonFinite: 'propagate', dtype: 'float32' },
  ...{ useBatchStats: null, updateStats: null, trainAffine: true, positiveScale: false },
  ...{ virtualBatchSize: null, renorm: { rMax: 1, dMax: 0 }, activation: 'leakyRelu', negativeSlope: 0.1 },
})

type Method =
  | 'forward'
  | 'forwardAsync'
  | 'recompute'
  | 'backward'
  | 'backwardAsync'
  | 'loadStateDict'
  | 'train'

/** A method of a module that has gone forward, with a residual. */
function method(name: Method, args: unknown[], settings: BatchNormOptions = {}, input = x()): Call {
  const module = trained(3, settings)
  module.forward(input, { residual: input })
  return { args, modules: [module], call: (...given) => (module[name] as Call['call'])(...given) }
}

function setter(name: 'eps' | 'momentum' | 'useBatchStats' | 'updateStats' | 'trainAffine'): Call {
  const module = trained(3)
  return {
    args: [module[name]],
    modules: [module],
    call: (value) => Reflect.set(module, name, value, module),
  }
}

function microBatches(name: 'observe' | 'forward' | 'observeGradient' | 'backward', args: unknown[]): Call {
  const module = trained(3)
  const step = new MicroBatches(module)
  if (name !== 'observe') step.observe(x())
  if (name === 'observeGradient' || name === 'backward') step.forward(x())
  if (name === 'backward') step.observeGradient(x(), x())
  return { args, modules: [module], call: (...given) => (step[name] as Call['call'])(...given) }
}

function ofModule(make: (module: BatchNorm) => { args: unknown[]; call: Call['call'] }): Call {
  const module = trained(3)
  return { ...make(module), modules: [module] }
}

const calls: Record<string, () => Call> = {
  'new BatchNorm1d': () => ({ args: [3, options()], call: (...given) => new BatchNorm1d(...(given as [3])) }),
  'new BatchNorm2d': () => ({ args: [3, {}], call: (...given) => new BatchNorm2d(...(given as [3])) }),
  'new LazyBatchNorm1d': () => ({ args: [options()], call: (given) => new LazyBatchNorm1d(given) }),
  forward: () =>
    method('forward', [x(), { out: new Float32Array(6), residual: x(), mask: [1, 1], weights: [1, 1] }]),
  'forward, activation': () => method('forward', [{ ...x() }, { out: { ...x() } }], { activation: 'relu' }),
  'forward, lengths': () => method('forward', [long(), { lengths: [2, 1] }]),
  'forward, ghost batches': () => method('forward', [x(), { mask: [1, 1] }], { virtualBatchSize: 2 }),
  'forward, renorm': () => method('forward', [x(), { weights: [1, 1] }], { renorm: true }),
  forwardAsync: () => method('forwardAsync', [x(), { out: new Float32Array(6), residual: x() }]),
  recompute: () => method('recompute', [x(), { out: new Float32Array(6), residual: x() }]),
  backward: () => method('backward', [x(), { out: new Float32Array(6), gradResidual: new Float32Array(6) }]),
  backwardAsync: () => method('backwardAsync', [x(), { out: new Float32Array(6) }], { activation: 'relu' }),
  'forward, lazy': () => ({
    args: [x(), {}],
    call: (...given) => new LazyBatchNorm1d().forward(...(given as [never])),
  }),
  loadStateDict: () => method('loadStateDict', [trained(3).stateDict(), { strict: true }]),
  'loadStateDict, positiveScale': () =>
    method('loadStateDict', [trained(3, { positiveScale: true }).stateDict(), {}], { positiveScale: true }),
  'loadStateDict, lazy': () => ({
    args: [trained(3).stateDict(), {}],
    call: (...given) => new LazyBatchNorm1d().loadStateDict(...(given as [never])),
  }),
  train: () => method('train', [true]),
  eps: () => setter('eps'),
  momentum: () => setter('momentum'),
  useBatchStats: () => setter('useBatchStats'),
  updateStats: () => setter('updateStats'),
  trainAffine: () => setter('trainAffine'),
  'tensor of numbers': () => ({
    args: [
      [
        [1, 2],
        [3, 4],
      ],
      { dtype: 'float32' },
    ],
    call: tensor,
  }),
  'tensor of an array': () => ({ args: [vector(1, 2, 3, 4), [2, 2], { dtype: 'float64' }], call: tensor }),
  'new Tensor': () => ({
    args: [vector(1, 2, 3, 4), [2, 2], 'float32'],
    call: (...given) => new Tensor(...(given as [never, never])),
  }),
  batchNorm: () => ({
    args: [
      x(),
      {
        ...{ runningMean: ones(), runningVar: ones(), weight: ones(), bias: tensor(ones()), training: true },
        ...{ momentum: 0.1, eps: 1e-5, layout: 'channels-first', residual: x(), out: new Float32Array(6) },
        ...{ activation: 'leakyRelu', negativeSlope: 0.1 },
      },
    ],
    call: functional.batchNorm,
  }),
  'batchNorm, eval': () => ({
    args: [x(), { runningMean: ones(), runningVar: ones() }],
    call: functional.batchNorm,
  }),
  batchNormStats: () => ({
    args: [x(), { eps: 0, layout: 'channels-first' }],
    call: functional.batchNormStats,
  }),
  batchNormBackward: () => ({
    args: [x(), x(), { ...statistics(), weight: ones(), training: true, out: new Float32Array(6) }],
    call: functional.batchNormBackward,
  }),
  batchNormDoubleBackward: () => ({
    args: [
      x(),
      x(),
      { ...statistics(), weight: ones(), gradGradInput: x(), gradGradWeight: ones(), gradGradBias: ones() },
    ],
    call: functional.batchNormDoubleBackward,
  }),
  'new Moments': () => ({
    args: [3, { layout: 'channels-first' }],
    call: (...given) => new Moments(...(given as [3])),
  }),
  'Moments.of': () => ({ args: [x(), { layout: 'channels-first' }], call: Moments.of }),
  'Moments.fromJSON': () => ({ args: [JSON.parse(JSON.stringify(Moments.of(x())))], call: Moments.fromJSON }),
  'moments.update': () => ({ args: [x()], call: (given) => Moments.of(x()).update(given) }),
  'moments.merge': () => ({ args: [Moments.of(x())], call: (given) => Moments.of(x()).merge(given) }),
  'moments.variance': () => ({
    args: [{ unbiased: true }],
    call: (given) => Moments.of(x()).variance(given),
  }),
  'new MicroBatches': () => ({ args: [trained(3)], call: (given) => new MicroBatches(given) }),
  'microBatches.observe': () => microBatches('observe', [x()]),
  'microBatches.forward': () => microBatches('forward', [x(), { out: new Float32Array(6) }]),
  'microBatches.observeGradient': () => microBatches('observeGradient', [x(), x()]),
  'microBatches.backward': () => microBatches('backward', [x(), x(), { out: new Float32Array(6) }]),
  recalibrate: () => ofModule((module) => ({ args: [module, [x()]], call: library.recalibrate })),
  'recalibrate, run': () =>
    ofModule((module) => ({
      args: [[x()]],
      call: (batches) => library.recalibrate([module], batches, (batch: Tensor) => module.forward(batch)),
    })),
  'recalibrate, widths': () =>
    ofModule((module) => ({
      args: [{ narrow: module }, [x()]],
      call: (widths, batches) =>
        library.recalibrate(widths, batches, (batch: Tensor) => widths.narrow?.forward?.(batch)),
    })),
  slice: () => ofModule((module) => ({ args: [module, [2, 0]], call: library.slice })),
  'pool, moments': () => ({
    args: [[{ name: 'berlin', moments: JSON.parse(JSON.stringify(Moments.of(x()))) }]],
    call: library.pool,
  }),
  'pool, states': () => ({
    args: [{ state: trained(3).stateDict(), count: { '': 9 } }, { storedVariance: 'unbiased' }],
    call: (client, settings) => library.pool([client], settings),
  }),
  federatedKeys: () => ({ args: [trained(3).stateDict(), 'fedbn'], call: library.federatedKeys }),
  foldIntoPrevious: () => ({
    args: [linear(), trained(3).eval(), { probe: tensor([[1, 2]]) }],
    call: library.foldIntoPrevious,
  }),
  'foldIntoPrevious, convolution': () => ({
    args: [convolution(), trained(3).eval(), { probe: tensor(new Float32Array(10), [1, 2, 5]) }],
    call: library.foldIntoPrevious,
  }),
  foldIntoNext: () => ({ args: [trained(3).eval(), reader(), { probe: x() }], call: library.foldIntoNext }),
  absorbScale: () => ({
    args: [new BatchNorm1d(3), { name: 'prelu', weight: 0.25 }, reader(), { probe: x() }],
    call: library.absorbScale,
  }),
  collapse: () => ({
    args: [[linear(), trained(3).eval()], { probe: tensor([[1, 2]]) }],
    call: library.collapse,
  }),
  toAffine: () => ({ args: [trained(3).eval()], call: library.toAffine }),
  linearity: () => ofModule((module) => ({ args: [module, x(), x()], call: library.linearity })),
  saturation: () => ({
    args: [{ name: 'elu', alpha: 1 }, x(), { eps: 1e-5, layout: 'channels-first' }],
    call: library.saturation,
  }),
  outputRange: () => ({ args: [3, { eps: 0, variance: 1, xhat: x() }], call: library.outputRange }),
  describeOutput: () => ({ args: [x(), { layout: 'channels-first' }], call: library.describeOutput }),
  setIdentity: () =>
    ofModule((module) => ({ args: [module, { mean: ones(), variance: ones() }], call: library.setIdentity })),
  findBatchNorms: () => ({ args: [file()], call: library.findBatchNorms }),
  batchNormState: () => ({ args: [file(), ''], call: library.batchNormState }),
  summarize: () => ({ args: [trained(3).stateDict(), { eps: 1e-5 }], call: library.summarize }),
  findingLines: () => ({ args: [library.summarize(trained(3).stateDict())], call: library.findingLines }),
  parameterGroups: () => ({ args: [trained(3).parameters(), 1e-4], call: library.parameterGroups }),
  encodeSafetensors: () => ({
    args: [{ a: { data: vector(1), shape: [1], dtype: 'float32' } }, { format: 'pt' }],
    call: library.encodeSafetensors,
  }),
  decodeSafetensors: () => ({
    args: [library.encodeSafetensors({ a: tensor([1]) })],
    call: library.decodeSafetensors,
  }),
  'file.get': () => ({ args: ['weight'], call: (key) => file().get(key) }),
  'stored.bytes': () => ({
    args: [0, 4],
    call: (...given) =>
      file()
        .tensors.get('weight')
        ?.bytes(...(given as [0])),
  }),
  'encodeSafetensors, pairs': () => ({
    args: [new Map([['a', { data: vector(1), shape: [1] }]])],
    call: library.encodeSafetensors,
  }),
  fromConvention: () => ({
    args: [
      'keras',
      {
        ...{ momentum: 0.9, epsilon: 1e-3, axis: -1, gamma: ones(), beta: tensor(ones()) },
        ...{ moving_mean: Float64Array.of(0.1, 1, 2), moving_variance: [1, 2, 3] },
      },
      { dtype: 'float32', valuesPerChannel: 32 },
    ],
    call: (...given) => library.fromConvention(...(given as ['keras', never])),
  }),
  toConvention: () => ({
    args: ['flax', trained(3), { valuesPerChannel: 32 }],
    call: (...given) => library.toConvention(...(given as ['flax', never])),
  }),
  toOnnx: () => ({ args: [trained(3).eval(), { rank: 2, name: 'bn' }], call: toOnnx }),
  fromOnnx: () => ({ args: [toOnnx(trained(3).eval()), {}], call: fromOnnx }),
  findOnnxBatchNorms: () => ({ args: [toOnnx(trained(3).eval())], call: findOnnxBatchNorms }),
}

const values = Object.entries(badValues)
let places = 0
const whole = { depth: null, maxArrayLength: null }

describe.each(Object.entries(calls))('%s', (_, make) => {
  test('with arguments that are right', async () => {
    const { call, args } = make()
    await call(...args)
  })

  test('arguments of another realm are what they are here', async () => {
    const [here, there] = [make(), make()]
    const args = there.args.map(ofOtherRealm)
    const results = [await here.call(...here.args), await there.call(...args)]
    expect(inspect(results[1], whole)).toBe(inspect(results[0], whole))
    expect(inspect(args, whole)).toBe(inspect(here.args.map(ofOtherRealm), whole))
    expect(there.modules?.map(snapshot)).toEqual(here.modules?.map(snapshot))
  })

  const placed = placesOf(make().args).map(([name, put]) => ({
    name,
    put,
    given: share(values, 4, places++),
  }))
  test.each(placed)('argument $name', async ({ put, given }) => {
    for (const [name, value] of given) {
      const { call, args, modules = [] } = make()
      put(args, value())
      const before = modules.map(snapshot)
      let error: Error | null = null
      try {
        await call(...args)
      } catch (caught) {
        error = caught as Error
      }
      if (error === null) continue
      expect([TypeError, RangeError], name).toContain(error.constructor)
      expect(error.message, name).toMatch(/^Expected /)
      expect(modules.map(snapshot), name).toEqual(before)
    }
  })
})

// biome-ignore lint/suspicious/noExplicitAny: the wrong types are what is tested
type Anything = any

test.each<[string, () => unknown, string]>([
  [
    'an out that is given bare',
    () => trained(3).forward(x(), new Float32Array(6) as Anything),
    'options to be an object',
  ],
  ['a list of options', () => new BatchNorm1d(3, [] as Anything), 'options to be an object but received []'],
  ['options that are null', () => trained(3).backward(x(), null as Anything), 'options to be an object'],
  ['a number of renorm', () => new BatchNorm1d(3, { renorm: [3, 5] as Anything }), 'renorm to be an object'],
  ['no channels', () => new BatchNorm1d(null as Anything), 'numFeatures to be a positive integer'],
  [
    'a dtype for a shape',
    () => tensor(vector(1, 2), { dtype: 'bfloat16' } as Anything),
    'tensor.shape to be an array',
  ],
  [
    '0 for a shape',
    () => tensor(vector(1, 2), 0 as Anything),
    'tensor.shape to be an array of sizes but received 0',
  ],
  [
    'halves that do not say of what',
    () => trained(3).forward({ data: new Uint16Array(6), shape: [2, 3] }),
    "input.dtype to be 'bfloat16' or 'float16'",
  ],
  [
    'false for a gradient',
    () => functional.batchNormDoubleBackward(x(), x(), { ...statistics(), gradGradInput: false as Anything }),
    'gradGradInput to be a tensor',
  ],
  [
    'false for a residual',
    () => functional.batchNorm(x(), { training: true, residual: false as Anything }),
    'residual to be a tensor',
  ],
  [
    'a weight of another length',
    () => library.summarize({ ...trained(3).stateDict(), weight: [1, 2] }),
    'state.weight to be of length 3',
  ],
  [
    'bytes that are not there',
    () => file().tensors.get('weight')?.bytes(8, 16),
    'begin and end to be within the 12 bytes of tensor',
  ],
  [
    'a negative eps of saturation',
    () => library.saturation('tanh', x(), { eps: -1 }),
    'eps to be a finite number',
  ],
  [
    'the array of a batch',
    () => library.encodeSafetensors(vector(1) as Anything),
    "tensors['0'] to be a tensor",
  ],
  [
    'pairs that are none',
    () => library.encodeSafetensors([1] as Anything),
    'tensors to be pairs of a key and a tensor',
  ],
])('%s is refused', (_, call, message) => {
  expect(call).toThrow(`Expected ${message}`)
})

test('the array of a batch is no iterable of batches', async () => {
  const batches = new Float32Array(6) as Anything
  await expect(library.recalibrate(trained(3), batches)).rejects.toThrow(
    'Expected batches to be an iterable of batches',
  )
})
