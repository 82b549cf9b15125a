/** A mistake by the caller: the error names the argument, what was expected and what came; nothing changes. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import { BatchNorm1d, type BatchNormOptions, functional, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { detached } from './support/bad-values.ts'
import { normal, snapshot, trained } from './support/module.ts'

type ErrorClass = typeof TypeError | typeof RangeError

/** `any`, since the wrong types are what is tested. */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Anything = any

function expectError(call: () => unknown, kind: ErrorClass, message: string): void {
  let error: unknown
  try {
    call()
  } catch (caught) {
    error = caught
  }
  expect(error).toBeInstanceOf(kind)
  expect((error as Error).message).toContain(message)
}

function floats(length: number): Float32Array {
  return new Float32Array(length)
}

describe('options', () => {
  test.each<[Anything, ErrorClass, string]>([
    [0, RangeError, 'Expected numFeatures to be a positive integer but received 0'],
    [1.5, RangeError, 'Expected numFeatures to be a positive integer but received 1.5'],
    [-1, RangeError, 'Expected numFeatures to be a positive integer but received -1'],
    [Number.NaN, RangeError, 'Expected numFeatures to be a positive integer but received NaN'],
    ['100', TypeError, "Expected numFeatures to be a positive integer but received '100'"],
    [undefined, TypeError, 'Expected numFeatures to be a positive integer but received undefined'],
  ])('numFeatures %s', (numFeatures, kind, message) => {
    expectError(() => new BatchNorm1d(numFeatures), kind, message)
  })

  const momentum = 'Expected momentum to be a number from 0 to 1, or null, but received'
  const eps = 'Expected eps to be a finite number, at least 0, but received'
  test.each<[Anything, ErrorClass, string]>([
    [{ eps: -1e-5 }, RangeError, `${eps} -0.00001`],
    [{ eps: Number.NaN }, RangeError, `${eps} NaN`],
    [{ eps: Number.POSITIVE_INFINITY }, RangeError, `${eps} Infinity`],
    [{ eps: '1e-5' }, TypeError, `${eps} '1e-5'`],
    [{ momentum: Number.NaN }, RangeError, `${momentum} NaN`],
    [{ momentum: 1.1 }, RangeError, `${momentum} 1.1`],
    [{ momentum: -0.1 }, RangeError, `${momentum} -0.1`],
    [{ momentum: '0.1' }, TypeError, `${momentum} '0.1'`],
    [{ affine: 1 }, TypeError, 'Expected affine to be true or false but received 1'],
    [{ scale: 'yes' }, TypeError, "Expected scale to be true or false but received 'yes'"],
    [{ affine: false, scale: true }, TypeError, 'received affine: false with scale: true'],
    [{ affine: false, center: true }, TypeError, 'received affine: false with center: true'],
    [
      { trackRunningStats: false, singleValue: 'running' },
      TypeError,
      "received trackRunningStats: false with singleValue: 'running'",
    ],
    [
      { layout: 'NCL' },
      RangeError,
      "Expected layout to be one of channels-first, channels-last but received 'NCL'",
    ],
    [{ singleValue: 1 }, TypeError, 'Expected singleValue to be one of throw, running but received 1'],
    [
      { nonFinite: 'ignore' },
      RangeError,
      "Expected nonFinite to be one of propagate, skip, throw but received 'ignore'",
    ],
    [{ epsilon: 1e-3 }, TypeError, "trainAffine, reuse, dtype, activation but received 'epsilon'"],
    [
      { track_running_stats: false },
      TypeError,
      "but received 'track_running_stats' (did you mean trackRunningStats?)",
    ],
    [7, TypeError, 'Expected options to be an object but received 7'],
  ])('%o', (options, kind, message) => {
    expectError(() => new BatchNorm1d(3, options), kind, message)
  })

  test('that an object has inherited count as its own', () => {
    const bn = new BatchNorm1d(3, Object.create({ eps: 0.5, nonFinite: 'skip', affine: false }))
    expect([bn.eps, bn.nonFinite, bn.weight]).toEqual([0.5, 'skip', null])
  })
})

