import type { Extent, Gradients, Statistics } from '../backend.ts'
import { overSample, scaleOf } from './normalize.ts'
import {
  type Block,
  CHUNKS_PER_SEGMENT,
  orderOf,
  ROWS_PER_GROUP,
  spreadOverColumns,
  totalOfLanes,
} from './order.ts'

/** For each channel, the sums of gradOutput and of gradOutput * xhat, xhat = (x - mean) * invstd. */
interface Sums {
  readonly gradient: Float64Array
  readonly product: Float64Array
}

/**
 * Gradients of `normalize` (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, section 3):
 *
 *     gradBias   = sum(gradOutput)
 *     gradWeight = sum(gradOutput * xhat)
 *     gradInput  = scale * (gradOutput - gradBias / n - xhat * gradWeight / n)   in training
 *     gradInput  = scale * gradOutput                                            in eval
 *
 * with scale = weight * invstd. The sums follow the order of additions of `order.ts`.
 */
export function backward(
  gradOutput: Float32Array,
  x: Float32Array,
  extent: Extent,
  statistics: Statistics,
  weight: Float32Array | null,
  training: boolean,
  gradients: Gradients,
): void {
  const scale = scaleOf(statistics, weight)
  if (training || gradients.weight || gradients.bias) {
    const sums = backwardSums(gradOutput, x, extent, statistics)
    gradients.weight?.set(sums.product)
    gradients.bias?.set(sums.gradient)
    if (training && gradients.input) {
      inputGradientOfTraining(gradOutput, x, extent, statistics, scale, sums, gradients.input)
    }
  }
  if (!training && gradients.input) inputGradientOfEval(gradOutput, extent, scale, gradients.input)
}

function backwardSums(
  gradOutput: Float32Array,
  x: Float32Array,
  extent: Extent,
  statistics: Statistics,
): Sums {
  const order = orderOf(extent)
  const { columns, channelsPerGroup } = order
  const total: Sums = {
    gradient: new Float64Array(extent.channels),
    product: new Float64Array(extent.channels),
  }
  const means = new Float32Array(columns)
  const invstds = new Float32Array(columns)
  const gradientSums = new Float32Array(columns)
  const productSums = new Float32Array(columns)
  const lanes = new Float64Array(order.lanesPerChannel)

  for (let group = 0; group < order.groups; group++) {
    const first = group * channelsPerGroup
    spreadOverColumns(order, statistics.mean, first, means)
    spreadOverColumns(order, statistics.invstd, first, invstds)
    for (let begin = 0; begin < order.chunks; begin += CHUNKS_PER_SEGMENT) {
      const segment: Sums = {
        gradient: new Float64Array(channelsPerGroup),
        product: new Float64Array(channelsPerGroup),
      }
      const end = Math.min(begin + CHUNKS_PER_SEGMENT, order.chunks)
      for (let chunk = begin; chunk < end; chunk++) {
        gradientSums.fill(0)
        productSums.fill(0)
        for (const block of order.blocks(group, chunk)) {
          accumulate(gradOutput, x, block, means, invstds, gradientSums, productSums)
        }
        for (let channel = 0; channel < channelsPerGroup; channel++) {
          segment.gradient[channel] += totalOfLanes(order, channel, gradientSums, lanes)
          segment.product[channel] += totalOfLanes(order, channel, productSums, lanes)
        }
      }
      for (let channel = 0; channel < channelsPerGroup; channel++) {
        total.gradient[first + channel] += segment.gradient[channel]
        total.product[first + channel] += segment.product[channel]
      }
    }
  }
  takeRoundingOfMean(statistics, total)
  return total
}

/** Adds gradOutput and gradOutput * xhat of each column of a block, in float32, group by group of rows. */
function accumulate(
  gradOutput: Float32Array,
  x: Float32Array,
  { offset, rows, columns, stride }: Block,
  means: Float32Array,
  invstds: Float32Array,
  gradientSums: Float32Array,
  productSums: Float32Array,
): void {
  for (let row = 0; row < rows; row += ROWS_PER_GROUP) {
    const start = offset + row * stride
    const end = offset + Math.min(row + ROWS_PER_GROUP, rows) * stride
    for (let column = 0; column < columns; column++) {
      const mean = means[column]
      const invstd = invstds[column]
      let gradientSum = 0
      let productSum = 0
      for (let index = start + column; index < end; index += stride) {
        const gradient = gradOutput[index]
        const normalized = Math.fround(Math.fround(x[index] - mean) * invstd)
        gradientSum = Math.fround(gradientSum + gradient)
        productSum = Math.fround(productSum + Math.fround(gradient * normalized))
      }
      gradientSums[column] += gradientSum
      productSums[column] += productSum
    }
  }
}

/** The sums were taken around float32(mean); what the mean lost in rounding is put right here. */
function takeRoundingOfMean({ mean, invstd }: Statistics, sums: Sums): void {
  for (let channel = 0; channel < mean.length; channel++) {
    const lost = mean[channel] - Math.fround(mean[channel])
    sums.product[channel] -= lost * invstd[channel] * sums.gradient[channel]
  }
}

/**
 * `gradInput = ((gradOutput - offset) - (x - mean) * slope) * scale`, each operation rounded to
 * float32, with slope = invstd * gradWeight / n and offset = gradBias / n, less what the rounded
 * mean makes of the slope.
 */
function inputGradientOfTraining(
  gradOutput: Float32Array,
  x: Float32Array,
  extent: Extent,
  statistics: Statistics,
  scale: Float32Array,
  sums: Sums,
  gradInput: Float32Array,
): void {
  const { outer, channels, inner } = extent
  const count = outer * inner
  const mean = Float32Array.from(statistics.mean)
  const slope = new Float32Array(channels)
  const offset = new Float32Array(channels)
  for (let channel = 0; channel < channels; channel++) {
    const lost = statistics.mean[channel] - mean[channel]
    const exactSlope = (statistics.invstd[channel] * sums.product[channel]) / count
    slope[channel] = exactSlope
    offset[channel] = sums.gradient[channel] / count - lost * exactSlope
  }

  const means = overSample(extent, mean)
  const slopes = overSample(extent, slope)
  const offsets = overSample(extent, offset)
  const scales = overSample(extent, scale)
  let index = 0
  for (let sample = 0; sample < extent.outer; sample++) {
    for (let value = 0; value < means.length; value++, index++) {
      const direct = Math.fround(gradOutput[index] - offsets[value])
      const throughVariance = Math.fround(Math.fround(x[index] - means[value]) * slopes[value])
      gradInput[index] = Math.fround(direct - throughVariance) * scales[value]
    }
  }
}

function inputGradientOfEval(
  gradOutput: Float32Array,
  extent: Extent,
  scale: Float32Array,
  gradInput: Float32Array,
): void {
  const scales = overSample(extent, scale)
  let index = 0
  for (let sample = 0; sample < extent.outer; sample++) {
    for (let value = 0; value < scales.length; value++, index++) {
      gradInput[index] = gradOutput[index] * scales[value]
    }
  }
}
