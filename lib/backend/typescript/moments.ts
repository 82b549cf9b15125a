import type { Moments } from '../backend.ts'

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
export function merge(into: Moments, from: Moments): void {
  if (from.count === 0) return
  if (into.count === 0) {
    into.mean.set(from.mean)
    into.m2.set(from.m2)
    if (from.lost) into.lost?.set(from.lost)
    else into.lost?.fill(0)
    into.count = from.count
    return
  }
  const count = into.count + from.count
  const share = from.count / count
  const weight = into.count * share
  for (let channel = 0; channel < into.mean.length; channel++) {
    let delta = from.mean[channel] - into.mean[channel]
    if (into.lost) {
      delta += (from.lost ? from.lost[channel] : 0) - into.lost[channel]
      setMean(into, channel, into.mean[channel], into.lost[channel] + delta * share)
    } else {
      into.mean[channel] += delta * share
    }
    into.m2[channel] = into.m2[channel] + from.m2[channel] + delta * delta * weight
  }
  into.count = count
}

/** Writes the sum of two numbers as a mean and, where it is kept, what it loses in rounding (Knuth's TwoSum). */
export function setMean({ mean, lost }: Moments, channel: number, a: number, b: number): void {
  const sum = a + b
  mean[channel] = sum
  if (lost) {
    const ofB = sum - a
    lost[channel] = a - (sum - ofB) + (b - ofB)
  }
}

/** Moments that keep what their mean loses. */
export type KeepingMoments = Moments & { readonly lost: Float64Array }

/** Moments of no values yet. */
export function emptyMoments(channels: number): KeepingMoments {
  const array = () => new Float64Array(channels)
  return { count: 0, mean: array(), m2: array(), lost: array() }
}
