/** How far a folded layer is from what it replaces, measured on the user's own data. */

import { invalidShape } from '../checks/errors.ts'
import { optionNames } from '../checks/options.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { copyOf } from '../modules/copy.ts'
import { internals } from '../modules/internals.ts'
import { channelAxis } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'
import { type Float64Values, numbersOf, positionsOf } from './values.ts'

/** Options of what replaces layers, and can say how far the result is off. */
export interface ProbeOptions {
  /**
   * An input of what is replaced, on which the largest error is measured; of any type, with the channels where
   * the `layout` of the batch norm has them.
   */
  readonly probe?: FloatTensorLike
}

/** The names of `ProbeOptions`. */
export const probeOptions = optionNames<ProbeOptions>({ probe: true })

/** The probe that a caller gave, in float64. */
export function probeValues(probe: FloatTensorLike): Float64Values {
  return { data: Float64Array.from(numbersOf('probe', probe).numbers), shape: probe.shape }
}

/**
 * What the module's own forward gives as the module is now, in float64. It runs on a copy, so that nothing of
 * it is left. The axes of positions may be others than the module takes: no channel's result depends on them.
 */
export function normalized(module: AnyBatchNorm, { data, shape }: Float64Values): Float64Values {
  const { layout, numFeatures } = module
  const isLast = layout === 'channels-last'
  if (shape.length < 2 || shape[channelAxis(shape, layout)] !== numFeatures) {
    throw invalidShape('probe', isLast ? `[N, ..., ${numFeatures}]` : `[N, ${numFeatures}, ...]`, shape)
  }
  // gamma as it is: softplus in float64 would give another one.
  const copy = copyOf(module, { dtype: 'float64', positiveScale: false })
  const positions = [positionsOf(shape, layout), ...Array<number>(module[internals].rank() - 3).fill(1)]
  const taken = isLast ? [shape[0], ...positions, numFeatures] : [shape[0], numFeatures, ...positions]
  return { data: copy.forward(new Tensor(data, taken)).data, shape }
}

/** `max |actual - expected|`; NaN where one of them is. */
export function largestDifference(actual: Float64Values, expected: Float64Values): number {
  let largest = 0
  for (let at = 0; at < actual.data.length; at++) {
    const difference = Math.abs(actual.data[at] - expected.data[at])
    if (!(difference <= largest)) largest = difference
  }
  return largest
}
