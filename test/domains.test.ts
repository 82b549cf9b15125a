/** A batch norm of several domains is a batch norm for each of them, whether their samples come alone or mixed. */
import { describe, expect, test } from 'vitest'
import type { Values } from '../lib/backend/backend.ts'
import {
  type AnyBatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  batchNormState,
  DomainBatchNorm1d,
  DomainBatchNorm2d,
  DomainBatchNorm3d,
  type DomainBatchNormOptions,
  decodeSafetensors,
  encodeSafetensors,
  type ForwardOptions,
  findBatchNorms,
  MicroBatches,
  parameterGroups,
  recalibrate,
  setIdentity,
  Tensor,
  tensor,
} from '../lib/index.ts'
import { product } from '../lib/tensor/shape.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { centralDifferences } from './support/central-differences.ts'
import { expectSameBits, filled, normal, normal64, snapshot } from './support/module.ts'
import { expectNear } from './support/near.ts'

const domains = ['photo', 'sketch', 'empty', 'infrared']
/** The domain of each of 11 samples: in any order, one after another, and some alone. */
const orders: Record<string, number[]> = {
  'in any order': [1, 0, 3, 0, 1, 1, 3, 0, 1, 0, 3],
  'one after another': [0, 0, 0, 1, 1, 1, 1, 1, 3, 3, 3],
  'some of them one after another': [3, 3, 3, 3, 0, 1, 0, 0, 1, 1, 0],
  'all of one': [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
}
const samples = 11

interface Case {
  readonly options?: BatchNormOptions<'float32' | 'float64'>
  readonly parameters?: 'shared' | 'own'
  readonly positions?: number
  readonly call?: (random: Tensor) => ForwardOptions
  readonly isResidual?: boolean
  readonly type?: 'bfloat16' | 'float16'
  readonly prepare?: (bn: Settable) => void
}

type Domains = DomainBatchNorm1d
type Given = DomainBatchNormOptions<'float32', true, true, true, 'shared'>
type Settable = AnyBatchNorm | Domains

const mask = Uint8Array.from({ length: samples * 5 }, (_, index) => (index % 4 === 1 ? 0 : 1))
const cases: Record<string, Case> = {
  plain: {},
  'own parameters': { parameters: 'own' },
  'positions, momentum null': { positions: 5, options: { momentum: null } },
  'channels-last': { positions: 5, options: { layout: 'channels-last' } },
  'a mask of positions': { positions: 5, call: () => ({ mask }) },
  'a mask of samples': {
    call: () => ({ mask: Array.from({ length: samples }, (_, index) => index % 5 !== 4) }),
  },
  lengths: {
    positions: 5,
    call: () => ({ lengths: Array.from({ length: samples }, (_, index) => BigInt(index % 6)) }),
  },
  weights: {
    call: () => ({ weights: Float64Array.from({ length: samples }, (_, index) => 1 + (index % 3)) }),
  },
  'residual and activation': { isResidual: true, options: { activation: 'leakyRelu', negativeSlope: 0.2 } },
  'residual alone': { isResidual: true, parameters: 'own' },
  'ghost batches': { options: { virtualBatchSize: 2 } },
  renorm: { options: { renorm: { rMax: 1.1, dMax: 0.2 }, storedVariance: 'biased' } },
  positiveScale: { options: { positiveScale: true } },
  'positiveScale of each': { options: { positiveScale: true }, parameters: 'own' },
  'scale alone': { options: { center: false } },
  'no parameters': { options: { affine: false } },
  'no running statistics': { options: { trackRunningStats: false } },
  float64: { positions: 5, options: { dtype: 'float64' } },
  bfloat16: { positions: 5, type: 'bfloat16' },
  float16: { type: 'float16' },
  reuse: { options: { reuse: true, activation: 'relu' } },
  eval: { prepare: (bn) => bn.eval() },
  frozen: { prepare: (bn) => bn.freeze() },
  'trainAffine: false': { prepare: (bn) => Object.assign(bn, { trainAffine: false }) },
  'updateStats in eval': { prepare: (bn) => Object.assign(bn.eval(), { updateStats: true, eps: 0.1 }) },
}

function valuesOf(shape: number[], seed: number, { options, type }: Case): Tensor<Values> {
  if (options?.dtype === 'float64') return normal64(shape, seed)
  return type === undefined ? normal(shape, seed) : tensor(normal(shape, seed).data, shape, { dtype: type })
}

/** The rows of `indices`. */
function pick(x: Tensor<Values>, indices: readonly number[]): Tensor<Values> {
  const size = product(x.shape.slice(1))
  const data = new (x.data.constructor as Float32ArrayConstructor)(indices.length * size)
  for (const [to, from] of indices.entries())
    data.set(x.data.subarray(from * size, (from + 1) * size), to * size)
  return new Tensor<Values>(data, [indices.length, ...x.shape.slice(1)], x.dtype)
}

/** What a batch norm of a domain has, and one of its own with the same. */
function likeDomain(bn: AnyBatchNorm): AnyBatchNorm {
  const own = new BatchNorm1d(bn.numFeatures, bn.options as BatchNormOptions)
  own.train(bn.training).loadStateDict(bn.stateDict())
  return bn.frozen ? own.freeze() : own
}

function caseOf({ options, parameters, positions, prepare }: Case) {
  const bn = new DomainBatchNorm1d(3, { ...options, parameters, domains } as Given)
  for (const name of domains) filled(bn.domain(name))
  if (options?.trackRunningStats !== false) {
    for (const [index, name] of domains.entries()) bn.domain(name).runningMean.data.fill(index / 4)
  }
  prepare?.(bn)
  const shape =
    positions === undefined
      ? [samples, 3]
      : options?.layout === 'channels-last'
        ? [samples, positions, 3]
        : [samples, 3, positions]
  return { bn, shape }
}

describeEachBackend('a mixed batch', () => {
  test.each(
    Object.entries(cases).flatMap(([title, each]) =>
      Object.keys(orders).map((order) => [title, order, each] as const),
    ),
  )('gives each domain the bits of a batch norm of its own: %s, %s', (_, order, each) => {
    const { bn, shape } = caseOf(each)
    const [x, gradOutput, residual] = [1, 2, 3].map((seed) => valuesOf(shape, seed, each))
    const given = each.call?.(normal([1], 1)) ?? {}
    const isShared = each.parameters !== 'own'
    const of = orders[order]
    // Before anything moves.
    const references = domains.map((name) => likeDomain(bn.domain(name)))

    const y = bn.forward(x, { ...given, domain: of, residual: each.isResidual ? residual : undefined })
    const gradResidual = each.isResidual ? valuesOf(shape, 9, each) : undefined
    const gradInput = bn.backward(gradOutput, { gradResidual })

    let gradients: ArrayLike<number>[] = []
    domains.forEach((name, domain) => {
      const indices = [...of.keys()].filter((sample) => of[sample] === domain)
      const reference = references[domain]
      if (isShared && domain > 0)
        for (const [index, { grad }] of reference.parameters().entries()) grad.set(gradients[index])
      if (indices.length > 0) {
        const flags = (of: unknown) =>
          of &&
          indices.flatMap((sample) => {
            const all = Array.from(of as ArrayLike<number>)
            const size = all.length / samples
            return all.slice(sample * size, (sample + 1) * size)
          })
        const own = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, flags(value)]))
        const expected = reference.forward(pick(x, indices), {
          ...own,
          residual: each.isResidual ? pick(residual, indices) : undefined,
        })
        expectSameBits(pick(y, indices), expected)
        const expectedResidual = gradResidual && pick(gradResidual, indices)
        const expectedInput = reference.backward(pick(gradOutput, indices), {
          gradResidual: expectedResidual,
        })
        expectSameBits(pick(gradInput, indices), expectedInput)
        if (gradResidual)
          expect(
            difference(pick(gradResidual, indices).data, (expectedResidual as Tensor<Values>).data),
          ).toBeNull()
      }
      gradients = reference.parameters().map(({ grad }) => grad)
      expect(bn.domain(name).stateDict()).toEqual(reference.stateDict())
      if (!isShared)
        expect(
          bn
            .domain(name)
            .parameters()
            .map(({ grad }) => grad),
        ).toEqual(gradients)
    })
    if (isShared) expect(bn.parameters().map(({ grad }) => grad)).toEqual(gradients)
  })

  test.each(['plain', 'weights', 'renorm', 'residual and activation', 'eval', 'bfloat16'])(
    'has the same bits on another thread, and done again: %s',
    async (title) => {
      const each = cases[title]
      for (const of of Object.values(orders)) {
        const [here, away] = [caseOf(each), caseOf(each)]
        const [x, gradOutput] = [1, 2].map((seed) => valuesOf(here.shape, seed, each))
        const call = {
          ...each.call?.(normal([1], 1)),
          domain: of,
          residual: each.isResidual ? gradOutput : undefined,
        }
        const y = here.bn.forward(x, call)
        expectSameBits(await away.bn.forwardAsync(x, call), y)
        const out = x.data.slice()
        expectSameBits(away.bn.recompute(x, call), y)
        expectSameBits(await away.bn.recomputeAsync(x, { ...call, out }), y)
        const gradInput = here.bn.backward(gradOutput)
        expectSameBits(await away.bn.backwardAsync(gradOutput), gradInput)
        expect(snapshotOf(away.bn)).toEqual(snapshotOf(here.bn))
      }
    },
  )
})

