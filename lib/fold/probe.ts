/** How far a folded layer is from what it replaces, measured on the user's own data. */

import { optionNames } from '../checks/options.ts'
import type { TensorLike } from '../checks/tensors.ts'
import { elementCount } from '../tensor/shape.ts'
import type { Float64Values } from './layer.ts'

export interface ProbeOptions {
  /** An input of what is replaced; on it the largest error is measured. */
  readonly probe?: TensorLike
}

/** The names of `ProbeOptions`. */
export const probeOptions = optionNames<ProbeOptions>({ probe: true })

/** Applies `change` to every value of `[N, C, ...]`. */
export function mapChannels(
  { data, shape }: Float64Values,
  change: (value: number, channel: number) => number,
): Float64Values {
  const channels = shape[1]
  const positions = elementCount('probe', shape.slice(2))
  return { data: data.map((value, at) => change(value, Math.floor(at / positions) % channels)), shape }
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
