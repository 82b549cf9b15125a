import type { Values } from '../backend/backend.ts'
import { assertWritable, overlap } from '../checks/in-flight.ts'
import { type FloatVector, outArray } from '../checks/tensors.ts'
import type { Pass } from './pass.ts'
import type { ReusedMemory } from './reused-memory.ts'

/** Where a result goes: `out` if it fits, the module's own memory, or a new array. */
export function resultArray(
  out: FloatVector | undefined,
  { shape, type, input }: Pass,
  reused: ReusedMemory | null,
): Values {
  if (out === undefined && reused !== null) return reused.arrayFor(input.length, type)
  return outArray(out, shape, input.length, type)
}

/** A module's own memory is not written while a call works on it, nor where it holds what this call reads. */
export function assertReusable(memory: Values, read: Readonly<Record<string, Values | null>>): void {
  assertWritable('the result of a module with reuse: true', memory)
  for (const [name, array] of Object.entries(read)) {
    if (array === null || !overlap(memory, array)) continue
    throw new TypeError(
      `Expected ${name} to lie elsewhere than the result, with reuse: true, but received the last result of this ` +
        'module (copy it, or give an out)',
    )
  }
}