/** A copy of all that a module and its domains have. */
function snapshotOf(bn: Domains) {
  return {
    whole: bn.stateDict(),
    gradients: bn.parameters().map(({ grad }) => grad.slice()),
    domains: bn.domains.map((name) => snapshot(bn.domain(name))),
  }
}

describe('in float64, by the formulas', () => {
  const of = orders['in any order']
  const [x, g] = [1, 2].map((seed) => normal64([samples, 2, 2], seed))
  const make = () => {
    const bn = new DomainBatchNorm1d(2, { domains, dtype: 'float64' })
    bn.weight.data.set([1.5, -0.5])
    bn.bias.data.set([0.25, 2])
    return bn
  }
  /** Of each domain and channel: the places of its values, their mean and 1 / sqrt(variance + eps). */
  const groups = (data: ArrayLike<number>) =>
    [0, 1, 3].flatMap((domain) =>
      [0, 1].map((channel) => {
        const places = [...x.data.keys()].filter(
          (at) => of[at >> 2] === domain && ((at >> 1) & 1) === channel,
        )
        const mean = places.reduce((sum, at) => sum + data[at], 0) / places.length
        const variance = places.reduce((sum, at) => sum + (data[at] - mean) ** 2, 0) / places.length
        return { domain, channel, places, mean, variance, invstd: 1 / Math.sqrt(variance + 1e-5) }
      }),
    )

  test('forward, running statistics and gradients are those of each group of samples', () => {
    const bn = make()
    const y = bn.forward(x, { domain: of })
    const gradInput = bn.backward(g)
    const [gradWeight, gradBias] = [new Float64Array(2), new Float64Array(2)]
    const near = (actual: number, expected: number) =>
      expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-13 * Math.max(1, Math.abs(expected)))
    for (const { domain, channel, places, mean, variance, invstd } of groups(x.data)) {
      const n = places.length
      const [gamma, beta] = [bn.weight.data[channel], bn.bias.data[channel]]
      const hat = (at: number) => (x.data[at] - mean) * invstd
      const sumG = places.reduce((sum, at) => sum + g.data[at], 0)
      const sumGHat = places.reduce((sum, at) => sum + g.data[at] * hat(at), 0)
      for (const at of places) {
        near(y.data[at], hat(at) * gamma + beta)
        near(gradInput.data[at], gamma * invstd * (g.data[at] - sumG / n - (hat(at) * sumGHat) / n))
      }
      gradWeight[channel] += sumGHat
      gradBias[channel] += sumG
      const { runningMean, runningVar } = bn.domain(domains[domain])
      near(runningMean.data[channel], 0.1 * mean)
      near(runningVar.data[channel], 0.9 + (0.1 * variance * n) / (n - 1))
    }
    gradWeight.forEach((expected, channel) => {
      near(bn.weight.grad[channel], expected)
      near(bn.bias.grad[channel], gradBias[channel])
    })
  })

  test('backward is the derivative of forward, by central differences', () => {
    const bn = make()
    bn.forward(x, { domain: of })
    const gradInput = bn.backward(g)
    const loss = (data: Float64Array) => {
      const y = make().forward(tensor(data, x.shape), { domain: of })
      return y.data.reduce((sum, value, at) => sum + value * g.data[at], 0)
    }
    const expected = centralDifferences(loss, x.data, 200, 100)
    expectNear(
      'gradInput',
      gradInput.data,
      expected.map(({ value }) => value),
      (at) => expected[at].tolerance,
    )
  })
})

