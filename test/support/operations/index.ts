/** Every operation of a backend on one input, for comparing backends with each other. */
import type { Backend, Extent, Values } from '../../../lib/backend/backend.ts'
import { type HalfType, widened } from '../../../lib/tensor/half.ts'
import { difference, type FloatArray } from '../bits.ts'
import { guardsHold } from '../guarded.ts'
import { backwardOperations } from './backward.ts'
import { forwardOperations } from './forward.ts'
import type { Inputs, Operation } from './inputs.ts'

export { type Inputs, inputsOf, type Recipe } from './inputs.ts'

const operations: Readonly<Record<string, Operation>> = { ...forwardOperations, ...backwardOperations }

/** The names of all operations and their variants. */
export const operationNames: readonly string[] = Object.keys(operations)

/** Names what `actual` does otherwise than `expected`, both the answers of `everyResult`. */
export function differences(
  actual: Readonly<Record<string, FloatArray>>,
  expected: Readonly<Record<string, FloatArray>>,
): string[] {
  return Object.keys(expected).flatMap((name) => {
    const found = difference(actual[name], expected[name])
    return found === null ? [] : [`${name}: ${found}`]
  })
}

/**
 * The results of the operations that are named, keyed by operation and array; halves are widened, so
 * that one NaN is as good as another.
 * Throws when an operation wrote outside of its outputs or changed an input.
 */
export function everyResult(
  backend: Backend,
  inputs: Inputs,
  names: readonly string[],
): Record<string, FloatArray> {
  const { x, gradOutput, weight, bias, residual, activated, extent } = inputs
  const read = { x, gradOutput, weight, bias, residual, activated }
  const before = Object.entries(read).map(([name, array]) => [name, array, array.slice()] as const)
  const results: Record<string, FloatArray> = {}
  for (const name of names) {
    for (const [key, array] of Object.entries(operations[name](backend, inputs))) {
      if (!guardsHold(array)) throw new Error(`${name} wrote outside of ${key}`)
      results[`${name}: ${key}`] = floatsOf(array, extent)
    }
  }
  for (const [name, array, copy] of before) {
    const changed = difference(floatsOf(array, extent), floatsOf(copy, extent))
    if (changed !== null) throw new Error(`${name} has changed: ${changed}`)
  }
  return results
}

function floatsOf(values: Values, { half }: Extent): FloatArray {
  return values instanceof Uint16Array ? widened(values, half as HalfType) : values
}
