import type { GradientSums } from '../backend/backend.ts'
import { allReduceSum, type Steps } from '../modules/methods/steps.ts'
import type { Collective } from './collective.ts'

/** The sums of all ranks, in one collective. */
export function* sumOverRanks(collective: Collective, key: string, own: GradientSums): Steps<GradientSums> {
  const { length } = own.gradient
  const values = new Float64Array(2 * length)
  values.set(own.gradient)
  values.set(own.product, length)
  yield* allReduceSum(collective, values, key)
  return { gradient: values.subarray(0, length), product: values.subarray(length) }
}
