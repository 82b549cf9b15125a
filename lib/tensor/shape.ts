/** Shapes: how many elements they have, and how any of them becomes `(outer, channels, inner)`. */
import type { Extent } from '../backend/backend.ts'
import { invalidType, invalidValue } from '../checks/errors.ts'

/** The size of each axis, the first one outermost; `[]` for a single value. */
export type Shape = readonly number[]

/** The most axes that a shape has, as NumPy's: what walks them takes time with their square. */
export const mostAxes = 64

/** Where the channel stands: right after the samples, `[N, C, L]`, or last, `[N, L, C]`. */
export type Layout = 'channels-first' | 'channels-last'

export const layouts: readonly Layout[] = ['channels-first', 'channels-last']

/**
 * How many elements the shape of `owner` has: the product of its sizes, 1 for `[]`.
 *
 * @throws TypeError for what is not an array; RangeError for too many axes, and a size that is not a non-negative integer.
 */
export function elementCount(owner: string, shape: Shape): number {
  if (!Array.isArray(shape)) throw invalidType(`${owner}.shape`, 'an array of sizes', shape)
  if (shape.length > mostAxes) {
    throw invalidValue(
      `${owner}.shape`,
      `an array of at most ${mostAxes} sizes`,
      `one of length ${shape.length}`,
    )
  }
  let count = 1
  for (let axis = 0; axis < shape.length; axis++) {
    if (!(Number.isInteger(shape[axis]) && shape[axis] >= 0)) {
      throw invalidValue(`${owner}.shape`, 'an array of non-negative integers', shape)
    }
    count *= shape[axis]
  }
  return count
}

/** The product of sizes, 1 for none. */
export function product(sizes: Shape): number {
  return sizes.reduce((count, size) => count * size, 1)
}

export function channelAxis(shape: Shape, layout: Layout): number {
  return layout === 'channels-last' ? shape.length - 1 : 1
}

/** The sizes before the channel, of the channel and after it: `[N, C, L]` is `(N, C, L)`, `[N, L, C]` is `(N L, C, 1)`. */
export function extentOf(shape: Shape, layout: Layout): Extent {
  const axis = channelAxis(shape, layout)
  let outer = 1
  let inner = 1
  for (let before = 0; before < axis; before++) outer *= shape[before]
  for (let after = axis + 1; after < shape.length; after++) inner *= shape[after]
  return { outer, channels: shape[axis], inner }
}

/** How many values each channel has. */
export function valuesPerChannel({ outer, inner }: Extent): number {
  return outer * inner
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false
  return true
}
