import { invalidType, invalidValue } from '../../checks/errors.ts'
import type { Layout } from '../../tensor/shape.ts'

/**
 * Where the channel stands, for an axis that counts from the front, or from the back if negative.
 *
 * @param axis - a number, or an array of one, as Keras 2 wrote it into its files
 * @param rank - how many axes the input has, if it is known: then the last one may be called by its number
 * @throws RangeError for an axis that is neither the one after the samples nor the last
 */
export function layoutOf(axis: number | readonly number[], rank: number | undefined): Layout {
  const one = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis
  if (!Number.isInteger(one)) throw invalidType('axis', 'an integer', axis)
  const fromFront = one < 0 && rank !== undefined ? one + rank : one
  if (fromFront === 1) return 'channels-first'
  if (fromFront === -1 || fromFront + 1 === rank) return 'channels-last'
  const fix =
    rank === undefined
      ? 'is it the last one? Then give axis: -1, or the option rank'
      : 'transpose the input, so that the channel is the second axis or the last'
  throw invalidValue('axis', '1, after the samples, or -1, the last,', axis, fix)
}

/** The axis of the channel. */
export function axisOf(layout: Layout): 1 | -1 {
  return layout === 'channels-last' ? -1 : 1
}
