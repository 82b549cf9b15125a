import { invalidType } from '../checks/errors.ts'
import { nonNegative } from '../checks/scalars.ts'

/** What a parameter says to an optimizer; both are taken for `true` where they are not told. */
export interface Trainable {
  /** Whether weight decay is meant for it. */
  readonly decay?: boolean
  /** Whether it is trained at all. */
  readonly requiresGrad?: boolean
}

/** Parameters that an optimizer treats alike. */
export interface ParameterGroup<P> {
  /** Those of the group, in the order in which they came. */
  readonly parameters: P[]
  /** What an optimizer multiplies them by and adds to their gradients; 0 for none. */
  readonly weightDecay: number
}

/**
 * Sorts parameters, of batch norms and of anything else, into those with weight decay and those without
 * it, as optimizers take them. What is not trained is left out, and so is a group without parameters.
 *
 * ```ts
 * const groups = parameterGroups([linear, ...bn.parameters()], 1e-4)
 * for (const { parameters, weightDecay } of groups) sgd(parameters, { weightDecay })
 * ```
 *
 * https://pytorch.org/docs/stable/optim.html#per-parameter-options
 *
 * @param parameters - anything; of a `Trainable` it is read what it says
 * @param weightDecay - of the parameters that are decayed
 * @throws TypeError or RangeError for a `weightDecay` that is not a number of at least 0; TypeError for parameters
 * that are no objects
 */
export function parameterGroups<P extends object>(
  parameters: Iterable<P>,
  weightDecay: number,
): ParameterGroup<P>[] {
  nonNegative('weightDecay', weightDecay)
  const isObject = typeof parameters === 'object' && parameters !== null && !ArrayBuffer.isView(parameters)
  if (!isObject || !(Symbol.iterator in parameters)) {
    throw invalidType('parameters', 'an iterable of parameters', parameters)
  }
  const all = Array.from(parameters, (parameter, index) => {
    if (typeof parameter === 'object' && parameter !== null) return parameter
    throw invalidType(`parameters[${index}]`, 'a parameter', parameter)
  })
  const isTrained = ({ requiresGrad = true }: Trainable) => requiresGrad
  const isDecayed = ({ decay = true }: Trainable) => decay
  const trained = all.filter(isTrained)
  return [
    { parameters: trained.filter(isDecayed), weightDecay },
    { parameters: trained.filter((parameter) => !isDecayed(parameter)), weightDecay: 0 },
  ].filter((group) => group.parameters.length > 0)
}
