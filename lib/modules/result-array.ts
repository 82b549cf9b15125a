import type { Values } from '../backend/backend.ts'
import { assertWritable, meet } from '../in-flight.ts'
import { assertApart, assertSameOrApart, type FloatVector, outArray } from '../validate.ts'
import type { Channels } from './channels.ts'
import type { Pass } from './pass.ts'
import type { ReusedMemory } from './reused-memory.ts'

/** Where a result goes: `out` if it fits and is safe to write, the module's own memory, or a new array. */
export function resultArray(
  out: FloatVector | undefined,
  { shape, type }: Pass,
  readName: string,
  read: Values,
  { arrays }: Channels,
  reused: ReusedMemory | null,
): Values {
  if (out === undefined && reused !== null) return reused.arrayFor(read.length, type)
  const array = outArray(out, shape, read.length, type)
  if (out === undefined) return array
  assertSameOrApart('out', array, readName, read)
  assertApart('out', array, arrays)
  return array
}

/** A module's own memory is not written while a call works on it, nor where it holds what this call reads. */
export function assertReusable(memory: Values, read: Readonly<Record<string, Values | null>>): void {
  assertWritable('the result of a module with reuse: true', memory)
  for (const name in read) {
    const array = read[name]
    if (array === null || !meet(memory, array)) continue
    throw new TypeError(
      `Expected ${name} to lie elsewhere than the result, with reuse: true, but received the last result of this ` +
        'module (copy it, or give an out)',
    )
  }
}
