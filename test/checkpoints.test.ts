/** Whole-model checkpoints: their batch norms, and what is wrong with them. */
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  batchNormState,
  decodeSafetensors,
  encodeSafetensors,
  findBatchNorms,
  findingLines,
  type State,
  summarize,
  type Tensor,
  type TensorData,
  tensor,
} from '../lib/index.ts'
import { below, normal, trained } from './support/module.ts'

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
      ['layer1.0.bn1', 4],
      ['head.running_mean', 2],
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

  test('a missing num_batches_tracked is 0 in a module, and no finding', () => {
    const { num_batches_tracked: _, ...old } = trained(3).stateDict()
    const module = trained(3)
    const read = batchNormState(decodeSafetensors(encodeSafetensors(old)), '')
    module.loadStateDict(read)
    expect(module.numBatchesTracked?.data[0]).toBe(0n)
    expect(summarize(read)).toEqual({ ...summarize(trained(3).stateDict()), numBatchesTracked: null })
  })

  test('a prefix without a batch norm is an error that lists those with one', () => {
    expect(() => batchNormState(file, 'fc')).toThrow(
      /prefix to be that of a batch norm.*'fc'.*'layer1.0.bn1', 'head.running_mean'/,
    )
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
