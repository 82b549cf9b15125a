/**
 * How far from the exact answer a golden case may be answered in float32: step by step, because errors
 * live on. In float64 it is as much less as that rounds less.
 */
import type { Extent } from '../../lib/backend/backend.ts'
import { extentOf } from '../../lib/tensor/shape.ts'
import type { FloatArray } from './bits.ts'
import { channelOf, type ExactStatistics, exactGradients, exactStatistics } from './exact.ts'
import type { GoldenCase, GoldenStep } from './golden.ts'
import {
  affineFormTolerance,
  biasGradientTolerance,
  type Doubt,
  doubtOfBatch,
  doubtOfPlainSums,
  inputGradientTolerance,
  outputTolerance,
  relativeDoubtOfVariance,
  unit,
  weightGradientTolerance,
} from './tolerance.ts'

/** For each element of a tensor how far it may be off. */
export type Bound = (index: number) => number

/** Bounds of a step, by the names of what it gives. */
export type StepBounds = Readonly<Record<string, Bound>>

/** Ours, where sums are taken around a pivot, or PyTorch's, where they are taken plainly. */
export type Arithmetic = 'centred' | 'plain'

const exactly: Bound = () => 0

export class GoldenBounds {
  readonly #golden: GoldenCase
  readonly #arithmetic: Arithmetic
  readonly #weight: FloatArray
  readonly #bias: FloatArray
  /** What the next step starts from: the running statistics, how wrong they may be, and of how many batches. */
  #running: GoldenStep['running']
  #batches: number
  readonly #mean: Float64Array
  readonly #variance: Float64Array
  /** How wrong the gradients of the parameters may be by now. */
  readonly #gradients: Record<'weight' | 'bias', Float64Array>

  constructor(golden: GoldenCase, arithmetic: Arithmetic) {
    const { numFeatures, state } = golden
    this.#golden = golden
    this.#arithmetic = arithmetic
    this.#weight = (state.get('weight')?.data as FloatArray) ?? new Float64Array(numFeatures).fill(1)
    this.#bias = (state.get('bias')?.data as FloatArray) ?? new Float64Array(numFeatures)
    this.#running = state
    this.#batches = Number(state.get('num_batches_tracked')?.data[0])
    this.#mean = new Float64Array(numFeatures)
    this.#variance = new Float64Array(numFeatures)
    this.#gradients = { weight: new Float64Array(numFeatures), bias: new Float64Array(numFeatures) }
  }

