/**
 * Whether a contestant does what the others do. The results are held against the definition, computed
 * in float64, and may be off by what float32 explains: (8 + 4 sqrt(n)) roundings of the largest terms
 * that make up a value, n the number of values of a channel. Sums of n terms in float32, one after
 * another, keep to that; another formula, or another eps, does not.
 */
import type { Extent } from '../../lib/backend/backend.ts'
import type { Inputs } from './inputs.ts'

export interface Expectation {
  readonly values: readonly number[]
  readonly tolerances: readonly number[]
}

const eps = 1e-5
/** Half the distance from 1 to the next float32. */
const unit = 2 ** -24

/** What is expected of every `stride`-th element, and of the small results. */
export function expectationsOf(
  inputs: Inputs,
  extent: Extent,
  stride: number,
): Record<'forward' | 'backward' | 'eval', Expectation> {
  const { x, gradOutput, weight, bias, runningMean, runningVariance } = inputs
  const { channels, inner } = extent
  const sums = sumsOf(inputs, extent)
  const roundings = (8 + 4 * Math.sqrt(sums.count)) * unit
  const batch = { mean: sums.mean, variance: sums.m2.map((m2) => m2 / sums.count) }
  const places = Array.from({ length: Math.ceil(x.length / stride) }, (_, sample) => sample * stride)
  const channelAt = (index: number) => Math.floor(index / inner) % channels

  const output = (mean: ArrayLike<number>, variance: ArrayLike<number>): Expectation => {
    const terms = places.map((index) => {
      const channel = channelAt(index)
      const scaled = ((x[index] - mean[channel]) / Math.sqrt(variance[channel] + eps)) * weight[channel]
      return { scaled, shift: bias[channel] }
    })
    return {
      values: terms.map(({ scaled, shift }) => scaled + shift),
      tolerances: terms.map(({ scaled, shift }) => roundings * (1 + Math.abs(scaled) + Math.abs(shift))),
    }
  }

  const gradient = (): Expectation => {
    const terms = places.map((index) => {
      const channel = channelAt(index)
      const invstd = 1 / Math.sqrt(batch.variance[channel] + eps)
      const meanGradient = sums.gradient[channel] / sums.count
      const product = ((x[index] - batch.mean[channel]) * invstd * sums.product[channel]) / sums.count
      return { scale: weight[channel] * invstd, parts: [gradOutput[index], -meanGradient, -product] }
    })
    return {
      values: [
        ...terms.map(({ scale, parts }) => scale * parts.reduce((sum, part) => sum + part)),
        ...sums.product,
        ...sums.gradient,
      ],
      tolerances: [
        ...terms.map(
          ({ scale, parts }) => roundings * scale * parts.reduce((sum, part) => sum + Math.abs(part), 1),
        ),
        ...[...sums.absoluteProduct, ...sums.absoluteGradient].map((magnitude) => roundings * magnitude),
      ],
    }
  }

  return {
    forward: output(batch.mean, batch.variance),
    backward: gradient(),
    eval: output(runningMean, runningVariance),
  }
}

/** The first value that is further off than it may be, in words; `null` if there is none. */
export function disagreement(values: readonly number[], expected: Expectation): string | null {
  if (values.length !== expected.values.length) {
    return `${values.length} values instead of ${expected.values.length}`
  }
  const index = values.findIndex(
    // Not `>`, which NaN would pass.
    (value, index) => !(Math.abs(value - expected.values[index]) <= expected.tolerances[index]),
  )
  if (index < 0) return null
  return `${values[index]} instead of ${expected.values[index]} +- ${expected.tolerances[index]} at ${index}`
}

/** Of each channel: mean and M2 of x; sums of gradOutput and gradOutput * xhat, and of their magnitudes. */
function sumsOf({ x, gradOutput }: Inputs, extent: Extent) {
  const { outer, channels, inner } = extent
  const count = outer * inner
  const zeros = () => new Float64Array(channels)
  const [mean, m2, gradient, absoluteGradient, product, absoluteProduct] = Array.from({ length: 6 }, zeros)
  const visit = (add: (channel: number, index: number) => void) => {
    let index = 0
    for (let o = 0; o < outer; o++) {
      for (let c = 0; c < channels; c++) for (let i = 0; i < inner; i++) add(c, index++)
    }
  }
  visit((c, index) => {
    mean[c] += x[index] / count
  })
  visit((c, index) => {
    m2[c] += (x[index] - mean[c]) ** 2
  })
  visit((c, index) => {
    const term = (gradOutput[index] * (x[index] - mean[c])) / Math.sqrt(m2[c] / count + eps)
    gradient[c] += gradOutput[index]
    absoluteGradient[c] += Math.abs(gradOutput[index])
    product[c] += term
    absoluteProduct[c] += Math.abs(term)
  })
  return { count, mean, m2, gradient, absoluteGradient, product, absoluteProduct }
}
