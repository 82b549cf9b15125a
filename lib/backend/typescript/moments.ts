import type { Moments } from '../backend.ts'

/**
 * Merges `from` into `into`: with delta = mean_b - mean_a and n = n_a + n_b,
 *
 *     mean = mean_a + delta * (n_b / n)
 *     M2   = M2_a + M2_b + delta^2 * (n_a * n_b / n)
 *
 * Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
 * Variances", Stanford STAN-CS-79-773, 1979. An empty side changes nothing.
 */
export function merge(into: Moments, from: Moments): void {
  if (from.count === 0) return
  if (into.count === 0) {
    into.mean.set(from.mean)
    into.m2.set(from.m2)
    into.count = from.count
    return
  }
  const count = into.count + from.count
  const share = from.count / count
  const weight = into.count * share
  for (let channel = 0; channel < into.mean.length; channel++) {
    const delta = from.mean[channel] - into.mean[channel]
    into.mean[channel] += delta * share
    into.m2[channel] = into.m2[channel] + from.m2[channel] + delta * delta * weight
  }
  into.count = count
}
