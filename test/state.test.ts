/** State dicts: PyTorch's keys, all or nothing. No backend takes part. */
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  type ParameterType,
  type State,
  tensor,
} from '../lib/index.ts'
import { normal, snapshot, trained } from './support/module.ts'

/** A complete state of `BatchNorm1d(2)`. */
const state = {
  weight: [1, 2],
  bias: [3, 4],
  running_mean: [5, 6],
  running_var: [7, 8],
  num_batches_tracked: 9,
}

function loaded(given: State, options: BatchNormOptions = {}): BatchNorm {
  const bn = new BatchNorm1d(2, options)
  bn.loadStateDict(given)
  return bn
}

describe('stateDict', () => {
  test.each<{ options: BatchNormOptions; keys: string[] }>([
    { options: {}, keys: ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'] },
    { options: { affine: false }, keys: ['running_mean', 'running_var', 'num_batches_tracked'] },
    { options: { scale: false }, keys: ['bias', 'running_mean', 'running_var', 'num_batches_tracked'] },
    { options: { trackRunningStats: false }, keys: ['weight', 'bias'] },
    { options: { center: false, trackRunningStats: false }, keys: ['weight'] },
  ])('$options has the keys of what exists, in the order of PyTorch', ({ options, keys }) => {
    expect(Object.keys(new BatchNorm1d(2, options).stateDict())).toEqual(keys)
  })

  test('has the types and shapes of PyTorch', () => {
    const types = Object.entries(new BatchNorm1d(2).stateDict()).map(([key, { dtype, shape }]) => [
      key,
      dtype,
      shape,
    ])
    expect(types).toEqual([
      ['weight', 'float32', [2]],
      ['bias', 'float32', [2]],
      ['running_mean', 'float32', [2]],
      ['running_var', 'float32', [2]],
      ['num_batches_tracked', 'int64', []],
    ])
  })

  test('is a copy that does not follow the module', () => {
    const bn = trained(2)
    const taken = bn.stateDict()
    const before = snapshot(bn).state
    bn.forward(normal([4, 2], 6))
    bn.weight?.data.fill(0)
    expect(Object.fromEntries(Object.entries(taken).map(([key, { data }]) => [key, data]))).toEqual(before)
  })

  test('carries everything over to another module', () => {
    const [source, target] = [trained(2), new BatchNorm1d(2)]
    expect(target.loadStateDict(source.stateDict())).toEqual({ missingKeys: [], unexpectedKeys: [] })
    expect(target.stateDict()).toEqual(source.stateDict())
    const next = normal([4, 2], 6)
    expect(target.forward(next)).toEqual(source.forward(next))
    expect(target.stateDict()).toEqual(source.stateDict())
  })
})

describe('loadStateDict', () => {
  test.each<[string, State]>([
    ['arrays and a number', state],
    ['what JSON gives back', JSON.parse(JSON.stringify(state))],
    ['a bigint', { ...state, num_batches_tracked: 9n }],
    ['a BigInt64Array', { ...state, num_batches_tracked: BigInt64Array.of(9n) }],
    ['an int64 tensor', { ...state, num_batches_tracked: tensor(BigInt64Array.of(9n), []) }],
    ['an int64 tensor of shape [1]', { ...state, num_batches_tracked: tensor(BigInt64Array.of(9n), [1]) }],
    ['float64', { ...state, weight: Float64Array.of(1, 2) }],
    ['integers', { ...state, bias: Int32Array.of(3, 4) }],
    ['tensors', { ...state, weight: tensor([1, 2]), running_var: { data: [7, 8], shape: [2] } }],
  ])('takes %s', (_, given) => {
    expect(snapshot(loaded(given)).state).toEqual({
      weight: Float32Array.of(1, 2),
      bias: Float32Array.of(3, 4),
      running_mean: Float32Array.of(5, 6),
      running_var: Float32Array.of(7, 8),
      num_batches_tracked: BigInt64Array.of(9n),
    })
  })

  test('copies: the arrays that were given stay apart, and those of the module the same', () => {
    const weight = Float32Array.of(1, 2)
    const bn = new BatchNorm1d(2)
    const own = bn.weight?.data
    bn.loadStateDict({ ...state, weight })
    weight.fill(0)
    expect(bn.weight?.data).toBe(own)
    expect(own).toEqual(Float32Array.of(1, 2))
  })

  test('continues the cumulative average', () => {
    const bn = loaded({ ...state, num_batches_tracked: 2 }, { momentum: null })
    bn.forward(
      tensor([
        [1, 2],
        [5, 10],
      ]),
    )
    expect(bn.runningMean?.data).toEqual(Float32Array.of((5 * 2) / 3 + 3 / 3, (6 * 2) / 3 + 6 / 3))
    expect(bn.numBatchesTracked?.data[0]).toBe(3n)
  })

  test.each<[string, BatchNormOptions]>([
    ['of a module', {}],
    ['of one with a positive scale', { positiveScale: true }],
  ])(
    'running statistics without their counter, as old files have them, leave that of the module, as PyTorch 2 does: %s',
    (_, options) => {
      const { num_batches_tracked: __, ...old } = state
      const bn = trained(2, options)
      expect(bn.loadStateDict(old)).toEqual({ missingKeys: [], unexpectedKeys: [] })
      expect(bn.numBatchesTracked?.data).toEqual(BigInt64Array.of(1n))
      expect(bn.runningMean?.data).toEqual(Float32Array.of(5, 6))
      expect(bn.weight?.data.length).toBe(2)
      expect(old).not.toHaveProperty('num_batches_tracked')
    },
  )

  test('a module without running statistics has no place for a counter', () => {
    const bn = new BatchNorm1d(2, { trackRunningStats: false })
    expect(
      bn.loadStateDict({ weight: [1, 2], bias: [3, 4], running_mean: [5, 6] }, { strict: false }),
    ).toEqual({
      missingKeys: [],
      unexpectedKeys: ['running_mean'],
    })
  })

  test('takes the largest counter that int64 holds', () => {
    const counter = 2n ** 63n - 1n
    expect(loaded({ ...state, num_batches_tracked: counter }).numBatchesTracked?.data[0]).toBe(counter)
  })

  test('takes NaN and Infinity, which a broken training run may have left', () => {
    const bn = loaded({ ...state, running_var: [Number.NaN, Number.POSITIVE_INFINITY] })
    expect(bn.runningVar?.data).toEqual(Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY))
  })

  const whole =
    'Expected state to fit BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True) but received '
  const { bias: _, running_mean: __, ...incomplete } = state
  test.each<[string, unknown, string]>([
    ['missing keys', incomplete, 'missing keys: bias, running_mean'],
    ['unexpected keys', { ...state, gamma: [1], beta: [1] }, 'unexpected keys: gamma, beta'],
    [
      'a wrong length',
      { ...state, weight: [1, 2, 3] },
      'weight: expected shape [2], received shape [3] with 3 values',
    ],
    [
      'a wrong shape',
      { ...state, bias: tensor([[1, 2]]) },
      'bias: expected shape [2], received shape [1, 2] with 2 values',
    ],
    [
      'data of another length than their shape',
      { ...state, bias: { data: [1], shape: [2] } },
      'bias: expected shape [2], received shape [2] with 1 values',
    ],
    [
      'a number for a vector',
      { ...state, bias: 1 },
      'bias: expected shape [2], received shape [] with 1 values',
    ],
    [
      'strings',
      { ...state, weight: ['a', 2] },
      "weight: expected numbers that fit float32, received 'a' at [0]",
    ],
    [
      'a text that is a number nowhere',
      { ...state, weight: ['1', 2] },
      "weight: expected numbers that fit float32, received '1' at [0]",
    ],
    [
      'a counter of texts that does not fit',
      { ...state, num_batches_tracked: { dtype: 'int64', shape: [], data: ['9223372036854775808'] } },
      'num_batches_tracked: expected a non-negative integer that fits int64, received 9223372036854775808n',
    ],
    [
      'too large a number',
      { ...state, weight: [1, 1e39] },
      'weight: expected numbers that fit float32, received 1e+39 at [1]',
    ],
    [
      'bigints',
      { ...state, weight: [1n, 2n] },
      'weight: expected numbers that fit float32, received 1n at [0]',
    ],
    ['null', { ...state, weight: null }, 'weight: expected numbers of shape [2], received null'],
    [
      'a counter below 0',
      { ...state, num_batches_tracked: -1 },
      'num_batches_tracked: expected a non-negative integer that fits int64, received -1',
    ],
    [
      'a broken counter',
      { ...state, num_batches_tracked: 1.5 },
      'num_batches_tracked: expected a non-negative integer that fits int64, received 1.5',
    ],
    [
      'a counter that would wrap around',
      { ...state, num_batches_tracked: 2n ** 63n },
      'num_batches_tracked: expected a non-negative integer that fits int64, received 9223372036854775808n',
    ],
    [
      'two counters',
      { ...state, num_batches_tracked: [1, 2] },
      'num_batches_tracked: expected shape [], received shape [2] with 2 values',
    ],
    [
      'everything at once, in one error',
      { weight: [1], running_mean: [1, 2], running_var: ['x', 1], num_batches_tracked: 'x', foo: 1 },
      'missing keys: bias; unexpected keys: foo; weight: expected shape [2], received shape [1] with 1 values; ' +
        "running_var: expected numbers that fit float32, received 'x' at [0]; " +
        "num_batches_tracked: expected numbers of shape [], received 'x'",
    ],
  ])('names %s, and changes nothing', (_, given, problems) => {
    const bn = trained(2)
    const before = snapshot(bn)
    expect(() => bn.loadStateDict(given as State)).toThrow(new RangeError(whole + problems))
    expect(snapshot(bn)).toEqual(before)
  })

  test.each<[unknown, string]>([
    [null, 'null'],
    [undefined, 'undefined'],
    [7, '7'],
    [[], '[]'],
    [new Float32Array(2), 'a Float32Array of length 2'],
    [new Map(Object.entries(state)), 'a Map (Object.fromEntries(map) makes one)'],
  ])('%s is no state dict', (given, received) => {
    const message = `Expected state to be an object of tensors but received ${received}`
    for (const options of [{}, { positiveScale: true }]) {
      const load = () => new BatchNorm1d(2, options).loadStateDict(given as never)
      expect(load).toThrow(new TypeError(message))
    }
    expect(() => new LazyBatchNorm1d().loadStateDict(given as never)).toThrow(new TypeError(message))
  })

  test('strict: false loads what fits and tells the rest', () => {
    const bn = trained(2)
    const before = snapshot(bn).state
    const report = bn.loadStateDict({ weight: [1, 2], foo: 1 }, { strict: false })
    expect(report).toEqual({
      missingKeys: ['bias', 'running_mean', 'running_var', 'num_batches_tracked'],
      unexpectedKeys: ['foo'],
    })
    expect(snapshot(bn).state).toEqual({ ...before, weight: Float32Array.of(1, 2) })
  })

  test('strict: false still refuses a wrong shape', () => {
    const bn = trained(2)
    const before = snapshot(bn)
    expect(() => bn.loadStateDict({ bias: [1, 2], weight: [1] }, { strict: false })).toThrow(
      /weight: expected shape/,
    )
    expect(snapshot(bn)).toEqual(before)
  })
})

