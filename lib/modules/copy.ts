import type { ParameterType } from '../tensor/data-type.ts'
import type { AnyBatchNorm } from './batch-norm.ts'
import type { BatchNorm1d } from './batch-norm-1d.ts'
import type { BatchNormOptions } from './options.ts'

/**
 * A module of the same class, options, mode and state.
 *
 * @param changes - options that it has otherwise; what they leave no place for is left out of the state
 */
export function copyOf<Module extends AnyBatchNorm>(
  module: Module,
  changes: Pick<BatchNormOptions<ParameterType>, 'scale' | 'positiveScale' | 'dtype'> = {},
): Module {
  const { numFeatures, options } = module
  const Class = module.constructor as new (...call: ConstructorParameters<typeof BatchNorm1d>) => Module
  const copy = new Class(numFeatures, { ...options, ...changes } as BatchNormOptions)
  return likewise(module, copy, { strict: false })
}

/**
 * Gives a module mode, state and freezing of another.
 *
 * @param options - `strict`: whether both have to have the same state, default true
 */
export function likewise<Module extends AnyBatchNorm>(
  from: AnyBatchNorm,
  to: Module,
  options?: { strict: boolean },
): Module {
  to.train(from.training).loadStateDict(from.stateDict(), options)
  return from.frozen ? to.freeze() : to
}
