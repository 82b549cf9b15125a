/**
 * Batch normalization in float64 with compensated sums: for float32 inputs its own error, about
 * 1e-15 relative, is nothing beside the errors that are measured against it.
 */
import type { Extent } from '../../lib/backend/backend.ts'

/** A sum of float64 numbers that keeps what each addition rounds away (Neumaier 1974). */
class CompensatedSum {
  #sum = 0
  #lost = 0

  add(value: number): void {
    const sum = this.#sum + value
    this.#lost += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - sum + value : value - sum + this.#sum
    this.#sum = sum
  }

  get value(): number {
    return this.#sum + this.#lost
  }
}

type Numbers = Float32Array | Float64Array

export interface ExactStatistics {
  readonly mean: Float64Array
  /** The biased variance. */
  readonly variance: Float64Array
  readonly invstd: Float64Array
}

export interface ExactGradients {
  readonly input: Float64Array
  readonly weight: Float64Array
  readonly bias: Float64Array
  /** The sums of the absolute values of the terms of `weight` and `bias`. */
  readonly weightMagnitude: Float64Array
  readonly biasMagnitude: Float64Array
}

/** The channel of each element of an input. */
export function channelOf(index: number, { channels, inner }: Extent): number {
  return Math.floor(index / inner) % channels
}

/** For each channel, the sum over its elements of `term(index, channel)`. */
function sums(extent: Extent, term: (index: number, channel: number) => number): Float64Array {
  const totals = Array.from({ length: extent.channels }, () => new CompensatedSum())
  for (let index = 0; index < extent.outer * extent.channels * extent.inner; index++) {
    const channel = channelOf(index, extent)
    totals[channel].add(term(index, channel))
  }
  return Float64Array.from(totals, (total) => total.value)
}

export function exactStatistics(x: Numbers, extent: Extent, eps: number): ExactStatistics {
  const count = extent.outer * extent.inner
  const mean = sums(extent, (index) => x[index]).map((sum) => sum / count)
  const squares = sums(extent, (index, channel) => (x[index] - mean[channel]) ** 2)
  const variance = squares.map((sum) => sum / count)
  // Where nothing varies and eps is 0, nothing is scaled, as in PyTorch.
  const invstd = variance.map((value) => (value + eps === 0 ? 0 : 1 / Math.sqrt(value + eps)))
  return { mean, variance, invstd }
}

/** `y = (x - mean) * invstd * weight + bias` */
export function exactOutput(
  x: Numbers,
  extent: Extent,
  { mean, invstd }: ExactStatistics,
  weight: Numbers,
  bias: Numbers,
): Float64Array {
  return Float64Array.from<number>(x, (value, index) => {
    const channel = channelOf(index, extent)
    return (value - mean[channel]) * invstd[channel] * weight[channel] + bias[channel]
  })
}

/** The gradients of `exactOutput` with the statistics of `x` itself. */
export function exactGradients(
  gradOutput: Numbers,
  x: Numbers,
  extent: Extent,
  { mean, invstd }: ExactStatistics,
  weight: Numbers,
): ExactGradients {
  const count = extent.outer * extent.inner
  const normalized = (index: number, channel: number) => (x[index] - mean[channel]) * invstd[channel]
  const product = (index: number, channel: number) => gradOutput[index] * normalized(index, channel)
  const gradWeight = sums(extent, product)
  const gradBias = sums(extent, (index) => gradOutput[index])
  const gradInput = Float64Array.from(gradOutput, (gradient, index) => {
    const channel = channelOf(index, extent)
    const direct = gradient - gradBias[channel] / count
    const throughVariance = (normalized(index, channel) * gradWeight[channel]) / count
    return (direct - throughVariance) * invstd[channel] * weight[channel]
  })
  return {
    input: gradInput,
    weight: gradWeight,
    bias: gradBias,
    weightMagnitude: sums(extent, (index, channel) => Math.abs(product(index, channel))),
    biasMagnitude: sums(extent, (index) => Math.abs(gradOutput[index])),
  }
}