describe('all or nothing', () => {
  const call = { domain: ['photo', 'sketch', 'photo', 'sketch'] }
  const shape = [4, 2]
  const failing: [title: string, options: Partial<Given>, x: Tensor, domain: string[], message: RegExp][] = [
    [
      'one value of the last domain',
      {},
      normal(shape, 5),
      ['photo', 'photo', 'photo', 'sketch'],
      /^In domain 'sketch': Expected more than 1 value/,
    ],
    [
      'NaN in the last domain',
      { nonFinite: 'throw' },
      tensor([1, 2, NaN, 4, 3, 5, 6, 7], shape),
      call.domain.toReversed(),
      /^In domain 'photo': .*finite/s,
    ],
    [
      'NaN in a domain after others',
      { nonFinite: 'throw' },
      tensor([1, 2, NaN, 4, 3, 5, 6, 7], shape),
      call.domain,
      /^In domain 'sketch': .*finite/s,
    ],
    [
      'NaN after a renormalized domain',
      { nonFinite: 'throw', renorm: true },
      tensor([1, 2, NaN, 4, 3, 5, 6, 7], shape),
      call.domain,
      /^In domain 'sketch': .*finite/s,
    ],
    [
      'an unknown domain',
      {},
      normal(shape, 5),
      ['photo', 'photo', 'photo', 'infrared'],
      /^Expected domain\[3\] .*addDomain\('infrared'\)/,
    ],
  ]
  test.each(failing)('%s', async (_, options, x, domain, message) => {
    const bn = new DomainBatchNorm1d(2, { ...options, domains: ['photo', 'sketch'] })
    const twin = new DomainBatchNorm1d(2, { ...options, domains: ['photo', 'sketch'] })
    const first = normal(shape, 1)
    for (const each of [bn, twin]) each.forward(first, call)
    const before = snapshotOf(bn)
    const out = new Float32Array(8).fill(7)
    expect(() => bn.forward(x, { domain, out })).toThrow(message)
    await expect(bn.forwardAsync(x, { domain, out })).rejects.toThrow(message)
    expect(out).toEqual(new Float32Array(8).fill(7))
    expect(snapshotOf(bn)).toEqual(before)
    const g = normal(shape, 2)
    expectSameBits(bn.backward(g), twin.backward(g))
    expect(() =>
      bn.forward(first, { ...call, out: bn.domain('sketch').runningMean.data.subarray(0) as Float32Array }),
    ).toThrow(RangeError)
  })

  test('one sample of a domain is normalized by its running statistics with singleValue: running', () => {
    const bn = new DomainBatchNorm1d(2, { domains: ['photo', 'sketch'], singleValue: 'running', eps: 0 })
    const y = bn.forward(
      tensor([
        [1, 2],
        [5, 6],
        [3, 4],
      ]),
      { domain: [0, 1, 0] },
    )
    expect([...y.data]).toEqual([-1, -1, 5, 6, 1, 1])
    expect(bn.domain('sketch').numBatchesTracked.data).toEqual(BigInt64Array.of(0n))
  })

  test('a result in the place of its input is the same result, also for backward', () => {
    for (const of of Object.values(orders).slice(0, 3)) {
      const [bn, twin] = [1, 2].map(() => new DomainBatchNorm1d(3, { domains }))
      const [x, g] = [1, 2].map((seed) => normal([samples, 3], seed))
      const y = twin.forward(x, { domain: of })
      expectSameBits(bn.forward(x, { domain: of, out: x }), y)
      const expected = twin.recompute(normal([samples, 3], 1), { domain: of }) && twin.backward(g)
      expectSameBits(bn.backward(g, { out: g }), expected)
    }
  })
})

