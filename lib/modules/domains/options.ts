import { assertAgreeing } from '../../checks/contradictions.ts'
import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { oneOf } from '../../checks/scalars.ts'
import type { ParameterType } from '../../tensor/data-type.ts'
import type { ForwardOptions } from '../forward.ts'
import { type BatchNormOptions, moduleOptions } from '../options.ts'
import type { DomainChoice } from './domain-choice.ts'

/** Whose scale and shift are: one for all domains, or each domain's own. */
export type DomainParameters = 'shared' | 'own'

/** Options of a batch norm of several domains: those of each of its batch norms, and of the whole. */
export type DomainBatchNormOptions<
  Type extends ParameterType = 'float32',
  Scale extends boolean = boolean,
  Center extends boolean = boolean,
  RunningStats extends boolean = boolean,
  Sharing extends DomainParameters = DomainParameters,
> = BatchNormOptions<Type, Scale, Center, RunningStats> & {
  /** The names of the domains: not empty, without a dot. More come with `addDomain`. */
  domains: readonly string[]
  /**
   * Whether the domains have one scale and shift, or each its own, as the domain-specific batch normalization of
   * Chang et al. 2019. Default `'shared'`.
   */
  parameters?: Sharing
  /**
   * With whose running statistics in eval mode a domain is normalized that the module does not know. `null`, the
   * default: it is an error.
   */
  fallback?: string | null
}

/** Options of one `forward` of a batch norm of several domains. */
export interface DomainForwardOptions extends ForwardOptions {
  /** The domain of the batch, or that of each sample: names, or indices into `domains`. */
  domain: DomainChoice
}

/** Their names. */
export const domainForwardOptions = optionNames<DomainForwardOptions>({
  domain: true,
  out: true,
  residual: true,
  mask: true,
  lengths: true,
  weights: true,
})

const allOptions = new Set([...moduleOptions, 'domains', 'parameters', 'fallback'])

/** The options of the whole, checked, and those of its batch norms. */
export function splitOptions<Options extends DomainBatchNormOptions<ParameterType>>(options: Options) {
  if (typeof options !== 'object' || options === null) {
    throw invalidType('options', 'an object with domains', options, "as in { domains: ['photo', 'sketch'] }")
  }
  optionsObject(options, allOptions)
  // With what it has inherited.
  const all: Record<string, unknown> = {}
  for (const name in options) all[name] = options[name]
  const { domains, parameters = 'shared', fallback = null, ...others } = all as Options
  if (!Array.isArray(domains)) {
    throw invalidType('domains', 'an array of names', domains, "as in { domains: ['photo', 'sketch'] }")
  }
  const names: string[] = []
  for (const name of domains) names.push(newName('each of domains', name, names))
  oneOf('parameters', parameters, ['shared', 'own'])
  const { affine, scale = affine, center = affine, trackRunningStats } = others
  assertAgreeing({ affine, scale, center, trackRunningStats, parameters, fallback })
  if (fallback !== null) fallbackAmong(fallback, names)
  return { domains: names, parameters, fallback, others }
}

/** The name of a domain that is not there yet, as PyTorch wants that of a module: it begins keys of a state dict. */
export function newName(argument: string, name: string, others: readonly string[]): string {
  if (typeof name !== 'string') throw invalidType(argument, 'a name', name)
  if (name === '' || name.includes('.')) {
    const fix = 'it begins keys of the state dict: photo.running_mean'
    throw invalidValue(argument, 'a name that is not empty and has no dot', name, fix)
  }
  if (others.includes(name)) throw invalidValue(argument, 'a name of its own', name, 'there is one of it')
  return name
}

/** The name of a fallback that is there. */
export function fallbackAmong(fallback: string, names: readonly string[]): string {
  return oneOf('fallback', fallback, names)
}