describe('a state dict leaves JavaScript and comes back, to the bit', () => {
  const ways: Record<string, (state: object) => unknown> = {
    'as JSON': (state) => JSON.parse(JSON.stringify(state)),
    'by structuredClone': structuredClone,
    'by postMessage': (state) => {
      const { port1, port2 } = new MessageChannel()
      port1.postMessage(state)
      const received = receiveMessageOnPort(port2)?.message
      port1.close()
      return received
    },
  }
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 0.1, 2 ** -149, 3]
  const counters = [0n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n]

  describe.each(Object.entries(ways))('%s', (_, there) => {
    test.each<[BatchNormOptions<ParameterType>]>([
      [{}],
      [{ dtype: 'float64' }],
      [{ positiveScale: true }],
      [{ affine: false }],
    ])('of a module with %j', (options) => {
      fc.assert(
        fc.property(
          fc.array(fc.oneof(fc.double(), fc.float(), fc.constantFrom(...special)), {
            minLength: 8,
            maxLength: 8,
          }),
          fc.oneof(fc.bigInt(0n, 2n ** 63n - 1n), fc.constantFrom(...counters)),
          (values, counter) => {
            const source = new BatchNorm1d(values.length, options)
            source.rawWeight?.data.set(values.map((value) => Math.min(Math.abs(value) || 1, 1e30)))
            source.bias?.data.set(values)
            source.runningMean?.data.set(values)
            source.runningVar?.data.set(values.toReversed())
            source.numBatchesTracked?.data.fill(counter)
            const state = there(source.stateDict()) as State
            for (const target of [new BatchNorm1d(values.length, options), new LazyBatchNorm1d(options)]) {
              expect(target.loadStateDict(state)).toEqual({ missingKeys: [], unexpectedKeys: [] })
              expect(target.stateDict()).toEqual(source.stateDict())
            }
          },
        ),
        { numRuns: 50 },
      )
    })

    test.each(['bfloat16', 'float16'] as const)('every %s', (dtype) => {
      const all = tensor(
        Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits),
        undefined,
        { dtype },
      )
      const { weight } = there({ weight: all }) as State
      const module = new BatchNorm1d(all.data.length, { center: false, trackRunningStats: false })
      module.loadStateDict({ weight })
      expect(module.weight?.data).toEqual(all.numbers())
    })
  })

  test('as JSON that a person can read', () => {
    const bn = new BatchNorm1d(2, { dtype: 'float64', center: false })
    bn.weight?.data.set([0.1, -0])
    bn.runningMean?.data.set([Number.NaN, Number.NEGATIVE_INFINITY])
    bn.numBatchesTracked?.data.fill(2n ** 53n + 1n)
    expect(JSON.stringify(bn.stateDict())).toBe(
      '{"weight":{"dtype":"float64","shape":[2],"data":[0.1,"-0"]},' +
        '"running_mean":{"dtype":"float64","shape":[2],"data":["NaN","-Infinity"]},' +
        '"running_var":{"dtype":"float64","shape":[2],"data":[1,1]},' +
        '"num_batches_tracked":{"dtype":"int64","shape":[],"data":["9007199254740993"]}}',
    )
  })

  test('int64 of any sign, and halves by their numbers', () => {
    const integers = tensor(BigInt64Array.of(-(2n ** 63n), -1n, 0n, 5n))
    expect(integers.toJSON().data).toEqual(['-9223372036854775808', -1, 0, 5])
    expect(tensor(Float32Array.of(1.5, -0), [2], { dtype: 'bfloat16' }).toJSON()).toEqual({
      dtype: 'bfloat16',
      shape: [2],
      data: [1.5, '-0'],
    })
  })

  test('a tensor that was transferred has no numbers to write', () => {
    const given = tensor([1, 2])
    structuredClone(given.data, { transfer: [given.data.buffer as ArrayBuffer] })
    expect(() => JSON.stringify(given)).toThrow(/data to be of length 2.*transferred/)
  })
})

