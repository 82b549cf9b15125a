/** Whole-model checkpoints: their batch norms, and what is wrong with them. */
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  batchNormState,
  decodeSafetensors,
  encodeSafetensors,
  findBatchNorms,
  findingLines,
  type Savable,
  type State,
  summarize,
  type Tensor,
  type TensorData,
  tensor,
} from '../lib/index.ts'
import { below, normal, trained } from './support/module.ts'
import { entry, fileOf } from './support/safetensors-file.ts'

describe('findBatchNorms', () => {
  const untracked = new BatchNorm1d(4, { trackRunningStats: false })
  const file = decodeSafetensors(
    encodeSafetensors([
      ['fc.weight', normal([3, 2], 1)],
      ...below('layer1.0.bn1', trained(4)),
      ...below('norm', untracked),
      ...below('head.running_mean', trained(2, { affine: false })),
    ]),
  )

  test('finds those with running statistics, under any prefix', () => {
    expect(findBatchNorms(file).map(({ prefix, numFeatures }) => [prefix, numFeatures])).toEqual([
      ['head.running_mean', 2],
      ['layer1.0.bn1', 4],
    ])
    expect(findBatchNorms(decodeSafetensors(encodeSafetensors(trained(3).stateDict())))).toMatchObject([
      { prefix: '', numFeatures: 3 },
    ])
  })

  test('their states load, bit for bit', () => {
    for (const [prefix, source] of [
      ['layer1.0.bn1', trained(4)],
      ['head.running_mean', trained(2, { affine: false })],
    ] as const) {
      const module = new BatchNorm1d(source.numFeatures, { affine: source.weight !== null })
      module.loadStateDict(batchNormState(file, prefix))
      expect(module.stateDict()).toEqual(source.stateDict())
    }
  })

  test('a missing num_batches_tracked leaves that of a module, and is no finding', () => {
    const { num_batches_tracked: _, ...old } = trained(3).stateDict()
    const module = trained(3)
    const read = batchNormState(decodeSafetensors(encodeSafetensors(old)), '')
    module.loadStateDict(read)
    expect(module.numBatchesTracked?.data[0]).toBe(1n)
    expect(summarize(read)).toEqual({ ...summarize(trained(3).stateDict()), numBatchesTracked: null })
  })

  test('a prefix without a batch norm is an error that lists those with one', () => {
    expect(() => batchNormState(file, 'fc')).toThrow(
      /prefix to be that of a batch norm.*'fc'.*'head.running_mean', 'layer1.0.bn1'/,
    )
  })

  /** A batch norm whose counter is of another type, as no module writes it. */
  const withCounter = (type: string, shape: number[], bytes: ArrayBufferView) => {
    const { num_batches_tracked: _, ...state } = trained(3).stateDict()
    const counter = decodeSafetensors(
      fileOf({ c: entry(type, shape, 0, bytes.byteLength) }, bytes),
    ).tensors.get('c') as Savable
    return decodeSafetensors(encodeSafetensors({ ...state, num_batches_tracked: counter }))
  }
  const bits = (dtype: 'bfloat16' | 'float16') => tensor(Float32Array.of(200), [1], { dtype }).data

  test.each<[string, number[], ArrayBufferView]>([
    ['I64', [], BigInt64Array.of(200n)],
    ['I64', [1], BigInt64Array.of(200n)],
    ['I32', [], Int32Array.of(200)],
    ['I32', [1], Int32Array.of(200)],
    ['I16', [], Int16Array.of(200)],
    ['U8', [], Uint8Array.of(200)],
    ['U16', [], Uint16Array.of(200)],
    ['U32', [], Uint32Array.of(200)],
    ['U64', [1], BigUint64Array.of(200n)],
    ['F32', [], Float32Array.of(200)],
    ['F64', [1], Float64Array.of(200)],
    ['BF16', [], bits('bfloat16')],
    ['F16', [], bits('float16')],
  ])('a counter of type %s and shape %j is read, by each of the ways', (type, shape, bytes) => {
    const model = withCounter(type, shape, bytes)
    expect(findBatchNorms(model)).toMatchObject([{ misfits: [] }])
    expect(summarize(batchNormState(model, ''))).toMatchObject({ numBatchesTracked: 200 })
    const all = Object.fromEntries([...model.tensors.keys()].map((key) => [key, model.get(key)]))
    for (const state of [batchNormState(model, ''), all]) {
      const module = new BatchNorm1d(3)
      module.loadStateDict(state)
      expect(module.numBatchesTracked?.data).toEqual(BigInt64Array.of(200n))
    }
  })

  test.each<[string, number[], ArrayBufferView, string[], RegExp]>([
    ['below 0', [], Int8Array.of(-1), [], /non-negative integer that fits int64, received -1n/],
    ['broken', [], Float32Array.of(0.5), [], /non-negative integer that fits int64, received 0.5/],
    [
      'too large',
      [],
      BigUint64Array.of(2n ** 63n),
      [],
      /integers that fit int64 but received 9223372036854775808n/,
    ],
    [
      'of two',
      [2],
      Int32Array.of(1, 2),
      ['num_batches_tracked'],
      /num_batches_tracked of the bytes of shape \[\]/,
    ],
    ['of truth values', [], new Uint8ClampedArray([1]), ['num_batches_tracked'], /one of F32.*U8.*'BOOL'/],
  ])('a counter %s is refused', (_, shape, bytes, misfits, message) => {
    const types: Record<string, string> = { Int8Array: 'I8', Float32Array: 'F32', BigUint64Array: 'U64' }
    const type = { ...types, Int32Array: 'I32', Uint8ClampedArray: 'BOOL' }[bytes.constructor.name] as string
    const model = withCounter(type, shape, bytes)
    expect(findBatchNorms(model)).toMatchObject([{ misfits }])
    expect(() => new BatchNorm1d(3).loadStateDict(batchNormState(model, ''))).toThrow(message)
  })

  test('integers are no running statistics', () => {
    const state = { ...trained(2).stateDict(), running_mean: tensor(BigInt64Array.of(1n, 2n)) }
    const model = decodeSafetensors(encodeSafetensors(state))
    expect(findBatchNorms(model)).toMatchObject([{ misfits: ['running_mean'] }])
    expect(() => batchNormState(model, '')).toThrow(/dtype of running_mean of the bytes.*F32.*'I64'/)
  })

  test.each<[string, Record<string, Tensor<TensorData>>, string[], RegExp]>([
    [
      'running statistics of two lengths',
      { running_var: tensor([1, 2, 3]) },
      ['running_var'],
      /sick\.running_var of the bytes of shape \[2\].*\[3\]/,
    ],
    [
      'a matrix',
      { weight: tensor([[1], [2]]), bias: tensor([1]) },
      ['weight', 'bias'],
      /sick\.weight of the bytes of shape \[2\].*\[2, 1\]/,
    ],
    [
      'a scalar for a mean',
      { running_mean: tensor(1) },
      ['weight', 'bias', 'running_mean', 'running_var'],
      /sick\.weight of the bytes of shape \[0\].*\[2\]/,
    ],
  ])('%s: a misfit, which is listed beside the others and not loaded', (_, change, misfits, message) => {
    const model = decodeSafetensors(
      encodeSafetensors([
        ...below('healthy', trained(3)),
        ...Object.entries({ ...trained(2).stateDict(), ...change }).map(
          ([key, value]) => [`sick.${key}`, value] as const,
        ),
      ]),
    )
    expect(findBatchNorms(model)).toMatchObject([
      { prefix: 'healthy', misfits: [] },
      { prefix: 'sick', misfits },
    ])
    expect(new BatchNorm1d(3).loadStateDict(batchNormState(model, 'healthy')).missingKeys).toEqual([])
    expect(() => batchNormState(model, 'sick')).toThrow(message)
  })
})