describeEachBackend('bad input', () => {
  const shape = [4, 3]
  const input = normal(shape, 4)
  const gradOutput = normal(shape, 5)
  let bn: BatchNorm

  beforeEach(() => {
    bn = trained(3)
    bn.forward(input)
    bn.backward(gradOutput)
  })

  /** After an error every buffer is as it was, and `backward` still follows the last good forward. */
  function expectErrorAndNoChange(call: () => unknown, kind: ErrorClass, message: string): void {
    const before = snapshot(bn)
    const inputs = [input.data.slice(), gradOutput.data.slice()]
    expectError(call, kind, message)
    expect(snapshot(bn)).toEqual(before)
    expect([input.data, gradOutput.data]).toEqual(inputs)

    const expected = trained(3)
    expected.forward(input)
    expected.backward(gradOutput)
    expect(bn.backward(gradOutput)).toEqual(expected.backward(gradOutput))
    expect(snapshot(bn)).toEqual(snapshot(expected))
  }

  const aTensor = 'to be a tensor { data: Float32Array, shape } but received'
  const aFloat32Array = 'to be a Float32Array (dtype float32) but received'
  const ofLength12 = 'to be of length 12, for the shape [4, 3], but received'

  describe.each(['input', 'gradOutput'])('%s', (name) => {
    test.each<[string, Anything, ErrorClass, string]>([
      ['undefined', undefined, TypeError, `${name} ${aTensor} undefined`],
      ['null', null, TypeError, `${name} ${aTensor} null`],
      ['a number', 7, TypeError, `${name} ${aTensor} 7`],
      ['an array', [[1, 2, 3]], TypeError, `${name} ${aTensor} [an array of length 3]`],
      [
        'a bare typed array',
        floats(12),
        TypeError,
        `${name} ${aTensor} a Float32Array of length 12 (give it a shape: tensor(data, shape))`,
      ],
      ['no data', { shape }, TypeError, `${name} ${aTensor} an object with keys shape`],
      ['an array as data', { data: [1, 2], shape }, TypeError, `${name}.data ${aFloat32Array} [1, 2]`],
      [
        'a Proxy as data',
        { data: new Proxy(floats(12), {}), shape },
        TypeError,
        `${name}.data ${aFloat32Array} a Proxy`,
      ],
      [
        'another dtype',
        tensor(new Float64Array(12), shape),
        TypeError,
        `${name}.data ${aFloat32Array} a Float64Array of length 12 (convert it with Float32Array.from)`,
      ],
      [
        'no shape',
        { data: floats(12) },
        TypeError,
        `${name}.shape to be an array of sizes but received undefined`,
      ],
      [
        'a shape of strings',
        { data: floats(12), shape: ['4', 3] },
        RangeError,
        `${name}.shape to be an array of non-negative integers but received ['4', 3]`,
      ],
      [
        'a negative size',
        { data: floats(12), shape: [-4, -3] },
        RangeError,
        `${name}.shape to be an array of non-negative integers but received [-4, -3]`,
      ],
      [
        'a size that is no integer',
        { data: floats(12), shape: [1.5, 8] },
        RangeError,
        `${name}.shape to be an array of non-negative integers but received [1.5, 8]`,
      ],
      [
        'too short',
        { data: floats(11), shape },
        RangeError,
        `${name}.data ${ofLength12} a Float32Array of length 11`,
      ],
      [
        'too long',
        { data: floats(13), shape },
        RangeError,
        `${name}.data ${ofLength12} a Float32Array of length 13`,
      ],
      [
        'a detached buffer',
        { data: detached(), shape },
        RangeError,
        `${name}.data ${ofLength12} a Float32Array of length 0 (was it disposed of or transferred? It has no elements then)`,
      ],
    ])('%s', (_, value, kind, message) => {
      const call = name === 'input' ? () => bn.forward(value) : () => bn.backward(value)
      expectErrorAndNoChange(call, kind, `Expected ${message}`)
    })
  })

  describe('shape', () => {
    const first = 'Expected input of shape [N, 3] or [N, 3, L] but received'
    const last = 'Expected input of shape [N, 3] or [N, L, 3] but received'
    test.each<[number[], BatchNormOptions, string]>([
      [[4, 64], {}, `${first} [4, 64]`],
      [[12], {}, `${first} [12]`],
      [[3], {}, `${first} [3]`],
      [[], {}, `${first} []`],
      [[4, 3, 2, 2], {}, `${first} [4, 3, 2, 2]`],
      [[4, 5, 6], {}, `${first} [4, 5, 6]`],
      [[4, 5, 3], {}, `${first} [4, 5, 3] (did you mean layout: 'channels-last'?)`],
      [[4, 5, 6], { layout: 'channels-last' }, `${last} [4, 5, 6]`],
      [[4, 3, 5], { layout: 'channels-last' }, `${last} [4, 3, 5] (did you mean layout: 'channels-first'?)`],
      [[3], { layout: 'channels-last' }, `${last} [3]`],
    ])('%j with %o', (wrong, options, message) => {
      const module = new BatchNorm1d(3, options)
      const before = snapshot(module)
      let error: unknown
      try {
        module.forward(normal(wrong, 1))
      } catch (caught) {
        error = caught
      }
      expect(error).toBeInstanceOf(RangeError)
      expect((error as Error).message, 'the whole of it: no hint that does not fit').toBe(message)
      expect(snapshot(module)).toEqual(before)
    })
  })

  describe('gradOutput', () => {
    test.each([[[3, 4]], [[4, 3, 1]], [[2, 3, 2]], [[2, 3]]])('of shape %j', (wrong) => {
      const message = `Expected gradOutput of shape [4, 3], the shape of the last output, but received [${wrong.join(', ')}]`
      expectErrorAndNoChange(() => bn.backward(normal(wrong, 1)), RangeError, message)
    })

    test('before any forward', () => {
      const fresh = new BatchNorm1d(3)
      const before = snapshot(fresh)
      expectError(
        () => fresh.backward(gradOutput),
        TypeError,
        'Expected a forward() before backward(gradOutput) but received none (call forward(input) first)',
      )
      expect(snapshot(fresh)).toEqual(before)
    })

    test('after the input was transferred', () => {
      const gone = normal(shape, 6)
      bn.forward(gone)
      const before = snapshot(bn)
      structuredClone(gone.data, { transfer: [gone.data.buffer as ArrayBuffer] })
      const message =
        'Expected the input of forward() to be of length 12, for backward(gradOutput), but received'
      expectError(() => bn.backward(gradOutput), RangeError, message)
      expect(snapshot(bn)).toEqual(before)
    })
  })

  test('one value a channel in training', () => {
    expectErrorAndNoChange(
      () => bn.forward(normal([1, 3], 1)),
      RangeError,
      'Expected more than 1 value per channel when training, got input size [1, 3] (a last batch of 1?',
    )
  })

  test('a parameter whose memory was transferred', () => {
    const weight = bn.weight?.data as Float32Array
    structuredClone(weight, { transfer: [weight.buffer as ArrayBuffer] })
    const message = 'Expected weight to be of length 3, for one value a channel, but received'
    expectError(() => bn.forward(input), RangeError, message)
    expectError(() => bn.backward(gradOutput), RangeError, message)
  })

  describe.each(['forward', 'backward'] as const)('out of %s', (method) => {
    const read = method === 'forward' ? 'input' : 'gradOutput'

    test.each<[string, Anything, ErrorClass, string]>([
      [
        'too small',
        floats(11),
        RangeError,
        'out to be of length 12, for a result of shape [4, 3], but received',
      ],
      [
        'too large',
        floats(13),
        RangeError,
        'out to be of length 12, for a result of shape [4, 3], but received',
      ],
      [
        'another dtype',
        new Float64Array(12),
        TypeError,
        'out to be a Float32Array (dtype float32) but received a',
      ],
      [
        'an array',
        new Array(12).fill(0),
        TypeError,
        `out ${aTensor} [0, 0, 0, 0, 0, 0, 0, 0, ... 12 in all]`,
      ],
      ['null', null, TypeError, `out ${aTensor} null`],
      [
        'another shape',
        { data: floats(12), shape: [3, 4] },
        RangeError,
        'out of shape [4, 3] but received [3, 4]',
      ],
      ['detached', detached(), RangeError, 'but received a Float32Array of length 0 (was it disposed of'],
    ])('%s', (_, out, kind, message) => {
      expectErrorAndNoChange(
        () => bn[method](method === 'forward' ? input : gradOutput, { out }),
        kind,
        message,
      )
    })

    test.each([
      { title: 'later', from: 1, bytes: 'bytes 4 to 52 and 0 to 48' },
      { title: 'by one element', from: 11, bytes: 'bytes 44 to 92 and 0 to 48' },
    ])('that starts $title than what is read', ({ from, bytes }) => {
      const memory = new Float32Array(24)
      const data = memory.subarray(0, 12)
      data.set(input.data)
      const before = memory.slice()
      expectErrorAndNoChange(
        () => bn[method]({ data, shape }, { out: memory.subarray(from, from + 12) }),
        RangeError,
        `Expected out not to overlap ${read} but received ${bytes} of one buffer (give out memory of its own)`,
      )
      expect(memory).toEqual(before)
    })

    test('right beside what is read is fine', () => {
      const memory = new Float32Array(24)
      const data = memory.subarray(0, 12)
      data.set(input.data)
      bn[method]({ data, shape }, { out: memory.subarray(12) })
      expect(data).toEqual(input.data)
      expect(memory.subarray(12).some((value) => value !== 0)).toBe(true)
    })
  })

  test('out of backward that overlaps the input of forward in part', () => {
    const memory = new Float32Array(24)
    const data = memory.subarray(0, 12)
    data.set(input.data)
    bn.forward({ data, shape })
    const before = snapshot(bn)
    const message =
      'Expected out not to overlap the input of forward() but received bytes 4 to 52 and 0 to 48'
    expectError(() => bn.backward(gradOutput, { out: memory.subarray(1, 13) }), RangeError, message)
    expect(snapshot(bn)).toEqual(before)
    expect(data).toEqual(input.data)
  })

  test.each(['weight', 'weight.grad', 'bias', 'bias.grad', 'runningMean', 'runningVar'])(
    'out over %s',
    (name) => {
      const one = normal([1, 3], 1)
      const arrays: Record<string, Float32Array | undefined> = {
        weight: bn.weight?.data,
        'weight.grad': bn.weight?.grad,
        bias: bn.bias?.data,
        'bias.grad': bn.bias?.grad,
        runningMean: bn.runningMean?.data,
        runningVar: bn.runningVar?.data,
      }
      const message = `Expected out not to overlap ${name} but received bytes 0 to 12 and 0 to 12 of one buffer`
      expectErrorAndNoChange(() => bn.eval().forward(one, { out: arrays[name] }), RangeError, message)
    },
  )
})

