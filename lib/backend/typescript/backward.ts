import type { Activated, Extent, GradientSums, Gradients, PerChannel, Statistics } from '../backend.ts'
import { throughActivation } from './activation.ts'
import { arithmeticOf, type Floats } from './arithmetic.ts'
import { overSample, scaleOf } from './normalize.ts'
import { CHUNKS_PER_SEGMENT, orderOf, spreadOverColumns, totalOfLanes } from './order.ts'

/**
 * Gradients of `normalize` (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, section 3):
 *
 *     gradBias   = sum(gradZ)
 *     gradWeight = sum(gradZ * xhat)
 *     gradInput  = scale * (gradZ - gradBias / n - xhat * gradWeight / n)   in training
 *     gradInput  = scale * gradZ                                            in eval
 *
 * with scale = weight * invstd, and gradZ what an activation let through of gradOutput. The sums follow
 * the order of additions of `order.ts`.
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
    gradientSums(gradZ, x, extent, statistics, sums)
    gradients.weight?.set(sums.product)
    gradients.bias?.set(sums.gradient)
    if (training) {
      const count = extent.outer * extent.inner
      inputGradient(gradZ, x, extent, statistics, weight, sums, count, { input: gradients.input })
    }
  }
  if (!training && gradients.input) {
    const scale = overSample(extent, scaleOf(arithmetic, statistics, weight))
    arithmetic.evalGradient(gradZ, extent.outer, scale, gradients.input)
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
  const order = orderOf(extent)
  const { columns, channelsPerGroup } = order
  const { mean, lost } = arithmetic.roundedMean(statistics)
  const means = arithmetic.array(columns)
  const invstds = arithmetic.array(columns)
  const gradientColumns = arithmetic.array(columns)
  const productColumns = arithmetic.array(columns)
  const lanes = new Float64Array(order.lanesPerChannel)
  sums.gradient.fill(0)
  sums.product.fill(0)

  for (let group = 0; group < order.groups; group++) {
    const first = group * channelsPerGroup
    spreadOverColumns(order, mean, first, means)
    spreadOverColumns(order, statistics.invstd, first, invstds)
    for (let begin = 0; begin < order.chunks; begin += CHUNKS_PER_SEGMENT) {
      const segment: GradientSums = {
        gradient: new Float64Array(channelsPerGroup),
        product: new Float64Array(channelsPerGroup),
      }
      const end = Math.min(begin + CHUNKS_PER_SEGMENT, order.chunks)
      for (let chunk = begin; chunk < end; chunk++) {
        gradientColumns.fill(0)
        productColumns.fill(0)
        for (const block of order.blocks(group, chunk)) {
          arithmetic.accumulateGradients(gradZ, x, block, means, invstds, gradientColumns, productColumns)
        }
        for (let channel = 0; channel < channelsPerGroup; channel++) {
          segment.gradient[channel] += totalOfLanes(order, channel, gradientColumns, lanes)
          segment.product[channel] += totalOfLanes(order, channel, productColumns, lanes)
        }
      }
      for (let channel = 0; channel < channelsPerGroup; channel++) {
        sums.gradient[first + channel] += segment.gradient[channel]
        sums.product[first + channel] += segment.product[channel]
      }
    }
  }
  // They were taken around the rounded mean; what it lost is put right here.
  for (let channel = 0; channel < extent.channels; channel++) {
    sums.product[channel] -= lost[channel] * statistics.invstd[channel] * sums.gradient[channel]
  }
}

/**
 * `gradInput = ((gradZ - offset) - (x - mean) * slope) * scale`, each operation rounded to the type of
 * the values, with slope = invstd * gradWeight / n and offset = gradBias / n, less what the rounded mean
 * makes of the slope.
 */
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
    const { mean, lost } = arithmetic.roundedMean(statistics)
    const slope = sums.product.map((product, channel) => (statistics.invstd[channel] * product) / count)
    const offset = sums.gradient.map((sum, channel) => sum / count - lost[channel] * slope[channel])
    const by = {
      mean: overSample(extent, mean),
      slope: overSample(extent, arithmetic.from(slope)),
      offset: overSample(extent, arithmetic.from(offset)),
      scale: overSample(extent, scaleOf(arithmetic, statistics, weight)),
    }
    arithmetic.trainingGradient(gradZ, x, extent.outer, by, gradients.input)
  }
  if (activated) gradients.residual?.set(gradZ)
}
