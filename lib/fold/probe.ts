/** How far a folded layer is from what it replaces, measured on the user's own data. */

import type { Values } from '../layers/layer.ts'
import { elementCount } from '../shape.ts'
import type { TensorLike } from '../validate.ts'

export interface ProbeOptions {
  /** An input of what is replaced; on it the largest error is measured. */
  readonly probe?: TensorLike
}

/** Applies `change` to every value of `[N, C, ...]`. */
export function mapChannels(
  { data, shape }: Values,
  change: (value: number, channel: number) => number,
): Values {
  const channels = shape[1]
  const positions = elementCount('probe', shape.slice(2))
  return { data: data.map((value, at) => change(value, Math.floor(at / positions) % channels)), shape }
}

/** `max |actual - expected|`; NaN where one of them is. */
export function largestDifference(actual: Values, expected: Values): number {
  let largest = 0
  for (let at = 0; at < actual.data.length; at++) {
    const difference = Math.abs(actual.data[at] - expected.data[at])
    if (!(difference <= largest)) largest = difference
  }
  return largest
}
