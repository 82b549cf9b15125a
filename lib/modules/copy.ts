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
  const { numFeatures, options, training, frozen } = module
  const Class = module.constructor as new (...call: ConstructorParameters<typeof BatchNorm1d>) => Module
  const copy = new Class(numFeatures, { ...options, ...changes } as BatchNormOptions).train(training)
  copy.loadStateDict(module.stateDict(), { strict: false })
  return frozen ? copy.freeze() : copy
}
