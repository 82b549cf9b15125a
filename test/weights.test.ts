/** `weights`: how much each sample counts in the statistics. */
import { expect, test } from 'vitest'
import { type BatchNorm, BatchNorm1d, type BatchNormOptions, type Tensor, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { problemOf } from './support/choices.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'
import { gradientReference, reference } from './support/reference.ts'

const channels = 3

function moduleOf(options: BatchNormOptions = {}): BatchNorm {
  return filled(new BatchNorm1d(channels, options))
}

describeEachBackend('weights', () => {
  const shape = [6, channels, 4]
  const [x, g] = [normal(shape, 1), normal(shape, 2)]
  const sampleSize = 12
  const sampleOf = (index: number) => Math.floor(index / sampleSize)

  test.each([
    { title: 'ordinary', weights: [0.5, 1, 2, 0, 3, 0.25] },
    { title: 'huge', weights: [1e300, 5e307, 0, 1e308, 1e300, 1e300] },
    { title: 'tiny', weights: [1e-320, 3e-320, 0, 1e-320, 5e-320, 2e-320] },
    { title: 'far apart', weights: [1, 1e-6, 1e-12, 0, 1e-3, 1e-200] },
  ])('mean, variance and gradients are the weighted ones: $title', ({ weights }) => {
    for (const offset of [0, 1000]) {
      const shifted = tensor(
        x.data.map((value) => value + offset),
        shape,
      )
      const bn = moduleOf()
      // Only ratios matter, and the reference squares them.
      const largest = Math.max(...weights)
      const problem = problemOf(bn, shifted, { weights: weights.map((weight) => weight / largest) })
      const expected = reference(problem)
      const y = bn.forward(shifted, { weights })
      const exact = gradientReference(problem, expected, g.data)
      const gradInput = bn.backward(g)
      for (const index of x.data.keys()) {
        expect(Math.abs(y.data[index] - expected.y[index])).toBeLessThanOrEqual(expected.tolerance[index])
        const error = Math.abs(gradInput.data[index] - exact.input[index])
        expect(error).toBeLessThanOrEqual(exact.inputTolerance[index])
      }
      for (let c = 0; c < channels; c++) {
        const { running } = expected
        const [mean, variance] = [bn.runningMean?.data[c] as number, bn.runningVar?.data[c] as number]
        expect(Math.abs(mean - (running?.mean[c] as number))).toBeLessThanOrEqual(
          running?.meanTolerance[c] as number,
        )
        const error = Math.abs(variance - (running?.variance[c] as number))
        expect(error).toBeLessThanOrEqual(running?.varianceTolerance[c] as number)
        expect(Math.abs((bn.weight?.grad[c] as number) - exact.scale[c])).toBeLessThanOrEqual(
          exact.scaleTolerance[c],
        )
      }
    }
  })

  test('integers are samples that come more than once, but for the unbiased variance', () => {
    const weights = [1, 3, 2, 0, 1, 2]
    const copies = weights.flatMap((weight, sample) => new Array<number>(weight).fill(sample))
    const repeat = ({ data }: Tensor) =>
      tensor(
        Float32Array.from(copies.flatMap((n) => [...data.subarray(n * sampleSize, (n + 1) * sampleSize)])),
        [copies.length, ...shape.slice(1)],
      )
    const [bn, repeated] = [moduleOf(), moduleOf()]
    const problem = problemOf(bn, x, { weights })
    const exact = reference(problem)
    // A copy has the gradient of its own output; the sample has that of all its copies.
    const weighted = tensor(
      g.data.map((value, index) => value * weights[sampleOf(index)]),
      shape,
    )
    const gradients = gradientReference(problem, exact, weighted.data)
    const [y, ofCopies] = [bn.forward(x, { weights }), repeated.forward(repeat(x))]
    const [gradInput, gradOfCopies] = [bn.backward(weighted), repeated.backward(repeat(g))]
    copies.forEach((sample, copy) => {
      for (let i = 0; i < sampleSize; i++) {
        const [at, from] = [sample * sampleSize + i, copy * sampleSize + i]
        // Either lies within the tolerance of the exact result.
        expect(Math.abs(ofCopies.data[from] - y.data[at])).toBeLessThanOrEqual(2 * exact.tolerance[at])
        const error = Math.abs(weights[sample] * gradOfCopies.data[from] - gradInput.data[at])
        expect(error).toBeLessThanOrEqual(2 * gradients.inputTolerance[at])
      }
    })
  })

  test('a sample of weight 0 is normalized as the others are, and moves nothing', () => {
    const weights = [1, 2, 0, 1, 3, 0]
    const other = tensor(
      x.data.map((value, index) => (weights[sampleOf(index)] === 0 ? value * 100 : value)),
      shape,
    )
    const [bn, changed] = [moduleOf(), moduleOf()]
    const [y, of] = [bn.forward(x, { weights }), changed.forward(other, { weights })]
    expect(snapshot(changed)).toEqual(snapshot(bn))
    y.data.forEach((value, index) => {
      if (weights[sampleOf(index)] > 0) expect(of.data[index]).toBe(value)
    })
    // Its gradient is that of eval mode with the same statistics: of its own output alone.
    const alone = tensor(
      g.data.map((value, index) => (sampleOf(index) === 2 ? value : 0)),
      shape,
    )
    const gradInput = bn.backward(alone)
    const later = moduleOf().forward(
      tensor(
        x.data.map((value, index) => (sampleOf(index) === 2 ? value + 1 : value)),
        shape,
      ),
      { weights },
    )
    for (let i = 2 * sampleSize; i < 3 * sampleSize; i++) {
      const slope = later.data[i] - y.data[i] // y is affine in x here
      // Both outputs and x + 1 are rounded.
      const rounding = 8 * 2 ** -24 * (1 + Math.abs(y.data[i]) + Math.abs(later.data[i]))
      expect(Math.abs(gradInput.data[i] - alone.data[i] * slope)).toBeLessThanOrEqual(
        Math.abs(alone.data[i]) * rounding,
      )
    }
    const withNaN = tensor(x.data.slice(), shape)
    withNaN.data[2 * sampleSize] = Number.NaN
    const careful = moduleOf({ nonFinite: 'throw' })
    expect(Number.isNaN(careful.forward(withNaN, { weights }).data[2 * sampleSize])).toBe(true)
    expect(snapshot(careful).state).toEqual(snapshot(bn).state)
  })

  test.each([
    ['an int64 tensor', tensor(BigInt64Array.of(1n, 2n, 0n, 1n, 3n, 5n))],
    ['a BigUint64Array', BigUint64Array.of(1n, 2n, 0n, 1n, 3n, 5n)],
  ])('integers of 64 bits are the numbers that they are: %s', (_, weights) => {
    const [bn, ofNumbers] = [moduleOf(), moduleOf()]
    expectSameBits(bn.forward(x, { weights }), ofNumbers.forward(x, { weights: [1, 2, 0, 1, 3, 5] }))
    expect(snapshot(bn)).toEqual(snapshot(ofNumbers))
  })

  test('only their ratios matter', () => {
    const weights = [1, 2, 0, 1, 3, 0.5]
    const [bn, scaled] = [moduleOf(), moduleOf()]
    expectSameBits(
      scaled.forward(x, { weights: weights.map((w) => w * 2 ** 100) }),
      bn.forward(x, { weights }),
    )
    expectSameBits(scaled.backward(g), bn.backward(g))
    expect(snapshot(scaled)).toEqual(snapshot(bn))
  })

  test('do not matter in eval mode', () => {
    const [bn, plain] = [moduleOf().eval(), moduleOf().eval()]
    expectSameBits(bn.forward(x, { weights: [1, 2, 0, 1, 3, 0.5] }), plain.forward(x))
    expectSameBits(bn.backward(g), plain.backward(g))
  })
})
