import type { ParameterType } from '../tensor/data-type.ts'
import type { AnyBatchNorm } from './batch-norm.ts'
import type { BatchNorm1d } from './batch-norm-1d.ts'
import type { BatchNormOptions } from './options.ts'
import type { State } from './state-dict.ts'

/** What a copy has otherwise. */
interface Changes extends Pick<BatchNormOptions<ParameterType>, 'scale' | 'positiveScale' | 'dtype'> {
  readonly numFeatures?: number
}

/** How the state of another module is taken. */
interface Taken {
  /** Whether both have to have the same keys. Default true. */
  readonly strict?: boolean
  /** Default: that of the other. */
  readonly state?: State
}

/**
 * A module of the same class, options, mode and state.
 *
 * @param changes - what it has otherwise; what they leave no place for is left out of the state
 * @param state - default: the module's own
 */
export function copyOf<Module extends AnyBatchNorm>(
  module: Module,
  { numFeatures = module.numFeatures, ...changes }: Changes = {},
  state?: State,
): Module {
  const Class = module.constructor as new (...call: ConstructorParameters<typeof BatchNorm1d>) => Module
  const copy = new Class(numFeatures, { ...module.options, ...changes } as BatchNormOptions)
  return likewise(module, copy, { strict: false, state })
}

/** Gives a module mode and state of another, and what of its parameters is set: whether they are trained and decay. */
export function likewise<Module extends AnyBatchNorm>(
  from: AnyBatchNorm,
  to: Module,
  { strict = true, state = from.stateDict() }: Taken = {},
): Module {
  to.train(from.training).loadStateDict(state, { strict })
  const parameters = new Map(from.namedParameters())
  for (const [name, parameter] of to.namedParameters()) {
    const given = parameters.get(name)
    if (given === undefined) continue
    parameter.decay = given.decay
    // A frozen module does not tell which were trained; its options say it of both.
    if (!from.frozen) parameter.requiresGrad = given.requiresGrad
  }
  return from.frozen ? to.freeze() : to
}
