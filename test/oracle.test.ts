/** The judge itself, beside cases that are known in closed form. */
import { describe, expect, test } from 'vitest'
import type { FloatType } from '../lib/tensor/data-type.ts'
import { ExactChannel } from './support/oracle.ts'

/** Of `x = offset -+ std` by turns, with eps 0: xhat is -1 and 1. */
function channelOf(offset: number, std: number, gradOutput: readonly number[], weight: number, bias: number) {
  const x = gradOutput.map((_, row) => (row % 2 === 0 ? offset - std : offset + std))
  return new ExactChannel(x, gradOutput, { eps: 0, weight, bias, running: null })
}

const promises: [FloatType, number][] = [
  ['float32', 1e-6],
  ['float64', 1e-14],
]

describe.each(promises)('%s', (type, promise) => {
  test.each([
    [0, 1],
    [1e6, 0.5],
    [3, 2 ** -40],
    [0, 2 ** -1074],
    [0, 2 ** 1023],
  ])(
    'mean %d, standard deviation %d: the judge tells by how many promises a result is off',
    (offset, std) => {
      // xhat * gradOutput has the mean 1, gradOutput the mean 3 / 2.
      const [weight, bias, gradOutput] = [4, 0.5, [0, 4, 1, 1]]
      const channel = channelOf(offset, std, gradOutput, weight, bias)
      const y = [-3.5, 4.5, -3.5, 4.5]
      expect(channel.output(y, type).share).toBeLessThan(1e-9)
      for (const times of [0.5, 2, 1e5]) {
        const off = y.with(2, -3.5 + times * promise * weight)
        expect(channel.output(off, type).share).toBeCloseTo(
          times,
          type === 'float64' ? -Math.log10(times) : 5,
        )
        expect(channel.output(off, type).index).toBe(2)
      }
      // Within what rounding makes of 1 / std.
      if (Math.abs(Math.log2(std)) > 1000) return
      const scale = weight / std
      const exact = [-0.5, 1.5, 0.5, -1.5].map((value) => value * scale)
      expect(channel.inputGradient(exact, type).share).toBeLessThan(1e-9)
      // |g - mean g| + mean|g - mean g| + |xhat| * mean|(g - mean g) * xhat|, which is less than without the mean.
      const allowed = promise * scale * (0.5 + 1.25 + 1.25)
      const moved = exact.with(3, exact[3] + 10 * allowed)
      expect(channel.inputGradient(moved, type).share).toBeCloseTo(10, 0)
    },
  )
})

test('NaN, and Infinity where the exact value is finite, are beyond every promise; Infinity beyond the type is not', () => {
  const channel = channelOf(0, 1, [1, 1], 3e38, 3e38)
  expect(channel.output([0, Number.NaN], 'float32').share).toBe(Number.POSITIVE_INFINITY)
  expect(channel.output([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY], 'float32').index).toBe(0)
  expect(channel.output([0, Number.POSITIVE_INFINITY], 'float32').share).toBe(0)
  expect(channel.output([0, Math.fround(3e38)], 'float32').share).toBeGreaterThan(1e5)
})

test.each<[FloatType, number]>([
  ['bfloat16', 2 ** -7],
  ['float16', 2 ** -10],
])(
  '%s: half of the distance between neighbours is within the promise, and 0.52 of it is not',
  (type, distance) => {
    const rounded = (share: number) =>
      channelOf(0, 1, [1, 1], 0, 1 + share * distance).output([1, 1], type).share
    // Of 0.51 ulp, and 1e-6 of the denominator, 1, beside it.
    const allowed = 0.51 + 1e-6 / distance
    expect(rounded(0.5)).toBeCloseTo(0.5 / allowed, 5)
    expect(rounded(0.52)).toBeCloseTo(0.52 / allowed, 5)
  },
)
