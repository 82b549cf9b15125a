import { uniformInt } from 'pure-rand/distribution/uniformInt'
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator'

/** The indices 0 to count - 1 in an order drawn from `random` (Fisher and Yates). */
export function shuffledIndices(count: number, random: RandomGenerator): Int32Array {
  const indices = Int32Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last--) {
    const chosen = uniformInt(random, 0, last)
    const index = indices[last]
    indices[last] = indices[chosen]
    indices[chosen] = index
  }
  return indices
}
