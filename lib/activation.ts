import type { Activation } from './backend/backend.ts'
import { contradiction, describe } from './errors.ts'
import { nonNegative, oneOf } from './validate.ts'

/** The activations that can follow a batch norm in the same pass over memory. */
export type ActivationName = Activation['name']

const names: readonly ActivationName[] = ['relu', 'leakyRelu']

/**
 * An activation with its slope; `null` for none.
 *
 * @param negativeSlope - of leakyRelu; 0.01, PyTorch's, unless told
 * @throws TypeError or RangeError for what is not one, and for a slope without leakyRelu
 */
export function activationOf(
  name: ActivationName | null | undefined,
  negativeSlope: number | undefined,
): Activation | null {
  const known = name === null || name === undefined ? null : oneOf('activation', name, names)
  if (negativeSlope !== undefined) nonNegative('negativeSlope', negativeSlope)
  if (known !== 'leakyRelu' && negativeSlope !== undefined) {
    throw contradiction(`activation: ${describe(known)}`, 'negativeSlope')
  }
  return known && { name: known, negativeSlope: negativeSlope ?? 0.01 }
}
