import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import type { ForwardOptions } from '../modules/forward.ts'

/**
 * For what takes the moments of all values of an input.
 *
 * @param done - what is done with the module meanwhile: `recalibrated`
 * @throws TypeError for a forward in which not all values count alike
 */
export function assertAllCount(
  module: AnyBatchNorm,
  { mask, lengths, weights }: ForwardOptions,
  done: string,
): void {
  if (mask === undefined && lengths === undefined && weights === undefined) return
  throw new TypeError(
    `Expected forward(input) of ${module} without mask, lengths and weights while it is ${done}, where ` +
      `all values count alike, but received one of them (have it ${done} with the values that count)`,
  )
}
