import { InvalidArgumentError } from 'commander'
import type { Shape } from '../../lib/tensor/shape.ts'

/** Larger arrays are not made by all versions of Node.js, and there are three of them. */
const mostBytes = 2 ** 31

export function elementsOf(shape: Shape): number {
  return shape.reduce((count, size) => count * size, 1)
}

/** Of one float32 array. */
export function bytesOf(shape: Shape): number {
  return elementsOf(shape) * Float32Array.BYTES_PER_ELEMENT
}

/** `(4096, 256)` */
export function nameOf(shape: Shape): string {
  return `(${shape.join(', ')})`
}

/** For an option of the command line, once for each shape: `4096,256`, `32,64,1024`. */
export function collectShape(text: string, previous: readonly Shape[] = []): Shape[] {
  const shape = text.split(',').map(Number)
  const fits = shape.length === 2 || shape.length === 3
  if (!fits || !shape.every((size) => Number.isInteger(size) && size > 0) || shape[0] * (shape[2] ?? 1) < 2) {
    throw new InvalidArgumentError(
      'Expected N,C or N,C,L with two values a channel or more, such as 4096,256.',
    )
  }
  if (bytesOf(shape) > mostBytes) throw new InvalidArgumentError('Expected a shape of at most 2 GiB.')
  return [...previous, shape]
}
