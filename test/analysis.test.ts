/** What batch norm's output is like, and what it does to an activation. */
import { describe, expect, test } from 'vitest'
import { erf, normalShareBelow, normalShareWithin } from '../lib/fold/normal.ts'
import {
  BatchNorm1d,
  describeOutput,
  linearity,
  outputRange,
  saturation,
  setIdentity,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { normal, snapshot, trained } from './support/module.ts'

const columns = ({ data, shape }: Tensor, channel: number) =>
  Array.from(data).filter((_, at) => at % shape[1] === channel)

describe('the normal distribution', () => {
  // https://dlmf.nist.gov/7.23, and the complement where erf is 1 to the last digit.
  test.each([
    [0, 0],
    [1e-300, 1.1283791670955126e-300],
    [0.5, 0.5204998778130465],
    [-1, -0.8427007929497149],
    [2, 0.9953222650189527],
    [3, 0.9999779095030014],
    [3.0000001, 0.9999779095169267],
    [7, 1],
  ])('erf(%f) is %f to 4e-16 of it', (x, expected) => {
    expect(Math.abs(erf(x) - expected)).toBeLessThanOrEqual(4e-16 * Math.abs(expected))
  })

  test('keeps the digits of its lower tail', () => {
    // Phi(-6), from its continued fraction in 50 digits.
    expect(Math.abs(normalShareBelow(-6) / 9.86587645037698e-10 - 1)).toBeLessThan(1e-14)
    expect(normalShareBelow(1) + normalShareBelow(-1)).toBe(1)
  })
})

describeEachBackend('outputRange', () => {
  test.each([2, 3, 4, 32, 256, 1000])(
    'is attained by one value of %i that differs, and by no batch exceeded',
    (n) => {
      const outlier = tensor(
        Float32Array.from({ length: n }, (_, at) => (at === 1 ? 1000 : 0)),
        [n, 1],
      )
      const variance = ((n - 1) / n ** 2) * 1000 ** 2
      const bn = new BatchNorm1d(1)
      const y = bn.forward(outlier)
      const { bound } = outputRange(n, { eps: bn.eps, variance })
      const ulps = 4 * 2 ** -23 * bound
      expect(Math.abs(Math.max(...y.data.map(Math.abs)) - bound)).toBeLessThanOrEqual(ulps)
      expect(bound).toBeLessThanOrEqual(outputRange(n).bound)
      for (let seed = 0; seed < 20; seed++) {
        const values = normal([n, 3], seed)
        values.data.forEach((value, at) => {
          values.data[at] = value ** 9
        })
        const most = Math.max(...new BatchNorm1d(3).forward(values).data.map(Math.abs))
        expect(most).toBeLessThanOrEqual(Math.sqrt(n - 1) * (1 + 4 * 2 ** -23))
      }
    },
  )

  test('one value has no range, and neither have equal ones', () => {
    expect(outputRange(1).bound).toBe(0)
    expect(outputRange(9, { variance: 0, eps: 1e-5 }).bound).toBe(0)
  })

  test('counts the shares of a batch beside 68 - 95 - 99.7', () => {
    const { normalShares, shares } = outputRange(4, { xhat: tensor([[-1], [1.5], [2.5], [4]]) })
    expect(normalShares.map((share) => share.toFixed(4))).toEqual(['0.6827', '0.9545', '0.9973'])
    expect(normalShares[0]).toBe(normalShareWithin(1))
    expect(shares).toEqual([0.25, 0.5, 0.75])
  })

  test.each([0, 2.5, '3'])('refuses n = %o', (n) => {
    expect(() => outputRange(n as number)).toThrow(/n to be a positive integer/)
  })
})

describeEachBackend('linearity', () => {
  const [x, z] = [normal([16, 5], 1), normal([16, 5], 2)]

  test('finds eval affine up to rounding, and each sample alone', () => {
    const { deviation, coupling } = linearity(trained(5).eval(), x, z)
    expect(deviation).toBeLessThanOrEqual(8 * 2 ** -24)
    expect(coupling).toBe(0)
  })

  test.each([true, false])('finds training bent and coupled (running statistics %s)', (trackRunningStats) => {
    const bn = trained(5, { trackRunningStats }).train(trackRunningStats)
    const { deviation, coupling } = linearity(bn, x, z)
    expect(deviation).toBeGreaterThan(0.05)
    expect(coupling).toBeGreaterThan(0.01)
  })

  test('leaves the module as it was, and its backward', () => {
    const [bn, twin] = [trained(5), trained(5)]
    for (const module of [bn, twin]) module.forward(x)
    linearity(bn, z, x)
    expect(snapshot(bn)).toEqual(snapshot(twin))
    expect(bn.backward(z).data).toEqual(twin.backward(z).data)
  })

  test('measures any module', () => {
    const relu = {
      forward: ({ data, shape }: { data: Float32Array; shape: readonly number[] }) =>
        tensor(
          data.map((value) => Math.max(value, 0)),
          shape,
        ),
    }
    expect(linearity(relu, x, z).deviation).toBeGreaterThan(0.1)
    expect(linearity(relu, x, z).coupling).toBe(0)
  })

  test('refuses batches of other shapes and of one sample', () => {
    expect(() => linearity(trained(5), x, normal([15, 5], 1))).toThrow(/z of shape .*\[16, 5\]/)
    expect(() => linearity(trained(5), normal([1, 5], 1), normal([1, 5], 1))).toThrow(/at least 2 samples/)
  })
})

describe('saturation', () => {
  test.each([
    // slope 0.9 at |z| 0.3274, 0.1 at 1.8184, 0.01 at 2.9932
    { activation: 'tanh', inside: [0, 0.32, 0.34, 1.8, 1.83, 2.98, 3, 50], parts: [2, 2, 2, 2] },
    { activation: 'sigmoid', inside: [0, 0.64, 0.66, 3.6, 3.7, 5.9, 6, 50], parts: [2, 2, 2, 2] },
    { activation: 'relu', inside: [1, 2, 3, -1, -2, 0, -3, 1e-9], parts: [4, 0, 0, 4] },
    { activation: 'elu', inside: [1, 0.5, -0.1, -0.11, -2.4, -2.5, -5, -9], parts: [3, 1, 2, 2] },
    { activation: 'identity', inside: [1, 2, 3, -1, -2, 0, -3, 1e-9], parts: [8, 0, 0, 0] },
  ] as const)(
    'of $activation: linear, curved, saturated and dead by its slope',
    ({ activation, inside, parts }) => {
      const [linear, curved, saturated, dead] = parts.map((count) => count / 8)
      const x = tensor(Float32Array.from(inside), [8, 1])
      expect(saturation(activation, x).before).toEqual({ linear, curved, saturated, dead })
    },
  )

  test.each(['tanh', 'sigmoid', 'elu', 'relu', 'gelu', 'silu'] as const)(
    'of %s: the slope is the difference quotient',
    async (name) => {
      const { activationFunction } = await import('../lib/fold/activation.ts')
      const f = activationFunction(name)
      for (const z of [-7, -2, -0.3, 0.4, 1, 6]) {
        const quotient = (f.value(z + 1e-5, 0) - f.value(z - 1e-5, 0)) / 2e-5
        expect(Math.abs(f.derivative(z, 0) - quotient)).toBeLessThan(1e-9)
      }
    },
  )

  test('normalization moves a saturated layer into the middle, by channel', () => {
    const x = normal([500, 2], 1)
    x.data.forEach((value, at) => {
      x.data[at] = at % 2 === 0 ? 50 + 3 * value : 20 * value
    })
    const { before, after } = saturation('tanh', x)
    expect(before.dead).toBeGreaterThan(0.9)
    expect(after.dead).toBeLessThan(0.01)
    expect(after).toEqual(saturation('tanh', normal([500, 2], 1)).after)
  })

  test('refuses what it does not know', () => {
    expect(() => saturation('swish' as 'relu', tensor([[1]]))).toThrow(/activation to be one of/)
    expect(() => saturation('relu', tensor([1]))).toThrow(/x of shape \[N, C, \.\.\.\]/)
  })
})

describeEachBackend('setIdentity', () => {
  test.each([1e-5, 0, 0.1])('gives back the input with the running statistics (eps %f)', (eps) => {
    const bn = trained(5, { eps }).eval()
    const { largestError } = setIdentity(bn)
    expect(largestError).toBeLessThanOrEqual(4 * 2 ** -23)
    const x = normal([20, 5], 4)
    bn.forward(x).data.forEach((value, at) => {
      expect(Math.abs(value - x.data[at])).toBeLessThanOrEqual(
        8 * 2 ** -23 * Math.max(1, Math.abs(x.data[at])),
      )
    })
  })

  test('gives back a batch in training with its own moments, where sqrt(variance) alone does not', () => {
    const x = normal([50, 1], 4)
    x.data.forEach((value, at) => {
      x.data[at] = 1e-3 * value + 0.5
    })
    const mean = x.data.reduce((sum, value) => sum + value, 0) / 50
    const variance = x.data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 50
    const bn = new BatchNorm1d(1)
    const moments = { mean: Float64Array.of(mean), variance: Float64Array.of(variance) }
    expect(setIdentity(bn, moments).largestError).toBeLessThanOrEqual(4 * 2 ** -23)
    const error = () =>
      bn.forward(x).data.reduce((most, value, at) => Math.max(most, Math.abs(value - x.data[at])), 0)
    expect(error()).toBeLessThanOrEqual(4 * 2 ** -23)
    bn.weight?.data.fill(Math.sqrt(variance))
    expect(error()).toBeGreaterThan(1e-3)
  })

  test.each([
    [{ scale: false }, undefined, /scale and center but received one with scale: false/],
    [{ center: false }, undefined, /center: false/],
    [
      { trackRunningStats: false },
      undefined,
      /moments to be given for a module with trackRunningStats: false/,
    ],
    [
      {},
      { mean: new Float64Array(2), variance: Float64Array.of(1, -1) },
      /channels \[1\] \(is a variance negative/,
    ],
    [{}, { mean: new Float64Array(3), variance: new Float64Array(2) }, /moments.mean to be of length 2/],
  ])('refuses %o, and changes nothing', (options, moments, message) => {
    const bn = trained(2, options)
    const before = snapshot(bn)
    expect(() => setIdentity(bn, moments)).toThrow(message)
    expect(snapshot(bn)).toEqual(before)
  })
})

describe('describeOutput', () => {
  test('tells mean, both standard deviations, range and shares by channel', () => {
    const y = normal([40, 2], 1)
    const described = describeOutput(y)
    expect(described.count).toBe(40)
    for (const [channel, found] of described.channels.entries()) {
      const values = columns(y, channel)
      const mean = values.reduce((sum, value) => sum + value, 0) / 40
      const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
      expect(found.mean).toBeCloseTo(mean, 14)
      expect(found.biasedStd).toBeCloseTo(Math.sqrt(squares / 40), 14)
      expect(found.unbiasedStd).toBeCloseTo(Math.sqrt(squares / 39), 14)
      expect([found.least, found.most]).toEqual([Math.min(...values), Math.max(...values)])
      expect(found.shares).toEqual(
        [1, 2, 3].map((d) => values.filter((value) => Math.abs(value) <= d).length / 40),
      )
    }
  })

  test('sees the same channels in every layout', () => {
    const first = tensor([
      [
        [1, 2],
        [30, 40],
      ],
      [
        [3, 4],
        [50, 60],
      ],
    ])
    const last = tensor([
      [
        [1, 30],
        [2, 40],
      ],
      [
        [3, 50],
        [4, 60],
      ],
    ])
    expect(describeOutput(last, { layout: 'channels-last' })).toEqual(describeOutput(first))
  })

  test('prints as a table', () => {
    const y = new BatchNorm1d(2, { eps: 0 }).forward(
      tensor([
        [1, 5],
        [2, 5],
        [3, 8],
      ]),
    )
    expect(String(describeOutput(y)).split('\n')).toEqual([
      '3 values a channel',
      'channel    mean  std, / n  std, / (n - 1)    least    most  within 1        2        3',
      '      0  0.0000    1.0000          1.2247  -1.2247  1.2247    33.3 %  100.0 %  100.0 %',
      '      1  0.0000    1.0000          1.2247  -0.7071  1.4142    66.7 %  100.0 %  100.0 %',
    ])
  })

  test('a number that rounds to 0 has no sign', () => {
    expect(String(describeOutput(tensor([[-1e-9], [-1e-4]])))).toMatch(/^ +0 +-0\.0001 .* 0\.0000 +100\.0 %/m)
    expect(String(describeOutput(tensor([[-1e-9]])))).not.toContain('-0.0000')
  })

  test('of one value: the unbiased standard deviation is not a number', () => {
    expect(describeOutput(tensor([[3]])).channels[0]).toMatchObject({ biasedStd: 0, unbiasedStd: Number.NaN })
  })
})
