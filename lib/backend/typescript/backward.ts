import type { Activated, Extent, GradientSums, Gradients, PerChannel, Statistics } from '../backend.ts'
import { throughActivation } from './activation.ts'
import type { Arithmetic } from './arithmetic.ts'
import { arithmeticOf } from './arithmetic-of.ts'
import { overSample, roundedMean, scaleOf } from './normalize.ts'
import {
  CHUNKS_PER_SEGMENT,
  type Floats,
  inPairs,
  orderOf,
  spreadOverColumns,
  totalOfLanes,
} from './order.ts'
import {
  evalGradientWidely,
  gradientWidely,
  isWideChannel,
  isWideGradient,
  powerOfTwo,
  sumsWidely,
} from './wide.ts'

/**
 * Gradients of `normalize` (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, section 3):
 *
 *     gradBias   = sum(gradZ)
 *     gradWeight = sum(gradZ * xhat)
 *     gradInput  = scale * (gradZ - gradBias / n - xhat * gradWeight / n)   in training
 *     gradInput  = scale * gradZ                                            in eval
 *
 * with scale = weight * invstd, and gradZ what an activation let through of gradOutput. The sums follow
 * the order of additions of `order.ts`. In training the sum of xhat is 0, so that gradZ less a constant has
 * the same sum of products: an offset of gradZ is taken off before it can cost digits.
 */
export function backward(
  gradOutput: Floats,
  x: Floats,
  extent: Extent,
  statistics: Statistics,
  weight: PerChannel | null,
  training: boolean,
  gradients: Gradients<Floats>,
  activated?: Activated<Floats>,
): void {
  const arithmetic = arithmeticOf(x)
  const gradZ = activated ? throughActivation(arithmetic, activated, gradOutput) : gradOutput
  if (training || gradients.weight || gradients.bias) {
    const sums = {
      gradient: new Float64Array(extent.channels),
      product: new Float64Array(extent.channels),
    }
    const pivot = training ? gradientPivot(gradZ, extent) : arithmetic.array(extent.channels)
    const means = sumGradients(gradZ, x, extent, statistics, pivot, sums)
    gradients.weight?.set(sums.product)
    gradients.bias?.set(sums.gradient)
    if (training && gradients.input) {
      trainingGradient(gradZ, x, extent, statistics, weight, means, gradients.input)
    }
  }
  if (!training && gradients.input) {
    evalGradient(arithmetic, gradZ, extent, statistics, weight, gradients.input)
  }
  if (activated) gradients.residual?.set(gradZ)
}

/** The sums of gradZ and of gradZ * xhat, xhat = (x - mean) * invstd, of each channel. */
export function gradientSums(
  gradOutput: Floats,
  x: Floats,
  extent: Extent,
  statistics: Statistics,
  sums: GradientSums,
  activated?: Activated<Floats>,
): void {
  const arithmetic = arithmeticOf(x)
  const gradZ = activated ? throughActivation(arithmetic, activated, gradOutput) : gradOutput
  sumGradients(gradZ, x, extent, statistics, arithmetic.array(extent.channels), sums)
}

/** Where the eight gradients of a channel stand that their pivot is taken from, in 64ths: in no period. */
const PIVOT_PLACES = [3, 13, 20, 30, 37, 46, 53, 61]

/**
 * What is taken off the gradients of a channel: of eight, spread over the batch, the fourth smallest, if six
 * are within a quarter of it; otherwise 0. So it is an offset that is large beside what varies, or nothing.
 */
function gradientPivot(gradZ: Floats, { outer, channels, inner }: Extent): Floats {
  const count = outer * inner
  const pivots = arithmeticOf(gradZ).array(channels)
  return pivots.map((_, channel) => {
    const some = Float64Array.from(PIVOT_PLACES, (place) => {
      const value = Math.floor((place * count) / 64)
      const sample = Math.floor(value / inner)
      return gradZ[(sample * channels + channel) * inner + (value % inner)]
    })
    if (!some.every(Number.isFinite)) return 0
    const pivot = some.sort()[3]
    const near = some.filter((gradient) => Math.abs(gradient - pivot) <= Math.abs(pivot) / 4)
    return near.length >= 6 ? pivot : 0
  })
}

