import type { FloatTensorLike } from '../checks/tensors.ts'
import { inputOf } from '../functional/arguments.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { type CountedOptions, countedOf } from '../modules/methods/counted.ts'
import { gathered } from '../modules/methods/masked.ts'
import { valuesPerChannel } from '../tensor/shape.ts'
import { Moments } from './moments.ts'

/** What counts of an input. */
export interface Seen {
  /** How many samples have a value that counts: the same in all layers of a network, whatever the positions. */
  readonly samples: number
  readonly moments: Moments
}

/** @throws TypeError or RangeError for an input, mask or lengths that do not fit */
export function seenOf(
  { numFeatures, layout }: AnyBatchNorm,
  input: FloatTensorLike,
  { mask, lengths }: Pick<CountedOptions, 'mask' | 'lengths'> = {},
): Seen {
  const { x, type, shape, extent } = inputOf('input', input, layout, numFeatures)
  const moments = new Moments(numFeatures, { layout })
  const { positions } = countedOf({ mask, lengths }, shape, layout)
  if (positions === null) return { samples: shape[0], moments: moments.update(input) }
  const data = gathered(x, extent, positions)
  moments.update({ data, shape: [positions.length, numFeatures], dtype: type })
  return { samples: samplesOf(positions, valuesPerChannel(extent) / shape[0]), moments }
}

/** How many samples these positions are of. */
function samplesOf(positions: Uint32Array, ofEach: number): number {
  let samples = 0
  let last = -1
  for (const position of positions) {
    const sample = Math.floor(position / ofEach)
    if (sample !== last) samples++
    last = sample
  }
  return samples
}
