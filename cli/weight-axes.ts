import type { Shape } from '../lib/tensor/shape.ts'
import { Failure } from './failure.ts'

/** A layer before a batch norm, as a file has it. */
export interface StoredLayer {
  readonly prefix: string
  /** The key of its weight. */
  readonly key: string
  readonly shape: Shape
  readonly batchNorm: string
  readonly numFeatures: number
}

/**
 * Which way round a weight lies: `[out, in / groups, ...kernel]`, or that of a transposed convolution, `[in, out /
 * groups, ...kernel]`. No file tells. A square shape, which may be either, has to be said. A transposed convolution
 * with groups has to be named: its shape is also that of the most usual convolutions, from few channels to many.
 *
 * @param transposed - the layers that are transposed convolutions; `undefined`: nobody said
 * @throws Failure for a shape that does not fit, and for one that does not tell
 */
export function weightAxesOf(
  { prefix, key, shape, batchNorm, numFeatures }: StoredLayer,
  transposed: readonly string[] | undefined,
): { readonly transposed: boolean; readonly groups: number } {
  const [first, second] = shape
  const groups = numFeatures / second
  const isPlain = shape.length >= 2 && shape.length <= 5 && first === numFeatures
  const isTransposed =
    shape.length >= 3 && shape.length <= 5 && Number.isInteger(groups) && first % groups === 0
  const isNamed = transposed?.includes(prefix) ?? false
  const wrong = (axes: string, fix = '') =>
    new Failure(
      `Expected ${key} of shape ${axes}, for the ${numFeatures} features of ${batchNorm}, but received ` +
        `[${shape.join(', ')}]${fix}`,
    )
  if (isNamed) {
    if (isTransposed) return { transposed: true, groups }
    throw wrong(`[in, ${numFeatures} / groups, ...kernel], that of a transposed convolution`)
  }
  if (!isPlain) {
    const fix = ` (is it a transposed convolution? Then say --transposed ${prefix})`
    throw wrong(`[${numFeatures}, in, ...]`, isTransposed ? fix : '')
  }
  // With one channel alone both ways are the same.
  if (transposed === undefined && isTransposed && groups === 1 && second > 1) {
    throw new Failure(
      `Expected to be told what ${prefix} is but received nothing: ${key} of shape [${shape.join(', ')}] may be a ` +
        'convolution or a transposed one, whose weight lies the other way round, and the file does not tell ' +
        `(say --transposed ${prefix}, or --none-transposed if all layers are convolutions)`,
    )
  }
  return { transposed: false, groups: 1 }
}