/** What the gradient of the input takes off: the means of gradZ and of gradZ * xhat. */
interface Means {
  readonly offset: Float64Array
  /** The low part of the mean of gradZ. */
  readonly offsetLow: Float64Array
  readonly product: Float64Array
}

/**
 * The sums of gradZ and of (gradZ - pivot) * xhat, where the sum of pivot * xhat is 0 or the pivot is, and
 * the means, with what that of gradZ loses beside a large pivot.
 */
function sumGradients(
  gradZ: Floats,
  x: Floats,
  extent: Extent,
  statistics: Statistics,
  pivot: Floats,
  sums: GradientSums,
): Means {
  const arithmetic = arithmeticOf(x)
  const order = orderOf(extent)
  const { columns, channelsPerGroup } = order
  const { mean, meanLow } = roundedMean(arithmetic, statistics)
  const unit = statistics.invstd.map((invstd) => unitOf(arithmetic, invstd))
  const by = {
    pivot: arithmetic.array(columns),
    mean: arithmetic.array(columns),
    unit: arithmetic.array(columns),
  }

  for (let group = 0; group < order.groups; group++) {
    const first = group * channelsPerGroup
    spreadOverColumns(order, pivot, first, by.pivot)
    spreadOverColumns(order, mean, first, by.mean)
    spreadOverColumns(order, unit, first, by.unit)
    const segments: GradientSums[] = []
    for (let begin = 0; begin < order.chunks; begin += CHUNKS_PER_SEGMENT) {
      const segment: GradientSums = {
        gradient: new Float64Array(channelsPerGroup),
        product: new Float64Array(channelsPerGroup),
      }
      const end = Math.min(begin + CHUNKS_PER_SEGMENT, order.chunks)
      for (let chunk = begin; chunk < end; chunk++) {
        const gradientLanes = new Float64Array(columns)
        const productLanes = new Float64Array(columns)
        for (const block of order.blocks(group, chunk)) {
          arithmetic.accumulateGradients(gradZ, x, block, order, by, gradientLanes, productLanes)
        }
        for (let channel = 0; channel < channelsPerGroup; channel++) {
          segment.gradient[channel] += totalOfLanes(order, channel, gradientLanes)
          segment.product[channel] += totalOfLanes(order, channel, productLanes)
        }
      }
      segments.push(segment)
    }
    inPairs(segments.length, (into, from) => {
      for (let channel = 0; channel < channelsPerGroup; channel++) {
        segments[into].gradient[channel] += segments[from].gradient[channel]
        segments[into].product[channel] += segments[from].product[channel]
      }
    })
    sums.gradient.set(segments[0].gradient, first)
    sums.product.set(segments[0].product, first)
  }

  const count = extent.outer * extent.inner
  const array = () => new Float64Array(extent.channels)
  const means = { offset: array(), offsetLow: array(), product: array() }
  for (let channel = 0; channel < extent.channels; channel++) {
    const invstd = statistics.invstd[channel]
    const centred = sums.gradient[channel]
    const product = sums.product[channel]
    const size = Math.max(Math.abs(centred), Math.abs(product))
    const isInRange =
      size === 0 || (size >= count * arithmetic.limits.smallestVariance && Number.isFinite(size))
    // A pivot that lies farther from the mean than half of that costs digits.
    const shift = centred / count
    const isFar = pivot[channel] !== 0 && Math.abs(shift) > Math.abs(pivot[channel] + shift) / 2
    if (isInRange && !isFar) {
      // They were taken around the rounded mean; its low part is put right here.
      sums.product[channel] = product * (invstd / unit[channel]) - meanLow[channel] * invstd * centred
      sums.gradient[channel] = centred + count * pivot[channel]
      means.product[channel] = sums.product[channel] / count
      const offset = pivot[channel] + shift
      const ofShift = offset - pivot[channel]
      means.offset[channel] = offset
      means.offsetLow[channel] = pivot[channel] - (offset - ofShift) + (shift - ofShift)
    } else {
      const wide = sumsWidely(gradZ, x, extent, channel, wideStatistics(statistics, channel))
      sums.product[channel] = wide.product
      sums.gradient[channel] = wide.gradient
      means.product[channel] = wide.meanProduct
      means.offset[channel] = wide.offset
    }
  }
  return means
}

