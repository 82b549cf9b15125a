import type { KernelActivation } from '../backend/backend.ts'
import { assertAgreeing } from '../checks/contradictions.ts'
import { nonNegative, oneOf } from '../checks/scalars.ts'

/** The activations that run in the same pass as the normalization. */
export type FusedActivation = KernelActivation['name']

/** What follows a normalization in the same pass over memory. */
export interface FusedActivationOptions {
  /**
   * `y = activation(bn(x) + residual)`: relu(z) is 0 where z < 0, leakyRelu(z) is `z * negativeSlope`
   * there, and both are z elsewhere. Default: nothing follows.
   */
  activation?: FusedActivation | null
  /** Of leakyRelu: what a negative number is multiplied by, at least 0. Default 0.01, PyTorch's. */
  negativeSlope?: number
}

const names: readonly FusedActivation[] = ['relu', 'leakyRelu']

/**
 * The activation that was asked for, `null` for none.
 *
 * @throws TypeError or RangeError for what is none, and for a slope of anything but leakyRelu
 */
export function fusedActivation({
  activation = null,
  negativeSlope,
}: FusedActivationOptions): KernelActivation | null {
  if (negativeSlope !== undefined) assertAgreeing({ activation, negativeSlope })
  if (activation === null) return null
  return {
    name: oneOf('activation', activation, names),
    negativeSlope: nonNegative('negativeSlope', negativeSlope ?? 0.01),
  }
}
