/**
 * Weights of samples: mean and variance of a channel are
 *
 *     mean     = sum(w x) / sum(w)
 *     variance = sum(w (x - mean)^2) / sum(w)
 *
 * over its values, each with the weight of its sample. They say how much a sample counts beside the
 * others, not how often it was there, so only their ratios matter: the variance is made unbiased with
 * the effective number of values n = sum(w)^2 / sum(w^2) (Kish 1965, "Survey Sampling", section 11.7),
 * which for equal weights is their number. numpy.cov calls these `aweights` and does the same:
 * https://numpy.org/doc/stable/reference/generated/numpy.cov.html
 */
import type { ChannelMoments, Extent, PerChannel, Statistics, Values } from '../../backend/backend.ts'
import { floatsOf, roomFor, store } from '../../backend/typescript/halves.ts'

/**
 * The effective number of values a channel, n = sum(w)^2 / sum(w^2) over all of them; 0 where no weight
 * is above 0.
 */
export function effectiveCount(weights: Float64Array, { inner }: Extent): number {
  const relative = relativeWeights(weights)
  const total = sumOf(relative)
  return total === 0 ? 0 : (inner * total * total) / sumOf(relative.map((weight) => weight * weight))
}

/** The sum of the weights of the values of a channel, each relative to the largest. */
export function sumOfWeights(weights: Float64Array, { inner }: Extent): number {
  return inner * sumOf(relativeWeights(weights))
}

/** Of each sample, the share of each of its values in all. */
export function sharesOf(weights: Float64Array, extent: Extent): Float64Array {
  const total = sumOfWeights(weights, extent)
  return relativeWeights(weights).map((weight) => weight / total)
}

/** Beside the largest weight, so that no square overflows, and so that equal weights are ones. */
function relativeWeights(weights: Float64Array): Float64Array {
  const largest = weights.reduce((a, b) => Math.max(a, b))
  return largest === 0 ? weights : weights.map((weight) => weight / largest)
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0)
}

/** The values of one sample of a channel: `[start, end)` of the array. */
function eachRun(
  { outer, channels, inner }: Extent,
  channel: number,
  run: (sample: number, start: number, end: number) => void,
): void {
  for (let sample = 0; sample < outer; sample++) {
    const start = (sample * channels + channel) * inner
    run(sample, start, start + inner)
  }
}

/**
 * The weighted moments, in float64, by the corrected two-pass algorithm (Chan, Golub and LeVeque 1983,
 * "Algorithms for Computing the Sample Variance", equation 1.7). `count` is the effective number of
 * values, and M2 the variance times it.
 *
 * @param weights - of each of the `outer` samples; one at least is above 0
 */
export function weightedMoments(
  values: Values,
  extent: Extent,
  weights: Float64Array,
  moments: ChannelMoments,
): void {
  const x = floatsOf(values, extent)
  const relative = relativeWeights(weights)
  const total = sumOfWeights(weights, extent)
  moments.count = effectiveCount(weights, extent)

  for (let channel = 0; channel < extent.channels; channel++) {
    let sum = 0
    eachRun(extent, channel, (sample, start, end) => {
      const weight = relative[sample]
      if (weight === 0) return // 0 times NaN would be NaN
      for (let index = start; index < end; index++) sum += weight * x[index]
    })
    const mean = sum / total
    let rest = 0
    let square = 0
    eachRun(extent, channel, (sample, start, end) => {
      const weight = relative[sample]
      if (weight === 0) return
      for (let index = start; index < end; index++) {
        const difference = x[index] - mean
        rest += weight * difference
        square += weight * difference * difference
      }
    })
    const shift = rest / total
    const corrected = Number.isFinite(mean) ? mean + shift : mean
    moments.mean[channel] = corrected
    if (moments.meanLow) moments.meanLow[channel] = Number.isFinite(mean) ? shift - (corrected - mean) : 0
    moments.m2[channel] = (Math.max(square - rest * shift, 0) / total) * moments.count
  }
}

/**
 * The gradient of the input, in float64, from gradWeight and gradBias as they are stored, and rounded where it is
 * stored (halves: to float32, then to the half): with p = w / sum(w) of each value,
 *
 *     gradInput = weight * invstd * (gradOutput - p * (gradBias + xhat * gradWeight))
 *
 * A sample of weight 0 has that of eval mode: it moved no statistic.
 *
 * @param shares - p of the values of each sample
 * @param sums - gradWeight = sum(gradOutput * xhat) and gradBias = sum(gradOutput), over all samples
 */
export function weightedInputGradient(
  gradOutput: Values,
  values: Values,
  extent: Extent,
  shares: Float64Array,
  { mean, invstd, meanLow }: Statistics,
  weight: PerChannel | null,
  sums: { readonly weight: PerChannel; readonly bias: PerChannel },
  gradInput: Values,
): void {
  const gradient = floatsOf(gradOutput, extent)
  const x = floatsOf(values, extent)
  const result = roomFor(gradInput)
  for (let channel = 0; channel < extent.channels; channel++) {
    const scale = (weight ? weight[channel] : 1) * invstd[channel]
    eachRun(extent, channel, (sample, start, end) => {
      const share = shares[sample]
      for (let index = start; index < end; index++) {
        const normalized = (x[index] - mean[channel] - (meanLow?.[channel] ?? 0)) * invstd[channel]
        const throughStatistics =
          share === 0 ? 0 : share * (sums.bias[channel] + normalized * sums.weight[channel])
        result[index] = scale * (gradient[index] - throughStatistics)
      }
    })
  }
  store(result, gradInput, extent)
}
