/** `positiveScale`: gamma = softplus(raw) is above 0, whatever training does to raw. */
import { describe, expect, test } from 'vitest'
import {
  absorbScale,
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  foldIntoPrevious,
  setIdentity,
  type Tensor,
  tensor,
  toAffine,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { centralDifferences } from './support/central-differences.ts'
import { problemOf } from './support/choices.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'
import { gradientReference, reference, softplus } from './support/reference.ts'
import { unit } from './support/tolerance.ts'

const channels = 5
const shape = [12, channels]
const [x, g] = [normal(shape, 1), normal(shape, 2)]
const smallest = 2 ** -126

function moduleOf(options: BatchNormOptions = {}): BatchNorm {
  return new BatchNorm1d(channels, { positiveScale: true, ...options })
}

function setRaw(bn: BatchNorm, raw: ArrayLike<number>): void {
  bn.rawWeight?.data.set(raw)
}

const gammaOf = (bn: BatchNorm) => bn.weight?.data as Float32Array

describeEachBackend('a positive scale', () => {
  test('is 1 at first, and everything is as with a plain one', () => {
    const [bn, plain] = [moduleOf(), new BatchNorm1d(channels)]
    expect([...gammaOf(bn)]).toEqual(new Array(channels).fill(1))
    expectSameBits(bn.forward(x), plain.forward(x))
    expectSameBits(bn.backward(g), plain.backward(g))
    bn.rawWeight?.data.fill(-3)
    bn.resetParameters()
    expect([...gammaOf(bn)]).toEqual(new Array(channels).fill(1))
  })

  test('normalizes with softplus of what raw is by then, in forward and backward', async () => {
    for (const training of [true, false]) {
      const bn = moduleOf().train(training)
      const plain = new BatchNorm1d(channels).train(training)
      for (const seed of [3, 4]) {
        setRaw(bn, normal([channels], seed).data)
        plain.weight?.data.set([...(bn.rawWeight?.data ?? [])].map(softplus))
        expectSameBits(seed === 3 ? bn.forward(x) : await bn.forwardAsync(x), plain.forward(x))
        // Like a plain weight, it is taken as it is when backward runs.
        setRaw(bn, normal([channels], seed + 10).data)
        plain.weight?.data.set([...(bn.rawWeight?.data ?? [])].map(softplus))
        expectSameBits(seed === 3 ? bn.backward(g) : await bn.backwardAsync(g), plain.backward(g))
      }
      expect(snapshot(bn).state.running_var).toEqual(snapshot(plain).state.running_var)
    }
  })

  test('trains raw by the chain rule, which central differences confirm', () => {
    for (const training of [true, false]) {
      const bn = filled(moduleOf()).train(training)
      setRaw(bn, [-20, -1, 0, 2, 30])
      const problem = problemOf(bn, x)
      const at = reference(problem)
      const exact = gradientReference(problem, at, g.data)
      bn.forward(x)
      bn.backward(g)
      const grad = bn.rawWeight?.grad as Float32Array
      for (let c = 0; c < channels; c++) {
        expect(Math.abs(grad[c] - exact.scale[c])).toBeLessThanOrEqual(exact.scaleTolerance[c])
      }
      const loss = (scale: Float64Array) =>
        reference({ ...problem, scale }, at.groups).y.reduce((sum, y, i) => sum + g.data[i] * y, 0)
      const magnitude = at.y.reduce((sum, y, i) => sum + Math.abs(g.data[i]) * (1 + Math.abs(y)), 0)
      centralDifferences(loss, problem.scale ?? [], magnitude, 3 * x.data.length + 10).forEach(
        (derivative, c) => {
          expect(Math.abs(exact.scale[c] - derivative.value)).toBeLessThanOrEqual(derivative.tolerance)
        },
      )
      expect([...(bn.weight?.grad ?? [])], 'that of the scale stays 0').toEqual(new Array(channels).fill(0))
      const once = grad.slice()
      bn.backward(g)
      expect([...grad]).toEqual([...once].map((value) => value + value))
      bn.zeroGrad()
      expect([...grad]).toEqual(new Array(channels).fill(0))
    }
  })

  test('leaves raw alone while it is not trained', () => {
    for (const bn of [moduleOf({ trainAffine: false }), moduleOf().freeze()]) {
      bn.forward(x)
      bn.backward(g)
      expect([...(bn.rawWeight?.grad ?? [])]).toEqual(new Array(channels).fill(0))
    }
  })

  test('can always be absorbed, after any steps of training', () => {
    const bn = moduleOf()
    const next = { weight: normal([4, channels], 5) }
    for (let step = 0; step < 30; step++) {
      bn.zeroGrad()
      const y = bn.forward(normal(shape, step))
      bn.backward(y) // the loss sum(y^2) / 2 pushes every scale toward 0
      for (const { data, grad } of bn.parameters()) {
        data.forEach((_, c) => {
          data[c] -= 0.05 * grad[c]
        })
      }
      expect(gammaOf(bn).every((gamma) => gamma > 0)).toBe(true)
      const absorbed = absorbScale(bn, 'relu', next, { probe: x })
      expect(absorbed.batchNorm.weight).toBeNull()
      expect(absorbed.largestError as number).toBeLessThanOrEqual(roundingOf(bn, next.weight))
    }
    expect(Math.max(...gammaOf(bn)), 'the scale has been pushed down').toBeLessThan(0.2)
    foldIntoPrevious({ weight: normal([channels, 3], 6) }, bn.eval())
  })

  /** Of weights that are rounded twice, and shifts that are rounded once, before a linear layer sees x. */
  function roundingOf(bn: BatchNorm, weight: Tensor): number {
    const { scale, shift } = toAffine(bn.eval())
    bn.train()
    const largest = Math.max(...x.data.map(Math.abs))
    const rows = Array.from({ length: weight.shape[0] }, (_, out) =>
      scale.reduce((sum, each, c) => {
        return sum + Math.abs(weight.data[out * channels + c]) * (each * largest + 2 * Math.abs(shift[c]))
      }, 0),
    )
    return 3 * unit * Math.max(...rows)
  }

  test('absorbing keeps every other option', () => {
    const options: BatchNormOptions = {
      eps: 0.5,
      momentum: null,
      nonFinite: 'skip',
      virtualBatchSize: 4,
      renorm: { rMax: 2, dMax: 1 },
      updateStats: false,
      trainAffine: false,
    }
    const bn = filled(moduleOf(options))
    const { batchNorm } = absorbScale(bn, 'relu', { weight: normal([4, channels], 5) })
    const text = String(bn)
      .replace('affine=True', 'scale=False, center=True')
      .replace(', positive_scale=True', '')
    expect(String(batchNorm)).toBe(text)
    const frozen = absorbScale(moduleOf().freeze(), 'relu', { weight: normal([4, channels], 5) }).batchNorm
    expect(frozen.frozen).toBe(true)
    expect(frozen.unfreeze().trainAffine).toBe(true)
  })

  test('setIdentity sets what is trained', () => {
    const bn = filled(moduleOf()).eval()
    const plain = filled(new BatchNorm1d(channels)).eval()
    const [{ largestError }, ofPlain] = [setIdentity(bn), setIdentity(plain)]
    // raw is rounded, and what is far above 0 has a relative error of |raw| roundings.
    expect(largestError).toBeLessThanOrEqual(ofPlain.largestError + 8 * unit * 4)
    expect(() =>
      setIdentity(moduleOf({ eps: 0 }), { mean: new Float64Array(5), variance: new Float64Array(5) }),
    ).toThrow('Expected state.weight in channels 0, 1, 2, 3, 4 to be above 0')
  })
})

describe('softplus in float32', () => {
  const extremes = [
    [-3.4e38, smallest],
    [-1000, smallest],
    [-88, smallest],
    [-87, Math.fround(Math.exp(-87))],
    [-20, Math.fround(Math.log1p(Math.exp(-20)))],
    [0, Math.fround(Math.LN2)],
    [2 ** -149, Math.fround(Math.LN2)],
    [20, Math.fround(20 + Math.exp(-20))],
    [1000, 1000],
    [Math.fround(3.4e38), Math.fround(3.4e38)],
    [Number.NEGATIVE_INFINITY, smallest],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [Number.NaN, Number.NaN],
  ]
  test.each(extremes)('of %s is %s', (raw, gamma) => {
    const bn = new BatchNorm1d(1, { positiveScale: true })
    bn.rawWeight?.data.fill(raw)
    expect(bn.weight?.data[0]).toBe(gamma)
    expect(bn.stateDict().weight.data[0]).toBe(gamma)
  })

  test('is above 0 and grows with raw, over all of float32', () => {
    const raws = Float32Array.from({ length: 4000 }, (_, i) => {
      const exponent = ((i % 2000) / 2000) * 276 - 149
      return (i < 2000 ? -1 : 1) * 2 ** exponent
    }).sort()
    const bn = new BatchNorm1d(raws.length, { positiveScale: true })
    bn.rawWeight?.data.set(raws)
    const gamma = bn.weight?.data as Float32Array
    gamma.forEach((value, i) => {
      expect(value).toBeGreaterThanOrEqual(i === 0 ? smallest : gamma[i - 1])
    })
  })
})

describe('the state of a positive scale', () => {
  const source = filled(moduleOf())
  setRaw(source, [-200, -5.5, 0, 1, 40])

  test('comes back to the bit', () => {
    const state = source.stateDict()
    expect(Object.keys(state)).toEqual([
      'weight',
      'bias',
      'running_mean',
      'running_var',
      'num_batches_tracked',
      'raw_weight',
    ])
    const bn = moduleOf()
    expect(bn.loadStateDict(state)).toEqual({ missingKeys: [], unexpectedKeys: [] })
    expect(snapshot(bn).state).toEqual(snapshot(source).state)
    const { weight: _, ...withoutWeight } = state
    const other = moduleOf()
    other.loadStateDict(withoutWeight)
    expect(snapshot(other).state).toEqual(snapshot(source).state)
  })

  test('its weight is one that a plain module takes', () => {
    const { raw_weight: _, ...state } = source.stateDict()
    const plain = new BatchNorm1d(channels)
    plain.loadStateDict(state)
    expectSameBits(plain.eval().forward(x), clone(source).eval().forward(x))
  })

  function clone(bn: BatchNorm): BatchNorm {
    const copy = moduleOf()
    copy.loadStateDict(bn.stateDict())
    return copy
  }

  test('a plain weight above 0 is taken', () => {
    const weights = Float32Array.of(smallest, 1e-3, 0.5, 1, 3e38)
    const plain = new BatchNorm1d(channels)
    plain.weight?.data.set(weights)
    const bn = moduleOf()
    bn.loadStateDict(plain.stateDict())
    const raw = bn.rawWeight?.data as Float32Array
    expect(raw.every(Number.isFinite)).toBe(true)
    gammaOf(bn).forEach((gamma, c) => {
      // raw is rounded, and gamma; softplus' <= min(1, gamma).
      const ofRaw = Math.abs(raw[c]) * unit * Math.min(1, weights[c])
      expect(Math.abs(gamma - weights[c])).toBeLessThanOrEqual(ofRaw + unit * weights[c])
    })
    expect(gammaOf(bn)[3], '1 is 1').toBe(1)
  })

  test.each([
    [[1, 0, 1, 1, 1], 'state.weight in channel 1 to be above 0 but received 0'],
    [[1, 1, -2, 1, -3], 'state.weight in channels 2, 4 to be above 0 but received -2'],
    [[1, 1, 1, Number.NaN, 1], 'state.weight in channel 3 to be above 0 but received NaN'],
  ])('a weight of %j is refused, and nothing has changed', (weight, message) => {
    const bn = clone(source)
    const before = snapshot(bn)
    const { raw_weight: _, ...state } = source.stateDict()
    expect(() => bn.loadStateDict({ ...state, weight })).toThrow(
      `Expected ${message} (positiveScale cannot hold such a scale)`,
    )
    expect(() => bn.loadStateDict({ weight }, { strict: false })).toThrow(RangeError)
    expect(snapshot(bn)).toEqual(before)
  })

  test('a weight and a raw weight that disagree are refused', () => {
    const bn = clone(source)
    const before = snapshot(bn)
    const state = source.stateDict()
    const weight = Float32Array.from(state.weight.data as Float32Array)
    weight[2] = 0.5
    expect(() => bn.loadStateDict({ ...state, weight })).toThrow(
      `Expected state.weight in channel 2 to be ${Math.fround(Math.LN2)}, what state.raw_weight makes of it, but received 0.5 (leave one of them out)`,
    )
    expect(snapshot(bn)).toEqual(before)
    const rounded = Float32Array.from(state.weight.data as Float32Array, (value) => value * (1 - 2 ** -9))
    bn.loadStateDict({ ...state, weight: rounded }) // as from bfloat16
    expect(snapshot(bn)).toEqual(before)
  })

  test.each([
    [{ weight: [1, 1] }, 'raw_weight: expected shape [5], received shape [2]'],
    [{ weight: ['1', 1, 1, 1, 1] }, 'weight: expected numbers that fit float32'],
    [{ raw_weight: [1, 1] }, 'raw_weight: expected shape [5], received shape [2]'],
    [{}, 'missing keys: weight, bias, running_mean, running_var, num_batches_tracked, raw_weight'],
    [null, 'Expected state to be an object of tensors but received null'],
  ])('what is no state is refused: %o', (state, message) => {
    expect(() => moduleOf().loadStateDict(state as never)).toThrow(message)
  })

  test('an optimizer sees raw_weight', () => {
    const bn = moduleOf()
    expect(bn.namedParameters()).toEqual([
      ['raw_weight', bn.rawWeight],
      ['bias', bn.bias],
    ])
    expect(bn.weight?.requiresGrad, 'the scale is not trained itself').toBe(false)
    expect(new BatchNorm1d(channels).rawWeight).toBeNull()
    expect(moduleOf({ center: false }).parameters()).toHaveLength(1)
    expect(String(bn)).toContain(', positive_scale=True)')
  })

  test('a tensor of it is a tensor', () => {
    expect(moduleOf().stateDict().raw_weight).toEqual(
      tensor(new Float32Array(channels).fill(Math.log(Math.E - 1))),
    )
  })
})
