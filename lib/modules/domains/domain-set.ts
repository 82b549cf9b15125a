import { describe, invalidValue } from '../../checks/errors.ts'
import type { ParameterType, TensorData } from '../../tensor/data-type.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { AnyBatchNorm } from '../batch-norm.ts'
import { type Internals, internals } from '../internals.ts'
import type { Parameter } from '../parameter.ts'
import { completedState } from '../positive-scale.ts'
import type { State, StateValue } from '../state-dict.ts'
import { inDomain } from './in-domain.ts'
import type { DomainParameters } from './options.ts'

/** What is set of all domains at once. */
type Settable = 'eps' | 'momentum' | 'useBatchStats' | 'updateStats' | 'trainAffine' | 'training'

/** What may be shared, by its keys. */
const scaleAndShift: readonly string[] = ['weight', 'bias', 'raw_weight']

/** The batch norms of all domains, by their names, and what they have in common. */
export class DomainSet<Domain extends AnyBatchNorm> {
  /** What a new domain is like. Where they share scale and shift, it has those. */
  readonly template: Domain
  readonly #make: () => Domain
  readonly #areShared: boolean
  readonly #domains = new Map<string, Domain>()

  /** @param make - a batch norm with the options of the template, as it is now set */
  constructor(template: Domain, parameters: DomainParameters, make: () => Domain) {
    this.template = template
    this.#make = make
    this.#areShared = parameters === 'shared'
  }

  get names(): string[] {
    return [...this.#domains.keys()]
  }

  get modules(): Domain[] {
    return [...this.#domains.values()]
  }

  /** The scale and shift of all; `null` where each has its own. */
  get shared(): Domain | null {
    return this.#areShared ? this.template : null
  }

  /** @throws RangeError for a domain that is not there */
  get(argument: string, name: string): Domain {
    const domain = this.#domains.get(name)
    if (domain !== undefined) return domain
    throw invalidValue(argument, `among ${describe(this.names)}`, name, 'addDomain(name) adds one')
  }

  internals(name: string): Internals {
    return this.get('domain', name)[internals]
  }

  /** Adds a domain with statistics, and scale and shift, of `from`. */
  add(name: string, from: Domain | null): Domain {
    const domain = this.#make()
    if (this.#areShared) domain[internals].shareParameters(this.template[internals].channels())
    domain.train(this.template.training)
    if (from !== null) domain.loadStateDict(from.stateDict())
    if (this.template.frozen) domain.freeze()
    this.#domains.set(name, domain)
    return domain
  }

  remove(name: string): void {
    this.#domains.delete(name)
  }

  /** Does the same to the template and all domains; an error names the domain. */
  each(work: (module: Domain) => void): void {
    work(this.template)
    for (const [name, domain] of this.#domains) inDomain(name, () => work(domain))
  }

  /** Sets a property of all of them, or of none. */
  setAll<Name extends Settable>(name: Name, value: AnyBatchNorm[Name]): void {
    const before: [module: AnyBatchNorm, value: AnyBatchNorm[Name]][] = []
    try {
      this.each((module: AnyBatchNorm) => {
        const old = module[name]
        module[name] = value
        before.push([module, old])
      })
    } catch (error) {
      for (const [module, old] of before) module[name] = old
      throw error
    }
  }

  /** What is trained: the shared scale and shift, or those of each domain under its name. */
  parameters(): [name: string, parameter: Parameter<ParameterType>][] {
    if (this.#areShared) return this.template[internals].channels().parameters()
    return this.#below((domain) => domain.channels().parameters())
  }

  /** Everything that is learned: what is shared once, and what a domain has alone under its name. */
  state(): Map<string, Tensor<TensorData>> {
    const isOfDomain = ([key]: [string, unknown]) => !this.#areShared || !scaleAndShift.includes(key)
    const isShared = ([key]: [string, unknown]) => this.#areShared && scaleAndShift.includes(key)
    return new Map([
      ...this.template[internals].channels().state().filter(isShared),
      ...this.#below((domain) => domain.channels().state().filter(isOfDomain)),
    ])
  }

  /** A state dict with what follows from the rest of it where that is left out; see `Channels.completed`. */
  completed(state: State): State {
    const { positiveScale } = this.template[internals].channels()
    const isCompleted = this.#areShared && positiveScale !== null
    const all: Record<string, StateValue> = isCompleted
      ? { ...completedState(state, this.template.dtype) }
      : { ...state }
    for (const [name, domain] of this.#domains) {
      const channels = domain[internals].channels()
      const own = Object.fromEntries(
        Object.entries(state)
          .filter(([key]) => key.startsWith(`${name}.`))
          .map(([key, value]) => [key.slice(name.length + 1), value]),
      )
      const completed = inDomain(name, () =>
        this.#areShared ? channels.completedStatistics(own) : channels.completed(own),
      )
      for (const key of Object.keys(own)) delete all[`${name}.${key}`]
      for (const [key, value] of Object.entries(completed)) all[`${name}.${key}`] = value
    }
    return all
  }

  /** What each domain has, with its name before the keys. */
  #below<Value>(entriesOf: (domain: Internals) => [key: string, value: Value][]): [string, Value][] {
    return [...this.#domains].flatMap(([name, domain]) =>
      entriesOf(domain[internals]).map(([key, value]): [string, Value] => [`${name}.${key}`, value]),
    )
  }
}
