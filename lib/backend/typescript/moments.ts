import type { ChannelMoments } from '../backend.ts'

/**
 * Merges `from` into `into`: with delta = mean_b - mean_a and n = n_a + n_b,
 *
 *     mean = mean_a + delta * (n_b / n)
 *     M2   = M2_a + M2_b + delta^2 * (n_a * n_b / n)
 *
 * Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
 * Variances", Stanford STAN-CS-79-773, 1979. An empty side changes nothing. Where `into` keeps what its
 * mean loses in rounding, that takes part.
 */
export function merge(into: ChannelMoments, from: ChannelMoments): void {
  if (from.count === 0) return
  if (into.count === 0) {
    into.mean.set(from.mean)
    into.m2.set(from.m2)
    if (from.meanLow) into.meanLow?.set(from.meanLow)
    else into.meanLow?.fill(0)
    into.count = from.count
    return
  }
  const count = into.count + from.count
  const share = from.count / count
  const weight = into.count * share
  for (let channel = 0; channel < into.mean.length; channel++) {
    let delta = from.mean[channel] - into.mean[channel]
    if (into.meanLow) {
      delta += (from.meanLow ? from.meanLow[channel] : 0) - into.meanLow[channel]
      setMean(into, channel, into.mean[channel], into.meanLow[channel] + delta * share)
    } else {
      into.mean[channel] += delta * share
    }
    into.m2[channel] = into.m2[channel] + from.m2[channel] + delta * delta * weight
  }
  into.count = count
}

/** Writes the sum of two numbers as a mean and, where it is kept, what it loses in rounding (Knuth's TwoSum). */
export function setMean({ mean, meanLow }: ChannelMoments, channel: number, a: number, b: number): void {
  const sum = a + b
  mean[channel] = sum
  if (meanLow) {
    const ofB = sum - a
    meanLow[channel] = a - (sum - ofB) + (b - ofB)
  }
}
