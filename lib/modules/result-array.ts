import type { Values } from '../backend/backend.ts'
import { assertApart, assertSameOrApart, type FloatVector, outArray } from '../validate.ts'
import type { Channels } from './channels.ts'
import type { Pass } from './pass.ts'

/** Where a result goes: a new array, or `out` if it fits and is safe to write. */
export function resultArray(
  out: FloatVector | undefined,
  { shape, type }: Pass,
  readName: string,
  read: Values,
  { arrays }: Channels,
): Values {
  const array = outArray(out, shape, read.length, type)
  if (out === undefined) return array
  assertSameOrApart('out', array, readName, read)
  assertApart('out', array, arrays)
  return array
}