describeEachBackend('bad input of functional', () => {
  const shape = [4, 3]
  const input = normal(shape, 4)
  const gradOutput = normal(shape, 5)
  const memory = new Float32Array(24)
  const inMemory = tensor(memory.subarray(0, 12), shape)

  test.each<[string, Anything, Anything, ErrorClass, string]>([
    [
      'no tensor',
      [1],
      {},
      TypeError,
      'Expected input to be a tensor { data: Float32Array, shape } but received [1]',
    ],
    [
      'one axis',
      normal([12], 1),
      {},
      RangeError,
      'Expected input of shape [N, C, ...] with at least one channel',
    ],
    [
      'no channel',
      normal([4, 0], 1),
      {},
      RangeError,
      'Expected input of shape [N, C, ...] with at least one channel',
    ],
    [
      'layout',
      input,
      { layout: 'last' },
      RangeError,
      "Expected layout to be one of channels-first, channels-last but received 'last'",
    ],
    ['options', input, null, TypeError, 'Expected options to be an object but received null'],
    [
      'eval without running statistics',
      input,
      { training: false, runningMean: null, runningVar: null },
      TypeError,
      'Expected runningMean and runningVar in eval but received neither',
    ],
    [
      'runningMean alone',
      input,
      { runningVar: null },
      TypeError,
      'Expected runningMean and runningVar together but received runningMean without runningVar',
    ],
    ['runningVar alone', input, { runningMean: null }, TypeError, 'received runningVar without runningMean'],
    [
      'runningVar too short',
      input,
      { runningVar: floats(2) },
      RangeError,
      'Expected runningVar to be of length 3, for one value a channel, but received a Float32Array of length 2',
    ],
    [
      'weight of another type',
      input,
      { weight: [1, 2, 3] },
      TypeError,
      'Expected weight to be a tensor { data: Float32Array, shape } but received [1, 2, 3]',
    ],
    [
      'bias too long',
      input,
      { bias: floats(4) },
      RangeError,
      'Expected bias to be of length 3, for one value a channel, but received a Float32Array of length 4',
    ],
    [
      'momentum null',
      input,
      { momentum: null },
      TypeError,
      'Expected momentum to be a number from 0 to 1 but received null',
    ],
    [
      'momentum NaN',
      input,
      { momentum: Number.NaN },
      RangeError,
      'Expected momentum to be a number from 0 to 1 but received NaN',
    ],
    [
      'eps',
      input,
      { eps: -1 },
      RangeError,
      'Expected eps to be a finite number, at least 0, but received -1',
    ],
    ['training', input, { training: 1 }, TypeError, 'Expected training to be true or false but received 1'],
    [
      'one value a channel',
      normal([1, 3], 1),
      {},
      RangeError,
      'Expected more than 1 value per channel when training, got input size [1, 3] (a last batch of 1? Drop it)',
    ],
    ['out too small', input, { out: floats(11) }, RangeError, 'Expected out to be of length 12'],
    [
      'out overlaps',
      inMemory,
      { out: memory.subarray(1, 13) },
      RangeError,
      'Expected out not to overlap input',
    ],
    [
      'out over bias',
      input,
      { bias: memory.subarray(0, 3), out: memory.subarray(1, 13) },
      RangeError,
      'Expected out not to overlap bias',
    ],
    [
      'runningMean is runningVar',
      input,
      { runningMean: memory.subarray(0, 3), runningVar: memory.subarray(2, 5) },
      RangeError,
      'Expected runningMean not to overlap runningVar',
    ],
    [
      'runningMean in the input',
      inMemory,
      { runningMean: memory.subarray(0, 3), runningVar: floats(3) },
      RangeError,
      'Expected runningMean not to overlap input',
    ],
    [
      'runningVar in the weight',
      input,
      { runningMean: floats(3), runningVar: memory.subarray(0, 3), weight: memory.subarray(2, 5) },
      RangeError,
      'Expected runningVar not to overlap weight',
    ],
  ])('batchNorm: %s', (_, value, options, kind, message) => {
    const running = { runningMean: Float32Array.of(1, 2, 3), runningVar: Float32Array.of(4, 5, 6) }
    const defaults = { training: true, ...running }
    const before = input.data.slice()
    memory.set(normal([24], 9).data)
    const memoryBefore = memory.slice()
    expectError(() => functional.batchNorm(value, options && { ...defaults, ...options }), kind, message)
    expect(input.data).toEqual(before)
    expect(memory).toEqual(memoryBefore)
    expect(running).toEqual({ runningMean: Float32Array.of(1, 2, 3), runningVar: Float32Array.of(4, 5, 6) })
  })

  const mean = new Float64Array(3)
  const invstd = new Float64Array(3).fill(1)
  test.each<[string, Anything, Anything, Anything, ErrorClass, string]>([
    ['gradOutput is no tensor', 7, input, {}, TypeError, 'Expected gradOutput to be a tensor'],
    ['input is no tensor', gradOutput, 7, {}, TypeError, 'Expected input to be a tensor'],
    [
      'another shape',
      normal([3, 4], 1),
      input,
      {},
      RangeError,
      "Expected gradOutput of shape [4, 3], the input's, but received [3, 4]",
    ],
    [
      'options',
      gradOutput,
      input,
      undefined,
      TypeError,
      'Expected options to be an object but received undefined',
    ],
    [
      'no mean',
      gradOutput,
      input,
      { mean: undefined },
      TypeError,
      'Expected mean to be a Float64Array or Float32Array but received undefined',
    ],
    [
      'mean is an array',
      gradOutput,
      input,
      { mean: [1, 2, 3] },
      TypeError,
      'Expected mean to be a Float64Array or Float32Array but received [1, 2, 3]',
    ],
    [
      'invstd too short',
      gradOutput,
      input,
      { invstd: new Float64Array(2) },
      RangeError,
      'Expected invstd to be of length 3, for one value a channel, but received a Float64Array of length 2',
    ],
    [
      'weight too short',
      gradOutput,
      input,
      { weight: floats(2) },
      RangeError,
      'Expected weight to be of length 3',
    ],
    ['out too small', gradOutput, input, { out: floats(11) }, RangeError, 'Expected out to be of length 12'],
    [
      'out overlaps gradOutput',
      inMemory,
      input,
      { out: memory.subarray(1, 13) },
      RangeError,
      'Expected out not to overlap gradOutput',
    ],
    [
      'out overlaps input',
      gradOutput,
      inMemory,
      { out: memory.subarray(1, 13) },
      RangeError,
      'Expected out not to overlap input',
    ],
    [
      'out overlaps weight',
      gradOutput,
      input,
      { weight: memory.subarray(0, 3), out: memory.subarray(1, 13) },
      RangeError,
      'Expected out not to overlap weight',
    ],
  ])('batchNormBackward: %s', (_, gradient, value, options, kind, message) => {
    const before = memory.slice()
    const given = options && { mean, invstd, ...options }
    expectError(() => functional.batchNormBackward(gradient, value, given), kind, message)
    expect(memory).toEqual(before)
  })

  test.each([
    [true, [0, 2]],
    [false, [0, 2]],
    [true, [3, 2, 0]],
    [false, [3, 2, 0]],
  ])('an empty batch is none: training %s, shape %j', (training, shape) => {
    const [runningMean, runningVar] = [Float32Array.of(1, 2), Float32Array.of(3, 4)]
    const empty = tensor(floats(0), shape)
    expect(functional.batchNorm(empty, { runningMean, runningVar, training })).toEqual(empty)
    expect([runningMean, runningVar]).toEqual([Float32Array.of(1, 2), Float32Array.of(3, 4)])
  })

  test('batchNormStats', () => {
    expectError(() => functional.batchNormStats(input, { eps: -1 }), RangeError, 'Expected eps to be')
    expectError(
      () => functional.batchNormStats(normal([12], 1)),
      RangeError,
      'Expected input of shape [N, C, ...]',
    )
  })
})
