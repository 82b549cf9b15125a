/**
 * Batch normalization of float64 values in whole numbers: what float64 has to be measured against. The
 * values are taken as multiples of 2^-scale, so that every sum and product is exact; only the last few
 * operations are float64's own, so that a result errs by some 1e-15 of its magnitude.
 */
import type { Extent } from '../../lib/backend/backend.ts'
import { channelOf, type ExactGradients } from './exact.ts'

/** The values of one channel as whole numbers. */
interface Channel {
  readonly indices: readonly number[]
  /** count * x - sum, as a multiple of 2^-scale. */
  readonly deviations: readonly bigint[]
  readonly invstd: number
}

export interface ExactFloat64 {
  readonly output: Float64Array
  readonly invstd: Float64Array
  readonly gradients: ExactGradients
}

/** Every value of x and gradOutput has to be a multiple of 2^-scale. */
export function exactFloat64(
  x: Float64Array,
  gradOutput: Float64Array,
  extent: Extent,
  eps: number,
  scale: number,
): ExactFloat64 {
  const count = extent.outer * extent.inner
  const perChannel = () => new Float64Array(extent.channels)
  const output = new Float64Array(x.length)
  const invstds = perChannel()
  const gradients: ExactGradients = {
    input: new Float64Array(x.length),
    weight: perChannel(),
    bias: perChannel(),
    weightMagnitude: perChannel(),
    biasMagnitude: perChannel(),
  }
  const whole = (value: number) => BigInt(value * 2 ** scale)
  /** A whole number of 2^-scale, or of its square. */
  const number = (value: bigint, power = 1) => (Number(value) * 2 ** -scale) / 2 ** (scale * (power - 1))

  for (let channel = 0; channel < extent.channels; channel++) {
    const { indices, deviations, invstd } = channelAt(channel)
    const gradient = indices.map((index) => whole(gradOutput[index]))
    const gradientSum = sum(gradient)
    const product = number(sum(gradient.map((each, i) => each * deviations[i])), 2) / count
    invstds[channel] = invstd
    gradients.bias[channel] = number(gradientSum)
    gradients.weight[channel] = product * invstd
    for (const [i, index] of indices.entries()) {
      output[index] = (number(deviations[i]) / count) * invstd
      const direct = number(BigInt(count) * gradient[i] - gradientSum) / count
      gradients.input[index] = (direct - (output[index] * gradients.weight[channel]) / count) * invstd
      gradients.biasMagnitude[channel] += Math.abs(gradOutput[index])
      gradients.weightMagnitude[channel] += Math.abs(gradOutput[index] * output[index])
    }
  }
  return { output, invstd: invstds, gradients }

  function channelAt(channel: number): Channel {
    const indices = [...x.keys()].filter((index) => channelOf(index, extent) === channel)
    const values = indices.map((index) => whole(x[index]))
    const total = sum(values)
    const deviations = values.map((value) => BigInt(count) * value - total)
    const squares = sum(deviations.map((deviation) => deviation * deviation))
    return { indices, deviations, invstd: 1 / Math.sqrt(number(squares, 2) / count ** 3 + eps) }
  }
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n)
}
