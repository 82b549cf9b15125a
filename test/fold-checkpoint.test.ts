/** `batchnorm fold` on tensors of every type: computed in float64, rounded once to the type they had. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type FoldOptions, fold } from '../cli/fold.ts'
import {
  BatchNorm1d,
  batchNormState,
  foldIntoPrevious,
  loadSafetensors,
  type Savable,
  saveSafetensors,
  type Tensor,
} from '../lib/index.ts'
import { halfOfNumber } from '../lib/tensor/half.ts'
import { normal } from './support/module.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-fold-'))
afterAll(() => rmSync(folder, { recursive: true }))
const [model, output] = [join(folder, 'model.safetensors'), join(folder, 'folded.safetensors')]
const options: FoldOptions = { into: [{ layer: 'fc', batchNorm: 'bn' }], output, eps: 1e-3, force: true }

type Type = 'BF16' | 'F16' | 'F32' | 'F64'

/** Half a unit in the last place of 1, and half the smallest subnormal. */
const rounding: Record<Type, [relative: number, absolute: number]> = {
  BF16: [2 ** -8, 2 ** -134],
  F16: [2 ** -11, 2 ** -25],
  F32: [2 ** -24, 2 ** -150],
  F64: [2 ** -53, 0],
}

function stored(type: Type, values: ArrayLike<number>, shape: number[]): Savable {
  const numbers = Float64Array.from(values)
  if (type === 'F64') return { data: numbers, shape }
  if (type === 'F32') return { data: Float32Array.from(numbers), shape }
  const dtype = type === 'BF16' ? 'bfloat16' : 'float16'
  return { data: Uint16Array.from(numbers, (value) => halfOfNumber(value, dtype)), dtype, shape }
}

const [outputs, inputs] = [6, 10]

function save(types: { layer: Type; bias?: Type; batchNorm: Type }, changed: Record<string, number[]> = {}) {
  const vector = (key: string, seed: number) =>
    stored(types.batchNorm, changed[key] ?? normal([outputs], seed).data, [outputs])
  saveSafetensors(model, {
    'fc.weight': stored(types.layer, normal([outputs, inputs], 1).data, [outputs, inputs]),
    ...(types.bias && { 'fc.bias': stored(types.bias, normal([outputs], 2).data, [outputs]) }),
    'bn.weight': vector('weight', 3),
    'bn.bias': vector('bias', 4),
    'bn.running_mean': vector('running_mean', 5),
    'bn.running_var': stored(
      types.batchNorm,
      (changed.running_var ?? Array.from(normal([outputs], 6).data)).map((value) => value ** 2),
      [outputs],
    ),
  })
}

const numbersOf = (file: ReturnType<typeof loadSafetensors>, key: string) =>
  Array.from(file.tensors.get(key)?.numbers().data ?? [], Number)

describe.each<[Type, Type | undefined, Type]>([
  ['F32', 'F32', 'F32'],
  ['BF16', 'BF16', 'BF16'],
  ['BF16', undefined, 'F32'],
  ['BF16', 'F32', 'F32'],
  ['F16', undefined, 'F16'],
  ['F16', 'F16', 'F64'],
  ['F32', 'F32', 'BF16'],
  ['F64', 'F64', 'F64'],
])('a layer of %s with a bias of %s and a batch norm of %s', (layer, bias, batchNorm) => {
  test('is folded to within one rounding of its own type', () => {
    save({ layer, bias, batchNorm })
    expect(fold(model, options)).toMatch(new RegExp(`fc +bn +${outputs} +${layer} `))
    using before = loadSafetensors(model)
    using after = loadSafetensors(output)
    expect([...after.tensors].map(([key, { type, shape }]) => [key, type, shape]).sort()).toEqual([
      ['fc.bias', bias ?? layer, [outputs]],
      ['fc.weight', layer, [outputs, inputs]],
    ])
    const part = (key: string) => numbersOf(before, `bn.${key}`)
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(part)
    const scale = gamma.map((value, c) => value / Math.sqrt(variance[c] + options.eps))
    const oldBias = bias ? numbersOf(before, 'fc.bias') : gamma.map(() => 0)
    // The computation in float64 has up to four roundings of its own, the sum of the bias relative to its terms.
    const inDoubles = 4 * 2 ** -53
    const near = (type: Type, actual: number, expected: number, terms: number) => {
      const [relative, absolute] = rounding[type]
      expect(Math.abs(actual - expected)).toBeLessThanOrEqual(
        relative * Math.abs(expected) + absolute + 2 * inDoubles * terms,
      )
    }
    numbersOf(after, 'fc.weight').forEach((value, at) => {
      const expected = numbersOf(before, 'fc.weight')[at] * scale[Math.floor(at / inputs)]
      near(layer, value, expected, Math.abs(expected))
    })
    numbersOf(after, 'fc.bias').forEach((value, c) => {
      const terms = [oldBias[c] * scale[c], -mean[c] * scale[c], beta[c]]
      near(
        bias ?? layer,
        value,
        terms.reduce((sum, term) => sum + term, 0),
        terms.reduce((sum, term) => sum + Math.abs(term), 0),
      )
    })
  })
})

