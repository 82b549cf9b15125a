/** How large the terms are that make a double backward: what its roundings are measured by. */
import type { Extent } from '../../lib/backend/backend.ts'
import { channelOf } from './exact.ts'

/** What a double backward is made of; what is not asked for is `undefined`. */
export interface SecondGradientTerms {
  readonly x: ArrayLike<number>
  readonly gradOutput: ArrayLike<number>
  /** u, v and w: what is asked of gradInput, gradWeight and gradBias. */
  readonly u: ArrayLike<number> | undefined
  readonly v: ArrayLike<number> | undefined
  readonly w: ArrayLike<number> | undefined
  readonly weight: ArrayLike<number> | undefined
  readonly mean: Float64Array
  readonly invstd: Float64Array
  readonly extent: Extent
  readonly training: boolean
}

type Magnitude = (index: number) => number

/**
 * The formulas of `functional.batchNormDoubleBackward` with every term positive, and xhat as
 * `(|x| + |mean|) * invstd`, since the difference errs with what it is made of.
 */
export function secondGradientMagnitudes(
  terms: SecondGradientTerms,
): Record<'gradInput' | 'gradWeight' | 'gradGradOutput', Magnitude> {
  const { x, gradOutput, mean, invstd, extent, training } = terms
  const count = extent.outer * extent.inner
  const normalized = (index: number, channel: number) =>
    (Math.abs(x[index]) + Math.abs(mean[channel])) * invstd[channel]
  const average = (term: (index: number, channel: number) => number) => {
    const averages = new Float64Array(extent.channels)
    for (let index = 0; index < x.length; index++) {
      const channel = channelOf(index, extent)
      averages[channel] += term(index, channel) / count
    }
    return averages
  }
  const g = (index: number) => Math.abs(gradOutput[index])
  const u = (index: number) => Math.abs(terms.u?.[index] ?? 0)
  const scale = (channel: number) => Math.abs(terms.weight?.[channel] ?? 1) * invstd[channel]
  // In eval nothing goes through the statistics.
  const meanG = average((index) => (training ? g(index) : 0))
  const meanU = average((index) => (training ? u(index) : 0))
  const a = average((index, channel) => (training ? u(index) * normalized(index, channel) : 0))
  const b = average((index, channel) => (training ? g(index) * normalized(index, channel) : 0))
  const c = average((index, channel) => u(index) * (g(index) + meanG[channel]))
  const k = a.map((value, channel) => Math.abs(terms.v?.[channel] ?? 0) + scale(channel) * value)
  const r = k.map((value, channel) => {
    const throughScale = training ? scale(channel) * (c[channel] + 2 * a[channel] * b[channel]) : 0
    return value * b[channel] + throughScale
  })
  return {
    gradInput: (index) => {
      const channel = channelOf(index, extent)
      const direct = k[channel] * (g(index) + meanG[channel])
      const throughMean = scale(channel) * b[channel] * (u(index) + meanU[channel])
      return invstd[channel] * (direct + throughMean + r[channel] * normalized(index, channel))
    },
    gradWeight: (channel) => count * invstd[channel] * (c[channel] + a[channel] * b[channel]),
    gradGradOutput: (index) => {
      const channel = channelOf(index, extent)
      const throughScale = scale(channel) * (u(index) + meanU[channel])
      return throughScale + k[channel] * normalized(index, channel) + Math.abs(terms.w?.[channel] ?? 0)
    },
  }
}