  /** The bounds of a step; to be called for one after another. */
  next(step: GoldenStep): StepBounds {
    const { eps, layout, trackRunningStats } = this.#golden.options
    const x = step.input.data
    const extent = extentOf(step.input.shape, layout)
    const count = extent.outer * extent.inner
    const isTracked = step.training && trackRunningStats
    if (isTracked) this.#batches++
    // An empty batch is counted, and adds nothing.
    if (count === 0) return this.#soFar()
    const fromBatch = step.training || !trackRunningStats
    const statistics = fromBatch ? exactStatistics(x, extent, eps) : runningStatistics(this.#running, eps)
    const doubts = fromBatch ? this.#doubtsOfBatch(x, extent, statistics) : this.#doubtsOfRunning(statistics)
    const gradInput = this.#addGradients(step, extent, statistics, doubts, fromBatch)
    const output = this.#outputBound(step, extent, statistics, doubts)
    if (isTracked) this.#updateRunning(step, count, statistics, doubts)
    this.#running = step.running
    return { ...this.#soFar(), gradInput, output }
  }

  /** Of what is kept from step to step; of values there are none. */
  #soFar(): StepBounds {
    const of = (kept: Float64Array): Bound => {
      const copy = kept.slice()
      return (channel) => copy[channel]
    }
    return {
      output: exactly,
      gradInput: exactly,
      'weight.grad': of(this.#gradients.weight),
      'bias.grad': of(this.#gradients.bias),
      running_mean: of(this.#mean),
      running_var: of(this.#variance),
      num_batches_tracked: exactly,
    }
  }

  #doubtsOfBatch(x: FloatArray, extent: Extent, { invstd }: ExactStatistics): Doubt[] {
    const count = extent.outer * extent.inner
    if (this.#arithmetic === 'centred') return Array.from(invstd, () => doubtOfBatch(count))
    const magnitudes = exactStatistics(x.map(Math.abs), extent, 0).mean
    return Array.from(invstd, (inverse, channel) => doubtOfPlainSums(count, magnitudes[channel] * inverse))
  }

  #doubtsOfRunning({ invstd }: ExactStatistics): Doubt[] {
    return Array.from(invstd, (inverse, channel) => ({
      mean: this.#mean[channel] * inverse,
      invstd: (this.#variance[channel] * inverse ** 2) / 2 + unit,
    }))
  }

  #outputBound(
    step: GoldenStep,
    extent: Extent,
    { mean, invstd }: ExactStatistics,
    doubts: readonly Doubt[],
  ): Bound {
    const x = step.input.data
    return (index) => {
      const channel = channelOf(index, extent)
      const [weight, bias] = [this.#weight[channel], this.#bias[channel]]
      const bound = outputTolerance(step.output.data[index], weight, bias, doubts[channel])
      if (this.#arithmetic === 'centred') return bound
      return bound + affineFormTolerance(x[index], mean[channel], weight * invstd[channel], bias)
    }
  }

  /** The bound of gradInput; those of the parameters' gradients grow. */
  #addGradients(
    { input, gradOutput, gradients }: GoldenStep,
    extent: Extent,
    statistics: ExactStatistics,
    doubts: readonly Doubt[],
    fromBatch: boolean,
  ): Bound {
    const x = input.data
    const count = extent.outer * extent.inner
    const exact = exactGradients(gradOutput.data, x, extent, statistics, this.#weight)
    const bias = exact.biasMagnitude.map((magnitude) => biasGradientTolerance(magnitude, count))
    const weight = exact.weightMagnitude.map((magnitude, channel) =>
      weightGradientTolerance(magnitude, exact.bias[channel], bias[channel], count, doubts[channel]),
    )
    const share = fromBatch ? 1 / count : 0
    const added = { weight, bias }
    for (const key of ['weight', 'bias'] as const) {
      const sums = gradients.get(key)?.data
      for (const channel of added[key].keys()) {
        this.#gradients[key][channel] += added[key][channel] + 2 * unit * Math.abs(Number(sums?.[channel]))
      }
    }
    return (index) => {
      const channel = channelOf(index, extent)
      const { mean, invstd } = statistics
      const terms = {
        gradOutput: gradOutput.data[index],
        normalized: (x[index] - mean[channel]) * invstd[channel],
        scale: this.#weight[channel] * invstd[channel],
        meanGradient: exact.bias[channel] * share,
        meanProduct: exact.weight[channel] * share,
        meanGradientTolerance: bias[channel] * share,
        meanProductTolerance: weight[channel] * share,
      }
      return inputGradientTolerance(terms, doubts[channel])
    }
  }

  #updateRunning(step: GoldenStep, count: number, batch: ExactStatistics, doubts: readonly Doubt[]): void {
    const share = this.#golden.options.momentum ?? 1 / this.#batches
    const mean = step.running.get('running_mean')?.data as FloatArray
    const variance = step.running.get('running_var')?.data as FloatArray
    for (const [channel, doubt] of doubts.entries()) {
      const doubtOfMean = doubt.mean * Math.sqrt(batch.variance[channel] + this.#golden.options.eps)
      const unbiased = (batch.variance[channel] * count) / (count - 1)
      const doubtOfVariance = relativeDoubtOfVariance(count) * unbiased
      this.#mean[channel] =
        (1 - share) * this.#mean[channel] + share * doubtOfMean + 2 * unit * Math.abs(mean[channel])
      this.#variance[channel] =
        (1 - share) * this.#variance[channel] + share * doubtOfVariance + 2 * unit * variance[channel]
    }
  }
}

function runningStatistics(running: GoldenStep['running'], eps: number): ExactStatistics {
  const mean = Float64Array.from(running.get('running_mean')?.data as FloatArray)
  const variance = Float64Array.from(running.get('running_var')?.data as FloatArray)
  return { mean, variance, invstd: variance.map((value) => 1 / Math.sqrt(value + eps)) }
}