test('the largest rounding is told', () => {
  save({ layer: 'F64', batchNorm: 'F64' })
  expect(fold(model, options)).toMatch(/F64 .* 0\.00$/m)
  save({ layer: 'BF16', batchNorm: 'F32' })
  const told = Number(fold(model, options).match(/BF16 .* (\S+)$/m)?.[1])
  expect(told).toBeGreaterThan(2 ** -13)
  expect(told).toBeLessThan(2 ** -6)
})

test('a batch norm of 16 bits is loaded exactly, one of float64 rounded to float32', () => {
  for (const type of ['BF16', 'F16', 'F64'] as const) {
    save({ layer: 'F32', batchNorm: type }, { running_mean: [0.1, 1 / 3, -2 / 3, 1e-6, 300.7, 0] })
    using file = loadSafetensors(model)
    const module = new BatchNorm1d(outputs)
    module.loadStateDict(batchNormState(file, 'bn'))
    for (const [key, { data }] of Object.entries(module.stateDict())) {
      if (key === 'num_batches_tracked') continue
      const values = numbersOf(file, `bn.${key}`)
      expect(Array.from(data, Number)).toEqual(type === 'F64' ? values.map(Math.fround) : values)
    }
  }
})

/** `layer.weight` of a shape and type, and the batch norm `bn` of `features` channels behind it. */
function saveLayer(shape: number[], features: number, type: Type = 'F32') {
  const { data } = normal(shape, 1)
  const vector = (seed: number) => stored(type, normal([features], seed).data, [features])
  saveSafetensors(model, {
    'layer.weight': stored(type, data, shape),
    'layer.bias': vector(2),
    'bn.weight': vector(3),
    'bn.bias': vector(4),
    'bn.running_mean': vector(5),
    'bn.running_var': stored(type, normal([features], 6).data.map(Math.abs), [features]),
  })
}

const into = [{ layer: 'layer', batchNorm: 'bn' }]