describe('resets', () => {
  test('resetRunningStats forgets the batches and keeps the parameters', () => {
    const bn = loaded(state)
    bn.resetRunningStats()
    const expected = { ...state, running_mean: [0, 0], running_var: [1, 1], num_batches_tracked: 0 }
    expect(bn.stateDict()).toEqual(loaded(expected).stateDict())
  })

  test('resetParameters makes a new module of it', () => {
    const bn = loaded(state)
    bn.resetParameters()
    expect(bn.stateDict()).toEqual(new BatchNorm1d(2).stateDict())
  })
})

test.each<[number, BatchNormOptions, string]>([
  [100, {}, 'BatchNorm1d(100, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)'],
  [
    3,
    { eps: 1e-3, momentum: null },
    'BatchNorm1d(3, eps=0.001, momentum=None, affine=True, track_running_stats=True)',
  ],
  [
    3,
    { eps: 1e-12, momentum: 1 },
    'BatchNorm1d(3, eps=1e-12, momentum=1, affine=True, track_running_stats=True)',
  ],
  [
    3,
    { eps: 0, affine: false },
    'BatchNorm1d(3, eps=0, momentum=0.1, affine=False, track_running_stats=True)',
  ],
  [
    3,
    { center: false, trackRunningStats: false },
    'BatchNorm1d(3, eps=1e-05, momentum=0.1, scale=True, center=False, track_running_stats=False)',
  ],
])('BatchNorm1d(%i, %o) prints as PyTorch prints it', (numFeatures, options, text) => {
  expect(String(new BatchNorm1d(numFeatures, options))).toBe(text)
})