describe('summarize', () => {
  const good = {
    weight: [1, -2, 3],
    bias: [0, 0, 0],
    running_mean: [1, 2, 3],
    running_var: [1, 2, 3],
    num_batches_tracked: 7n,
  }
  test.each<[string, State, [string, number[]][]]>([
    ['finds nothing wrong with a good state', {}, []],
    ['dead scale', { weight: [1, 1e-5, 0] }, [['dead scale', [1, 2]]]],
    ['variance near eps, and 0', { running_var: [1e-4, 1.01e-4, 0] }, [['variance near eps', [0, 2]]]],
    [
      'NaN and Infinity in any of the vectors',
      { bias: [Number.NaN, 0, 0], running_var: [1, Number.POSITIVE_INFINITY, 1] },
      [['non-finite', [0, 1]]],
    ],
    ['a negative variance', { running_var: [1, -1e-9, 1] }, [['negative variance', [1]]]],
    ['a mean far from zero', { running_mean: [2000, 1, 1] }, [['mean far from zero', [0]]]],
    [
      'channels as they were before the first batch',
      { running_mean: [0, 0, 1], running_var: [1, 2, 1] },
      [['never updated', [0]]],
    ],
    ['no batch tracked', { num_batches_tracked: 0 }, [['never updated', [0, 1, 2]]]],
  ])('%s', (_, change, findings) => {
    expect([...summarize({ ...good, ...change }).findings]).toEqual(findings)
  })

  test('takes a state as JSON', () => {
    const sick = { ...good, bias: tensor([Number.NaN, 0, 0]) }
    expect(summarize(JSON.parse(JSON.stringify({ ...sick, num_batches_tracked: 7 })))).toEqual(
      summarize(sick),
    )
  })

  test('takes the state of a module, with and without parameters', () => {
    expect(summarize(trained(3).stateDict())).toMatchObject({ numFeatures: 3, numBatchesTracked: 1 })
    expect(findingLines(summarize(new BatchNorm1d(2, { affine: false }).stateDict()))).toEqual([
      'never updated in 2 of 2: all',
    ])
  })

  test('what is near depends on eps', () => {
    expect(
      summarize({ ...good, running_var: [1e-2, 1, 1] }, { eps: 1e-3 }).findings.get('variance near eps'),
    ).toEqual([0])
  })

  test('refuses a state without running statistics', () => {
    expect(() => summarize({ weight: [1] })).toThrow(/state to be one with running_mean and running_var/)
  })
})