/** A power of two near invstd, so that no product is too small or too large for the type. */
function unitOf({ limits, round }: Arithmetic, invstd: number): number {
  const unit = powerOfTwo(invstd)
  if (unit < limits.smallestNormal) return limits.smallestNormal
  return Number.isFinite(round(unit)) ? unit : 1 / limits.smallestNormal
}

function wideStatistics({ mean, invstd, meanLow }: Statistics, channel: number) {
  return { mean: mean[channel], invstd: invstd[channel], meanLow: meanLow ? meanLow[channel] : 0 }
}

/** The gradient of the input by sums over `count` values a channel, of which `x` may be a part. */
export function inputGradient(
  gradOutput: Floats,
  x: Floats,
  extent: Extent,
  statistics: Statistics,
  weight: PerChannel | null,
  sums: GradientSums,
  count: number,
  gradients: Pick<Gradients<Floats>, 'input' | 'residual'>,
  activated?: Activated<Floats>,
): void {
  const arithmetic = arithmeticOf(x)
  const gradZ = activated ? throughActivation(arithmetic, activated, gradOutput) : gradOutput
  if (gradients.input) {
    const mean = (sum: number) => sum / count
    const means = {
      offset: sums.gradient.map(mean),
      offsetLow: new Float64Array(extent.channels),
      product: sums.product.map(mean),
    }
    trainingGradient(gradZ, x, extent, statistics, weight, means, gradients.input)
  }
  if (activated) gradients.residual?.set(gradZ)
}

/**
 * `gradInput = ((gradZ - offset) - (x - mean) * slope) * scale + shift`, each operation rounded to the type
 * of the values, with slope = invstd * mean(gradZ * xhat) and offset = mean(gradZ). The shift carries the low
 * parts of offset and mean.
 */
function trainingGradient(
  gradZ: Floats,
  x: Floats,
  extent: Extent,
  statistics: Statistics,
  weight: PerChannel | null,
  means: Means,
  input: Floats,
): void {
  const arithmetic = arithmeticOf(x)
  const { mean, meanLow } = roundedMean(arithmetic, statistics)
  const { mean: offset, meanLow: offsetLow } = roundedMean(arithmetic, {
    mean: means.offset,
    meanLow: means.offsetLow,
  })
  const slope = means.product.map((product, channel) => statistics.invstd[channel] * product)
  const scale = scaleOf(arithmetic, statistics, weight)
  const shift = slope.map(
    (value, channel) => (meanLow[channel] * value - offsetLow[channel]) * scale[channel],
  )
  const by = {
    mean: overSample(extent, mean),
    slope: overSample(extent, arithmetic.from(slope)),
    offset: overSample(extent, offset),
    scale: overSample(extent, scale),
    shift: overSample(extent, arithmetic.from(shift)),
  }
  // Apart from the result, which may be gradOutput or x.
  const to = arithmetic.array(x.length)
  arithmetic.trainingGradient(gradZ, x, extent.outer, by, to)
  for (let channel = 0; channel < extent.channels; channel++) {
    const of = {
      ...wideStatistics(statistics, channel),
      weight: weight ? weight[channel] : 1,
      offset: means.offset[channel],
      product: means.product[channel],
    }
    const limited = { ...of, slope: slope[channel], scale: of.weight * of.invstd }
    if (isWideGradient(arithmetic.limits, limited)) gradientWidely(gradZ, x, extent, channel, of, to)
  }
  input.set(to)
}

function evalGradient(
  arithmetic: Arithmetic,
  gradZ: Floats,
  extent: Extent,
  statistics: Statistics,
  weight: PerChannel | null,
  input: Floats,
): void {
  const to = arithmetic.array(gradZ.length)
  const scale = overSample(extent, scaleOf(arithmetic, statistics, weight))
  arithmetic.evalGradient(gradZ, extent.outer, scale, to)
  for (let channel = 0; channel < extent.channels; channel++) {
    const invstd = statistics.invstd[channel]
    const ofChannel = weight ? weight[channel] : 1
    if (isWideChannel(arithmetic.limits, 0, ofChannel * invstd, 0)) {
      evalGradientWidely(gradZ, extent, channel, ofChannel, invstd, to)
    }
  }
  input.set(to)
}
