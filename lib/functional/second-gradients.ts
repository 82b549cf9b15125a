/**
 * The gradients of the gradients of `normalize`, in float64. The formulas stand with
 * `batchNormDoubleBackward`; the names u, v, a, b, c and k are those of its text.
 */
import type { Extent, GradientSums, PerChannel, Statistics } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { valuesPerChannel } from '../tensor/shape.ts'

/** What the first backward had. */
interface FirstBackward {
  readonly gradOutput: Float64Array
  readonly x: Float64Array
  readonly extent: Extent
  readonly statistics: Statistics
  /** gamma; `null` stands for ones. */
  readonly weight: PerChannel | null
  /** Whether the statistics are those of `x`, so that the gradient flows through them. */
  readonly training: boolean
}

/** The gradients of what the first backward gave; `null` stands for zeros. */
export interface GradGradients {
  readonly input: Float64Array | null
  readonly weight: Float64Array | null
  readonly bias: Float64Array | null
}

interface SecondGradients {
  readonly input: Float64Array
  readonly weight: Float64Array
  readonly gradOutput: Float64Array
}

export function secondGradients(first: FirstBackward, gradGradients: GradGradients): SecondGradients {
  const { x, statistics, weight, training } = first
  const scale = statistics.invstd.map((invstd, channel) => (weight ? weight[channel] : 1) * invstd)
  // An empty batch has no averages; what eval makes of it is empty, and zeros.
  return (training && x.length > 0 ? inTraining : inEval)(first, scale, gradGradients)
}

/** Where the statistics are constants; `scale` is `weight * invstd`. */
function inEval(
  { gradOutput, x, extent, statistics: { mean, meanLow, invstd } }: FirstBackward,
  scale: Float64Array,
  { input: u, weight: v, bias: w }: GradGradients,
): SecondGradients {
  const zeros = invstd.map(() => 0)
  const slope = v && times(v, invstd)
  return {
    input: combined(extent, [[gradOutput, zeros, slope]], null),
    weight: u ? times(invstd, sumsOf(u, gradOutput, extent, centredAt(zeros)).product) : zeros,
    gradOutput: combined(
      extent,
      [
        [u, zeros, scale],
        [x, mean, slope, meanLow],
      ],
      w,
    ),
  }
}

/** Where the statistics are those of `x`, and the gradient flows through them. */
function inTraining(
  { gradOutput, x, extent, statistics }: FirstBackward,
  scale: Float64Array,
  { input: u, weight: v, bias: w }: GradGradients,
): SecondGradients {
  const { mean, meanLow, invstd } = statistics
  const zeros = invstd.map(() => 0)
  const count = valuesPerChannel(extent)
  const average = (sum: number) => sum / count

  const ofG = sumsOf(gradOutput, x, extent, statistics)
  const [meanG, b] = [ofG.gradient.map(average), ofG.product.map(average)]
  const ofU = u && sumsOf(u, x, extent, statistics)
  const [meanU, a] = ofU ? [ofU.gradient.map(average), ofU.product.map(average)] : [zeros, zeros]
  const c = u ? sumsOf(u, gradOutput, extent, centredAt(meanG)).product.map(average) : zeros

  const k = scale.map((value, channel) => (v ? v[channel] : 0) - value * a[channel])
  const r = scale.map((value, channel) => {
    return k[channel] * b[channel] + value * (c[channel] - 2 * a[channel] * b[channel])
  })
  const slope = u || v ? times(k, invstd) : null
  return {
    input: combined(
      extent,
      [
        [gradOutput, meanG, slope],
        [u, meanU, scale.map((value, channel) => -value * b[channel] * invstd[channel])],
        [x, mean, slope && r.map((value, channel) => -value * invstd[channel] * invstd[channel]), meanLow],
      ],
      null,
    ),
    weight: u
      ? invstd.map((value, channel) => count * value * (c[channel] - a[channel] * b[channel]))
      : zeros,
    gradOutput: combined(
      extent,
      [
        [u, meanU, scale],
        [x, mean, slope, meanLow],
      ],
      w,
    ),
  }
}

/** The sums of values and of values * xhat, in the order of additions of every sum. */
function sumsOf(values: Float64Array, x: Float64Array, extent: Extent, statistics: Statistics): GradientSums {
  const sums = { gradient: new Float64Array(extent.channels), product: new Float64Array(extent.channels) }
  if (values.length > 0) currentBackend().gradientSums(values, x, extent, statistics, sums)
  return sums
}

/** Statistics that make xhat = x - mean. */
function centredAt(mean: Float64Array): Statistics {
  return { mean, invstd: mean.map(() => 1) }
}

function times(one: Float64Array, other: Float64Array): Float64Array {
  return one.map((value, channel) => value * other[channel])
}

/**
 * `(values - mean) * factor`, mean, factor and the low part of the mean by channel; nothing where values or factor are
 * `null`.
 */
type Term = readonly [
  values: Float64Array | null,
  mean: Float64Array,
  factor: Float64Array | null,
  meanLow?: Float64Array,
]

/** The terms and, by channel, the shift, added from left to right. */
function combined(
  { outer, channels, inner }: Extent,
  terms: readonly Term[],
  shift: Float64Array | null,
): Float64Array {
  const result = new Float64Array(outer * channels * inner)
  for (const [values, mean, factor, meanLow] of terms) {
    if (values === null || factor === null) continue
    addByChannel(
      (index, channel) => (values[index] - mean[channel] - (meanLow?.[channel] ?? 0)) * factor[channel],
    )
  }
  if (shift) addByChannel((_, channel) => shift[channel])
  return result

  function addByChannel(term: (index: number, channel: number) => number): void {
    let index = 0
    for (let sample = 0; sample < outer; sample++) {
      for (let channel = 0; channel < channels; channel++) {
        for (const end = index + inner; index < end; index++) result[index] += term(index, channel)
      }
    }
  }
}
