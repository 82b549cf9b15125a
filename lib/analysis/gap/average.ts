/** What is known of the moving average without its values: from momentum and the number of updates alone. */
import type { Norm } from './norm.ts'

/**
 * The weight that the first values, a mean of 0 and a variance of 1, still have: (1 - momentum)^updates. 0 where nobody
 * knows the number of updates.
 */
export function firstWeight({ momentum, updates }: Norm): number {
  if (updates === null) return 0
  if (momentum === null) return updates === 0 ? 1 : 0
  return (1 - momentum) ** updates
}

/**
 * How noisy the average is: the sum of the squared weights of the batches in it, 1 for one batch, 1 / n for n that
 * count alike. With q the weight that is left on the first values it is m / (2 - m) * (1 + q) / (1 - q), a geometric
 * series. 0 where nobody knows.
 */
export function noiseFactor(norm: Norm): number {
  const { momentum, updates } = norm
  const first = firstWeight(norm)
  if (first === 1 || momentum === 0) return 0
  if (momentum === null) return updates === null ? 0 : 1 / updates
  return ((momentum / (2 - momentum)) * (1 + first)) / (1 - first)
}
