import type { Extent } from '../../backend/backend.ts'

/**
 * A tensor's shape seen as `(outer, channels, inner)` around the axis that is normalized: the
 * product of the sizes before it, its size, the product of the sizes after it. A negative axis
 * counts from the end.
 */
export function extentOf(shape: readonly number[], axis: number): Extent {
  const at = axis < 0 ? axis + shape.length : axis
  return { outer: product(shape.slice(0, at)), channels: shape[at], inner: product(shape.slice(at + 1)) }
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1)
}