describe('of a layer that is', () => {
  type Case = [title: string, shape: number[], features: number, said: string[] | undefined, groups: number]
  const cases: Case[] = [
    ['linear and square', [6, 6], 6, undefined, 0],
    ['a convolution that cannot be transposed', [6, 5, 3, 3], 6, undefined, 0],
    ['a convolution from few channels to many', [6, 3, 3, 3], 6, undefined, 0],
    ['a square convolution, said so', [6, 6, 3, 3], 6, [], 0],
    ['a square convolution of 1 x 1, said so', [6, 6, 1, 1], 6, [], 0],
    ['a transposed convolution', [4, 6, 3], 6, ['layer'], 1],
    ['a square transposed convolution', [6, 6, 3, 3], 6, ['layer'], 1],
    ['a grouped transposed convolution', [4, 2, 3, 3], 4, ['layer'], 2],
    ['a grouped transposed convolution of volumes', [6, 2, 2, 1, 2], 4, ['layer'], 2],
    ['depthwise, transposed or not', [6, 1, 3, 3], 6, undefined, 6],
    ['depthwise and transposed', [6, 1, 3, 3], 6, ['layer'], 6],
    ['depthwise and not transposed', [6, 1, 3, 3], 6, [], 0],
  ]
  test.each(cases)('%s, %o, the command does as the library', (_, shape, features, transposed, groups) => {
    for (const type of ['F32', 'BF16', 'F16', 'F64'] as const) {
      saveLayer(shape, features, type)
      fold(model, { ...options, into, ...(transposed && { transposed }) })
      using before = loadSafetensors(model)
      using after = loadSafetensors(output)
      const bn = new BatchNorm1d(features, { eps: options.eps, dtype: 'float64' }).eval()
      bn.loadStateDict(batchNormState(before, 'bn'))
      const { layer } = foldIntoPrevious(
        {
          weight: before.get('layer.weight') as Tensor,
          bias: before.get('layer.bias') as Tensor,
          ...(groups > 0 && { transposed: true, groups }),
        },
        bn,
      )
      for (const key of ['weight', 'bias'] as const) {
        expect(after.get(`layer.${key}`)).toEqual(layer[key])
      }
    }
  })

  test.each<[string, number[], number, string[] | undefined, RegExp]>([
    [
      'square',
      [6, 6, 3, 3],
      6,
      undefined,
      /told what layer is.*\[6, 6, 3, 3\] may be a convolution or a transposed one.*--transposed layer, or --none-tr/,
    ],
    ['square of 1 x 1', [6, 6, 1, 1], 6, undefined, /told what layer is/],
    [
      'transposed alone',
      [4, 6, 3],
      6,
      undefined,
      /layer\.weight of shape \[6, in, \.\.\.\], for the 6 features of bn, .*\[4, 6, 3\] \(is it a transposed convolution\? Then say --transposed layer\)/,
    ],
    ['transposed, though another was said', [4, 6, 3], 6, [], /say --transposed layer/],
    [
      'no transposed convolution of these features',
      [4, 5, 3],
      6,
      ['layer'],
      /\[in, 6 \/ groups, \.\.\.kernel\]/,
    ],
    [
      'of groups that its inputs are no multiple of',
      [4, 2, 3],
      6,
      ['layer'],
      /\[in, 6 \/ groups, \.\.\.kernel\]/,
    ],
    ['linear', [6, 6], 6, ['layer'], /that of a transposed convolution, for the 6 features.*\[6, 6\]/],
    ['not in --into', [6, 6], 6, ['other'], /--transposed to name a layer of --into but received other/],
  ])('%s, %o, it asks or refuses, and writes nothing', (_, shape, features, transposed, message) => {
    saveLayer(shape, features)
    rmSync(output, { force: true })
    expect(() => fold(model, { ...options, into, ...(transposed && { transposed }) })).toThrow(message)
    expect(readdirSync(folder)).toEqual(['model.safetensors'])
  })
})

describe('refused, and nothing written:', () => {
  test.each<[string, () => void, Partial<FoldOptions>, RegExp]>([
    [
      'weights that do not fit the type',
      () => save({ layer: 'F16', batchNorm: 'F32' }, { weight: [1, 1, 1, 1e6, 1, 1] }),
      {},
      /weights of fc that fit F16 .*channels \[3\]/,
    ],
    [
      'a layer twice',
      () => save({ layer: 'F32', batchNorm: 'F32' }),
      {
        into: [
          { layer: 'fc', batchNorm: 'bn' },
          { layer: 'fc', batchNorm: 'bn2' },
        ],
      },
      /once but received fc again/,
    ],
    [
      'a layer of integers',
      () => {
        save({ layer: 'F32', batchNorm: 'F32' })
        using file = loadSafetensors(model)
        const weight = { data: new BigInt64Array(outputs * inputs), shape: [outputs, inputs] }
        saveSafetensors(model, new Map<string, Savable>([...file.tensors, ['fc.weight', weight]]))
      },
      {},
      /fc\.weight of type BF16, F16, F32 or F64 but it is I64/,
    ],
    [
      'a weight without inputs',
      () => save({ layer: 'F32', batchNorm: 'F32' }),
      { into: [{ layer: 'bn', batchNorm: 'bn' }] },
      /bn\.weight of shape \[6, in, \.\.\.\].*received \[6\]/,
    ],
  ])('%s', (_, prepare, changed, message) => {
    prepare()
    rmSync(output, { force: true })
    expect(() => fold(model, { ...options, ...changed })).toThrow(message)
    expect(readdirSync(folder)).toEqual(['model.safetensors'])
  })
})
