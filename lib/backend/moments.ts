/** Room for the statistics of channels, and invstd, made of them. */
import type { ChannelMoments, ChannelNumbers } from './backend.ts'

/** ChannelMoments of no values yet, whose mean keeps its low part. */
export function emptyMoments(channels: number): Required<Omit<ChannelMoments, 'numbers'>> {
  const array = () => new Float64Array(channels)
  return { count: 0, mean: array(), m2: array(), meanLow: array() }
}

/** The numbers of a forward, in one array. */
export function channelNumbers(channels: number): ChannelNumbers {
  const whole = new Float64Array(4 * channels)
  const [mean, m2, meanLow, invstd] = [0, 1, 2, 3].map((part) =>
    whole.subarray(part * channels, (part + 1) * channels),
  )
  return { whole, mean, m2, meanLow, invstd }
}

/** `1 / sqrt(M2 / count + eps)` of each channel. */
export function invstdOfMoments(
  { count, m2 }: Pick<ChannelMoments, 'count' | 'm2'>,
  eps: number,
  invstd: Float64Array = new Float64Array(m2.length),
): Float64Array {
  for (let channel = 0; channel < m2.length; channel++) invstd[channel] = invstdOf(m2[channel], count, eps)
  return invstd
}

/** The same of one channel; 0 for a constant one with an eps of 0, as in PyTorch, so that its output is the bias. */
export function invstdOf(m2: number, count: number, eps: number): number {
  const variance = m2 / count + eps
  return variance === 0 ? 0 : 1 / Math.sqrt(variance)
}