describe('domains', () => {
  const x = normal([4, 3], 1)
  const make = (options: Partial<Given> = {}) =>
    new DomainBatchNorm1d(3, { domains: ['photo', 'sketch'], ...options })

  test('are told by names and by indices of any kind', () => {
    const expected = make().forward(x, { domain: ['sketch', 'photo', 'sketch', 'photo'] })
    const kinds = [
      [1, 0, 1, 0],
      ['sketch', 0, 1n, 'photo'],
      Uint8Array.of(1, 0, 1, 0),
      BigInt64Array.of(1n, 0n, 1n, 0n),
      tensor(Float32Array.of(1, 0, 1, 0), [4]),
      { data: Int32Array.of(1, 9, 0, 9, 1, 9, 0, 9), shape: [4], stride: [2] },
    ]
    for (const domain of kinds) expectSameBits(make().forward(x, { domain: domain as number[] }), expected)
    const ofOne = new BatchNorm1d(3).forward(x)
    for (const domain of ['sketch', 1, [1, 1, 1, 1]]) expectSameBits(make().forward(x, { domain }), ofOne)
  })

  test.each<[domain: unknown, message: RegExp]>([
    [undefined, /Expected domain to be a name or an index of \['photo', 'sketch'\] but received undefined/],
    [2, /domain to be a name or an index/],
    [-1, /domain to be a name or an index/],
    [0.5, /domain to be a name or an index/],
    [[0, 1, 0], /domain to be of length 4/],
    [[0, 1, 0, null], /domain\[3\] to be a name or an index/],
    [{ data: Int32Array.of(1), shape: [2] }, /domain to be of length 4/],
    [new Map(), /a domain, or an array of one for each sample/],
    ['infrared', /domain to be among \['photo', 'sketch'\] but received 'infrared' \(call addDomain/],
  ])('%s is no domain', (domain, message) => {
    const bn = make({ fallback: 'photo' })
    expect(() => bn.forward(x, { domain: domain as string })).toThrow(message)
    expect(bn.domain('photo').numBatchesTracked.data[0]).toBe(0n)
  })

  test('that are unknown are normalized by the running statistics of fallback, or an error', () => {
    const bn = make({ fallback: 'sketch' })
    filled(bn.domain('sketch'))
    const expected = bn.eval().forward(x, { domain: ['photo', 'sketch', 'sketch', 'photo'] })
    expectSameBits(bn.forward(x, { domain: ['photo', 'x', 'sketch', 'photo'] }), expected)
    expectSameBits(bn.forward(x, { domain: 'x' }), bn.forward(x, { domain: 'sketch' }))
    expect(() => bn.train().forward(x, { domain: 'x' })).toThrow(/call addDomain\('x'\) first/)
    expect(() => bn.removeDomain('sketch')).toThrow(/another domain than fallback/)
    bn.eval().fallback = null
    expect(() => bn.forward(x, { domain: 'x' })).toThrow(/fallback normalizes what is unknown in eval mode/)
    expect(() => Object.assign(bn, { fallback: 'x' })).toThrow(/fallback to be one of photo, sketch/)
  })

  test.each(['shared', 'own'] as const)('come and go, %s parameters', (parameters) => {
    const bn = make({ parameters: parameters as 'shared', momentum: 0.5 })
    filled(bn.domain('sketch'))
    bn.eval().eps = 0.25
    const added = bn.addDomain('infrared', { from: 'sketch' })
    expect(added.stateDict()).toEqual(bn.domain('sketch').stateDict())
    expect(added).toMatchObject({ training: false, eps: 0.25, momentum: 0.5 })
    added.train().forward(x)
    expect(added.stateDict()).not.toEqual(bn.domain('sketch').stateDict())
    expect(bn.addDomain('fresh').runningMean.data).toEqual(new Float32Array(3))
    expect(bn.domain('fresh').weight === bn.weight).toBe(parameters === 'shared')
    bn.removeDomain('photo')
    expect(bn.domains).toEqual(['sketch', 'infrared', 'fresh'])
    added.eval()
    expectSameBits(bn.forward(x, { domain: 1 }), added.forward(x))
    for (const name of ['', 'a.b', 'sketch', 7])
      expect(() => bn.addDomain(name as string)).toThrow(/^Expected name/)
    expect(() => bn.addDomain('x', { from: 'photo' })).toThrow(/Expected from to be among/)
    expect(() => bn.removeDomain('photo')).toThrow(/Expected name to be among/)
    expect(bn.domains).toEqual(['sketch', 'infrared', 'fresh'])
  })

  test('without samples are left alone, and an empty batch counts for the domain that is told', () => {
    const bn = make()
    const empty = tensor(new Float32Array(0), [0, 3])
    expect(bn.forward(empty, { domain: [] }).shape).toEqual([0, 3])
    expect(bn.backward(empty).shape).toEqual([0, 3])
    expect(bn.domain('photo').numBatchesTracked.data[0]).toBe(0n)
    bn.forward(empty, { domain: 'photo' })
    expect(bn.domain('photo').numBatchesTracked.data[0]).toBe(1n)
    const none = new DomainBatchNorm1d(3, { domains: [] })
    expect(() => none.forward(x, { domain: 'photo' })).toThrow(/call addDomain\('photo'\) first/)
  })

  test('take the shapes of their class', () => {
    const of = [0, 1, 1, 0]
    const images = new DomainBatchNorm2d(2, { domains: ['a', 'b'] }).forward(normal([4, 2, 3, 3], 1), {
      domain: of,
    })
    const reference = new BatchNorm2d(2)
    expectSameBits(pick(images, [0, 3]), reference.forward(pick(normal([4, 2, 3, 3], 1), [0, 3]) as Tensor))
    const volumes = new DomainBatchNorm3d(2, { domains: ['a', 'b'] })
    expect(volumes.forward(normal([4, 2, 2, 2, 2], 1), { domain: of }).shape).toEqual([4, 2, 2, 2, 2])
    expect(() => volumes.forward(normal([4, 2, 2], 1), { domain: of })).toThrow(
      /input of shape \[N, 2, D, H, W\]/,
    )
  })
})

describe('the whole', () => {
  const x = normal([4, 3], 1)
  const of = ['photo', 'sketch', 'sketch', 'photo']
  const make = (options: Partial<Given> = {}) =>
    new DomainBatchNorm1d(3, { domains: ['photo', 'sketch'], ...options })

  test.each(['shared', 'own'] as const)(
    'has the state of a batch norm a domain, %s parameters',
    async (parameters) => {
      const given = { parameters: parameters as 'shared', positiveScale: true }
      const bn = make(given)
      bn.forward(x, { domain: of })
      bn.parameters()[0].data.fill(2)
      const state = bn.stateDict()
      const running = ['running_mean', 'running_var', 'num_batches_tracked']
      const affine = ['weight', 'bias']
      const ofEach = parameters === 'own' ? [...affine, ...running, 'raw_weight'] : running
      const shared = parameters === 'own' ? [] : [...affine, 'raw_weight']
      expect(Object.keys(state)).toEqual([
        ...shared,
        ...['photo', 'sketch'].flatMap((name) => ofEach.map((key) => `${name}.${key}`)),
      ])

      const file = decodeSafetensors(encodeSafetensors(state))
      expect(findBatchNorms(file).map(({ prefix }) => prefix)).toEqual(['photo', 'sketch'])
      const other = make(given)
      const { bias, 'sketch.num_batches_tracked': counter, ...rest } = state
      // The scale of the raw one, and a counter that old files lack.
      for (const key of Object.keys(rest)) if (key.endsWith('raw_weight')) delete rest[key]
      if (bias) Object.assign(rest, { bias })
      other.loadStateDict(rest)
      expect(other.domain('sketch').numBatchesTracked.data[0]).toBe(0n)
      other.loadStateDict(JSON.parse(JSON.stringify(bn)))
      expect(other.stateDict()).toEqual(state)
      const alone = new BatchNorm1d(3, { positiveScale: true })
      alone.loadStateDict(batchNormState(file, 'sketch'), { strict: parameters === 'own' })
      expect(alone.runningMean).toEqual(bn.domain('sketch').runningMean)
    },
  )

  test('keeps where the schedule of renorm is, of each domain, and does without it where there is none', () => {
    const bn = make({ renorm: true })
    for (const domain of [of, of, 'photo']) bn.forward(x, { domain })
    const other = make({ renorm: true })
    other.loadStateDict(bn.stateDict())
    expect(other.stateDict()).toEqual(bn.stateDict())
    const without = make()
    without.loadStateDict(bn.stateDict())
    expect(without.domain('photo').runningMean).toEqual(bn.domain('photo').runningMean)
    other.loadStateDict(without.stateDict())
    expect(other.stateDict()).toEqual(bn.stateDict())
  })

  test('takes a plain batch norm into one domain, and no other domains than its own', () => {
    const bn = make()
    const plain = filled(new BatchNorm1d(3))
    const before = snapshotOf(bn)
    expect(() => bn.loadStateDict(plain.stateDict())).toThrow(
      /those of a batch norm \(domain\(name\).loadStateDict/,
    )
    const more = make({ domains: ['photo', 'sketch', 'infrared'] }).stateDict()
    expect(() => bn.loadStateDict(more)).toThrow(
      /received 'infrared' too \(call addDomain\('infrared'\) first\)/,
    )
    expect(bn.loadStateDict(before.whole, { strict: false })).toEqual({ missingKeys: [], unexpectedKeys: [] })
    expect(bn.loadStateDict(more, { strict: false }).unexpectedKeys).toContain('infrared.running_mean')
    expect(() => make({ domains: ['photo', 'sketch', 'x'] }).loadStateDict(before.whole)).toThrow(
      /missing keys: x.running_mean/,
    )
    expect(snapshotOf(bn)).toEqual(before)
    bn.domain('photo').loadStateDict(plain.stateDict())
    expect(bn.domain('photo').stateDict()).toEqual(plain.stateDict())
    expect(bn.weight.data).toEqual(plain.weight.data)
    expect(bn.domain('sketch').runningMean.data).toEqual(new Float32Array(3))
  })

  test('says of all domains what is set, and lets one be set alone', () => {
    const bn = make({ fallback: 'photo', momentum: 0.3 })
    Object.assign(bn, {
      eps: 0.5,
      momentum: null,
      updateStats: false,
      trainAffine: false,
      useBatchStats: true,
    })
    for (const name of bn.domains) {
      expect(bn.domain(name)).toMatchObject({
        eps: 0.5,
        momentum: null,
        updateStats: false,
        trainAffine: false,
        useBatchStats: true,
      })
    }
    expect(parameterGroups(bn.parameters(), 1)).toEqual([])
    expect(String(bn)).toBe(
      'DomainBatchNorm1d(3, eps=0.5, momentum=None, affine=True, track_running_stats=True, use_batch_stats=True, ' +
        "update_stats=False, train_affine=False, domains=['photo', 'sketch'], fallback='photo')",
    )
    expect(new DomainBatchNorm1d(bn.numFeatures, bn.options).options).toEqual(bn.options)
    Object.assign(bn, { updateStats: null, trainAffine: true, useBatchStats: null })
    bn.domain('sketch').freeze()
    // One that cannot be set leaves all as they were.
    expect(() => Object.assign(bn, { updateStats: true })).toThrow(/^In domain 'sketch': .*unfreeze/)
    expect(bn).toMatchObject({ updateStats: null, frozen: false })
    expect(bn.domain('photo').updateStats).toBeNull()
    // Its samples train no shared scale, those of others do.
    bn.forward(x, { domain: of })
    bn.backward(x)
    const photo = new BatchNorm1d(3, { eps: 0.5, momentum: null })
    photo.forward(pick(x, [0, 3]) as Tensor)
    photo.backward(pick(x, [0, 3]) as Tensor)
    expect(bn.weight.grad).toEqual(photo.weight.grad)
    expect(bn.domain('sketch').numBatchesTracked.data[0]).toBe(0n)
    bn.zeroGrad()
    expect(bn.freeze().domain('photo').frozen && bn.frozen && !bn.weight.requiresGrad).toBe(true)
    expect(bn.unfreeze().domain('sketch').frozen || !bn.weight.requiresGrad).toBe(false)
    bn.resetParameters()
    expect(bn.stateDict()).toEqual(make().stateDict())
    for (const name of ['domains', 'weight', 'bias', 'numFeatures', 'frozen', 'options', 'dtype', 'layout']) {
      expect(() => Reflect.set(bn, name, null)).toThrow(/to be left as it is/)
    }
  })

  test('has no own scale that domains share, and none of its own where each has one', () => {
    const own = make({ parameters: 'own' as 'shared' })
    expect([own.weight, own.bias]).toEqual([null, null])
    expect(own.namedParameters().map(([name]) => name)).toEqual([
      'photo.weight',
      'photo.bias',
      'sketch.weight',
      'sketch.bias',
    ])
    const shared = make({ positiveScale: true })
    expect(shared.domain('photo').rawWeight).toBe(shared.rawWeight)
    expect(shared.namedParameters().map(([name]) => name)).toEqual(['raw_weight', 'bias'])
  })

  test('is followed by backward only where it was the last forward of its domains', async () => {
    const bn = make()
    expect(() => bn.backward(x)).toThrow(/a forward\(\) before backward/)
    bn.forward(x, { domain: of })
    bn.domain('sketch').forward(x)
    expect(() => bn.backward(x)).toThrow(/another of 'sketch' \(call backward before/)
    bn.forward(x, { domain: of })
    bn.forward(x, { domain: 'photo' })
    expectSameBits(bn.backward(x), new BatchNorm1d(3).forward(x) && bn.domain('photo').backward(x))
    bn.forward(x, { domain: of })
    bn.removeDomain('sketch')
    expect(() => bn.backward(x)).toThrow(/a forward\(\) before backward/)
    bn.addDomain('sketch')
    const training = bn.forwardAsync(x, { domain: of })
    expect(() => bn.forward(x, { domain: of })).toThrow(/await that call first/)
    expect(() => bn.domain('photo').forward(x)).toThrow(/await that call first/)
    expect(() => bn.addDomain('x')).toThrow(/await that call first/)
    await training
    bn.eval()
    await Promise.all([bn.forwardAsync(x, { domain: 'photo' }), bn.forwardAsync(x, { domain: of })])
    expect(() => bn.backward(x)).toThrow(/several under way at once/)
    bn.forward(x, { domain: of })
    bn.backward(x)
  })

  test('gives its domains to what takes a batch norm, and says so', async () => {
    const bn = make()
    await recalibrate(
      bn.domains.map((name) => bn.domain(name)),
      [x, x],
      (batch) => bn.forward(batch, { domain: of }),
    )
    expect(bn.domain('sketch').numBatchesTracked.data[0]).toBe(2n)
    expect(bn.domain('sketch').runningMean.data[0]).toBeCloseTo((x.data[3] + x.data[6]) / 2, 6)
    expect(setIdentity(bn.domain('photo')).largestError).toBeLessThan(1e-6)
    await expect(recalibrate(bn as never, [x])).rejects.toThrow(/one of its domains: module.domain\(name\)/)
    expect(() => new MicroBatches(bn as never)).toThrow(/one of its domains: module.domain\(name\)/)
  })

  test.each<[options: object, message: RegExp]>([
    [{}, /domains to be an array of names/],
    [{ domains: 'photo' }, /domains to be an array of names/],
    [{ domains: ['a', 'a'] }, /a name of its own/],
    [{ domains: ['a', 'a.b'] }, /not empty and has no dot/],
    [{ domains: ['a'], domain: 'a' }, /did you mean domains\?/],
    [{ domains: ['a'], fallback: 'b' }, /fallback to be one of a/],
    [{ domains: ['a'], parameters: 'each' }, /parameters to be one of shared, own/],
    [{ domains: ['a'], parameters: 'own', affine: false }, /affine: false with parameters: 'own'/],
    [{ domains: ['a'], parameters: 'own', scale: false, center: false }, /with parameters: 'own'/],
    [{ domains: ['a'], fallback: 'a', trackRunningStats: false }, /trackRunningStats: false with fallback/],
    [{ domains: ['a'], affine: false, scale: true }, /affine: false with scale: true/],
  ])('refuses %j', (options, message) => {
    expect(() => new DomainBatchNorm1d(3, options as never)).toThrow(message)
  })

  test('takes options that an object has inherited', () => {
    const options = Object.create({ domains: ['photo'], eps: 0.5, fallback: 'photo' })
    expect(new DomainBatchNorm1d(3, options)).toMatchObject({
      eps: 0.5,
      domains: ['photo'],
      fallback: 'photo',
    })
  })
})
