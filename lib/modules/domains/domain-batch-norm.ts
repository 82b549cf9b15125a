import { describe, invalidType, invalidValue, quoted } from '../../checks/errors.ts'
import { refuseSetting } from '../../checks/fixed-properties.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { printable } from '../../checks/printable.ts'
import { type FloatInput, type FloatTensorLike, floatTensor, floatTypeOf } from '../../checks/tensors.ts'
import type { ResultData } from '../../functional/arguments.ts'
import type { ParameterType, TensorData } from '../../tensor/data-type.ts'
import type { Layout } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { type BackwardOptions, backwardOptions, noForward, severalForwards } from '../backward.ts'
import type { AnyBatchNorm, BatchNorm, Present } from '../batch-norm.ts'
import { fixedInDomains } from '../fixed.ts'
import type { ForwardOptions } from '../forward.ts'
import { domainModule, internals } from '../internals.ts'
import { Module } from '../module.ts'
import type { BatchNormOptions } from '../options.ts'
import type { Parameter } from '../parameter.ts'
import type { Pass } from '../pass.ts'
import { assertState, type LoadedKeys, type State } from '../state-dict.ts'
import { indicesOf } from './domain-choice.ts'
import { DomainSet } from './domain-set.ts'
import { assertDomains } from './domain-state.ts'
import { inDomain, inDomainAsync } from './in-domain.ts'
import { MixedBackward } from './mixed-backward.ts'
import { MixedForward, type Part } from './mixed-forward.ts'
import {
  type DomainBatchNormOptions,
  type DomainForwardOptions,
  type DomainParameters,
  domainForwardOptions,
  fallbackAmong,
  newName,
  splitOptions,
} from './options.ts'
import { Rows } from './rows.ts'

/** A forward that a `backward` may follow: of one domain, or of several. */
type LastForward = { readonly parts: readonly Pick<Part, 'name' | 'module' | 'input'>[] } | MixedForward

/** A batch of one domain, which is a call of its batch norm. */
interface OfOneDomain {
  readonly name: string
  readonly module: AnyBatchNorm
  readonly options: ForwardOptions
}

/**
 * Batch normalization of several domains: one set of running statistics for each, and one scale and shift for all or
 * for each. A domain is normalized as by a batch norm of its own (`domain(name)`), whether its samples come alone or
 * among others.
 * Chang et al. 2019, https://arxiv.org/abs/1906.03950
 */
export abstract class DomainBatchNorm<
  Domain extends BatchNorm<Type, Scale, Center, RunningStats>,
  Type extends ParameterType,
  Scale extends boolean,
  Center extends boolean,
  RunningStats extends boolean,
  Sharing extends DomainParameters,
> extends Module<Type> {
  readonly #set: DomainSet<AnyBatchNorm>
  readonly #parameters: DomainParameters
  #fallback: string | null
  /** Checks a batch of several domains, and has the memory of its results; it has no scale and shift, and stays in eval mode. */
  readonly #whole: AnyBatchNorm
  #last: LastForward | null = null
  /** How many asynchronous forwards are under way, and whether the last one to start was the only one. */
  #pending = 0
  #isAlone = true

  static {
    refuseSetting(DomainBatchNorm.prototype, 'module', fixedInDomains)
  }

  /** @param make - the batch norm of a domain */
  protected constructor(
    options: DomainBatchNormOptions<Type, Scale, Center, RunningStats, Sharing>,
    make: (options: BatchNormOptions<Type, Scale, Center, RunningStats>) => Domain,
  ) {
    super()
    const { domains, parameters, fallback, others } = splitOptions(options)
    const template: AnyBatchNorm = make(others)
    const makeAny = (given: AnyBatchNorm['options']): AnyBatchNorm => make(given as typeof others)
    const { layout, dtype, reuse } = template.options
    this.#whole = makeAny({ affine: false, layout, dtype, reuse }).eval()
    this.#set = new DomainSet(template, parameters, () => makeAny(template.options))
    this.#parameters = parameters
    this.#fallback = fallback
    for (const name of domains) this.#set.add(name, null)
  }

  /** @internal */
  get [domainModule](): true {
    return true
  }

  /** The names of the domains, in the order of their indices. */
  get domains(): string[] {
    return this.#set.names
  }

  /** With whose running statistics in eval mode an unknown domain is normalized; `null`: it is an error. */
  get fallback(): string | null {
    return this.#fallback
  }

  set fallback(fallback: string | null) {
    this.#fallback = fallback === null ? null : fallbackAmong(fallback, this.domains)
  }

  /** The type of parameters and running statistics. */
  get dtype(): Type {
    return this.#set.template.dtype as Type
  }

  /** Where the channel stands in the shape of an input. */
  get layout(): Layout {
    return this.#set.template.layout
  }

  /** C, the number of channels. */
  get numFeatures(): number {
    return this.#set.template.numFeatures
  }

  /** gamma of all domains; `null` without `scale`, and where each domain has its own. */
  get weight(): Sharing extends 'shared' ? Present<Scale, Parameter<Type>> : null {
    return (this.#set.shared?.weight ?? null) as never
  }

  /** What is trained in place of `weight` with `positiveScale`; otherwise `null`. */
  get rawWeight(): Parameter<Type> | null {
    return (this.#set.shared?.rawWeight ?? null) as Parameter<Type> | null
  }

  /** beta of all domains; `null` without `center`, and where each domain has its own. */
  get bias(): Sharing extends 'shared' ? Present<Center, Parameter<Type>> : null {
    return (this.#set.shared?.bias ?? null) as never
  }

  /** Added to the variance before its square root: setting it sets that of all domains. */
  get eps(): number {
    return this.#set.template.eps
  }

  set eps(eps: number) {
    this.#set.setAll('eps', eps)
  }

  /** The weight of the new statistic, `null` for the average over all batches: setting it sets that of all domains. */
  get momentum(): number | null {
    return this.#set.template.momentum
  }

  set momentum(momentum: number | null) {
    this.#set.setAll('momentum', momentum)
  }

  override get training(): boolean {
    return super.training
  }

  override set training(training: boolean) {
    super.training = training
    this.#set.setAll('training', training)
  }

  /** Whether the batch's statistics normalize, or the running ones, in all domains; `null` follows the mode. */
  get useBatchStats(): boolean | null {
    return this.#set.template.useBatchStats
  }

  set useBatchStats(use: boolean | null) {
    this.#set.setAll('useBatchStats', use)
  }

  /** Whether a forward moves the running statistics of its domains; `null` follows the mode. */
  get updateStats(): boolean | null {
    return this.#set.template.updateStats
  }

  set updateStats(update: boolean | null) {
    this.#set.setAll('updateStats', update)
  }

  /** Whether `backward` adds to the gradients of scale and shift, in all domains. */
  get trainAffine(): boolean {
    return this.#set.template.trainAffine
  }

  set trainAffine(train: boolean) {
    this.#set.setAll('trainAffine', train)
  }

  /** Whether all domains are frozen; see `freeze`. */
  get frozen(): boolean {
    return this.#set.template.frozen
  }

  /** Options that make a module like this one as it is now set, but for `freeze` and what was set of one domain alone. */
  get options(): DomainBatchNormOptions<Type, Scale, Center, RunningStats, Sharing> {
    const { domains, fallback } = this
    const options = this.#set.template.options as BatchNormOptions<Type, Scale, Center, RunningStats>
    return { ...options, domains, parameters: this.#parameters as Sharing, fallback }
  }

  /** Freezes all domains as they are; see `BatchNorm.freeze`. */
  freeze(): this {
    this.#set.each((module) => module.freeze())
    return this
  }

  /** Ends `freeze` in all domains. */
  unfreeze(): this {
    this.#set.each((module) => module.unfreeze())
    return this
  }

  /**
   * The batch norm of a domain: to look at, set, recalibrate, fold, load or save it alone. With shared parameters its
   * `weight` and `bias` are those of all domains.
   *
   * @throws RangeError for a domain that is not there
   */
  domain(name: string): Domain {
    return this.#set.get('name', name) as Domain
  }

  /**
   * Adds a domain, in the mode and with the options that the module has now.
   *
   * @param options - `from`: the domain whose statistics, and own parameters, it begins with; fresh ones unless told
   * @returns its batch norm
   * @throws TypeError or RangeError for a name that is empty, has a dot or is taken, and for a `from` that is not there
   */
  addDomain(name: string, options: { from?: string } = {}): Domain {
    this.assertIdle('addDomain(name)')
    newName('name', name, this.domains)
    const { from } = optionsObject(options, addOptions)
    return this.#set.add(name, from === undefined ? null : this.#set.get('from', from)) as Domain
  }

  /**
   * Removes a domain; the indices of those after it fall by one.
   *
   * @throws TypeError for the `fallback`; RangeError for a domain that is not there
   */
  removeDomain(name: string): void {
    this.assertIdle('removeDomain(name)')
    this.#set.get('name', name)
    if (name === this.#fallback) {
      throw invalidType(
        'name',
        'another domain than fallback',
        name,
        'set fallback to another, or to null, first',
      )
    }
    if (this.#last?.parts.some((part) => part.name === name)) this.#last = null
    this.#set.remove(name)
  }

  /**
   * Normalizes a batch, each sample by its domain: with the statistics of the samples of that domain in training, with
   * its running ones in eval. See `BatchNorm.forward`; what is said there of a batch holds of the samples of each
   * domain, and after an error nothing of any domain has changed.
   *
   * @param options - `domain`: that of the batch, or of each sample; `out`, `residual`, `mask`, `lengths` and `weights`
   * are those of the whole batch
   * @throws what a forward of a domain does, with its name; TypeError or RangeError for a domain that is unknown, in
   * eval mode for one without `fallback`
   */
  forward<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: DomainForwardOptions,
  ): Tensor<ResultData<Data>> {
    return this.#forwardHere('forward(input)', input, options, true)
  }

  /**
   * `forward` on another thread; see `BatchNorm.forwardAsync`. Samples that do not lie one after another are gathered and
   * put back on this one.
   *
   * @throws (rejects) what `forward` throws
   */
  async forwardAsync<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: DomainForwardOptions,
  ): Promise<Tensor<ResultData<Data>>> {
    return this.#forwardAway('forward(input)', input, options, true)
  }

  /** Does the last `forward` again, for `backward` to follow; see `BatchNorm.recompute`. */
  recompute<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: DomainForwardOptions,
  ): Tensor<ResultData<Data>> {
    return this.#forwardHere('recompute(input)', input, options, false)
  }

  /** `recompute` on another thread. */
  async recomputeAsync<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: DomainForwardOptions,
  ): Promise<Tensor<ResultData<Data>>> {
    return this.#forwardAway('recompute(input)', input, options, false)
  }

  /**
   * The gradient of the input of the last `forward`; see `BatchNorm.backward`. Gradients of scale and shift are added
   * domain after domain, in the order of `domains`.
   *
   * @throws what `BatchNorm.backward` throws; TypeError when a domain of the last forward has had another one since
   */
  backward<Data extends TensorData = Float32Array>(
    gradOutput: FloatInput<Data>,
    options: BackwardOptions = {},
  ): Tensor<ResultData<Data>> {
    const started = this.#startBackward(gradOutput, options)
    if (started instanceof MixedBackward) return started.run()
    return inDomain(started, () => this.domain(started).backward(gradOutput, options))
  }

  /** `backward` on another thread; see `BatchNorm.backwardAsync`. */
  async backwardAsync<Data extends TensorData = Float32Array>(
    gradOutput: FloatInput<Data>,
    options: BackwardOptions = {},
  ): Promise<Tensor<ResultData<Data>>> {
    const started = this.#startBackward(gradOutput, options)
    return this.whileBusy(() => {
      if (started instanceof MixedBackward) return started.runAway<Data>()
      return inDomainAsync(started, this.domain(started).backwardAsync(gradOutput, options))
    })
  }

  /** What is trained, with names: `weight` and `bias`, or with own parameters those of each domain: `photo.weight`. */
  namedParameters(): [name: string, parameter: Parameter<Type>][] {
    return this.#set.parameters() as [string, Parameter<Type>][]
  }

  /**
   * Copies a state dict of the same domains into this module, all or nothing; see `Module.loadStateDict`. That of a
   * plain batch norm goes into one domain: `bn.domain('photo').loadStateDict(state)`.
   *
   * @throws TypeError for what is not a state dict; RangeError that names the domains that are not there, or all
   * missing and unexpected keys and those of a wrong shape or type
   */
  override loadStateDict(state: State, options?: { strict?: boolean }): LoadedKeys {
    assertState(state)
    if (options?.strict !== false) assertDomains(state, this.domains)
    return super.loadStateDict(this.#set.completed(state), options)
  }

  /** Running mean 0, running variance 1, no batch tracked, in all domains. */
  resetRunningStats(): void {
    this.assertIdle('resetRunningStats()')
    this.#set.each((module) => module.resetRunningStats())
  }

  /** `resetRunningStats`, and weight 1, bias 0. */
  resetParameters(): void {
    this.assertIdle('resetParameters()')
    this.#set.each((module) => module.resetParameters())
  }

  /** As a batch norm, and after that its domains: `DomainBatchNorm1d(100, eps=1e-05, ..., domains=['photo', 'sketch'])`. */
  toString(): string {
    const { domains } = this
    const template = this.#set.template.toString()
    const own = [
      `domains=${printable(`[${domains.map((name) => `'${name}'`).join(', ')}]`)}`,
      ...(this.#parameters === 'own' ? ["parameters='own'"] : []),
      ...(this.#fallback === null ? [] : [`fallback=${quoted(this.#fallback)}`]),
    ]
    return `${this.constructor.name}${template.slice(template.indexOf('('), -1)}, ${own.join(', ')})`
  }

  protected state(): Map<string, Tensor<TensorData>> {
    return this.#set.state()
  }

  #forwardHere<Data extends TensorData>(
    call: string,
    input: FloatInput<Data>,
    options: DomainForwardOptions,
    isFirst: boolean,
  ): Tensor<ResultData<Data>> {
    const started = this.#startForward(call, input, options, isFirst)
    if (started instanceof MixedForward) {
      const y = started.run<Data>()
      this.#keep(started)
      return y
    }
    const { name, module, options: own } = started
    const y = inDomain(name, () => (isFirst ? module.forward(input, own) : module.recompute(input, own)))
    this.#keepOne(started)
    return y
  }

  async #forwardAway<Data extends TensorData>(
    call: string,
    input: FloatInput<Data>,
    options: DomainForwardOptions,
    isFirst: boolean,
  ): Promise<Tensor<ResultData<Data>>> {
    const onlyReads = this.#onlyReads
    const started = this.#startForward(call, input, options, isFirst)
    this.#pending++
    const work = async () => {
      if (started instanceof MixedForward) {
        const y = await started.runAway<Data>(onlyReads)
        this.#keep(started)
        return y
      }
      const { name, module, options: own } = started
      const y = await inDomainAsync(
        name,
        isFirst ? module.forwardAsync(input, own) : module.recomputeAsync(input, own),
      )
      this.#keepOne(started)
      return y
    }
    try {
      return await this.whileBusy(work, onlyReads)
    } finally {
      this.#pending--
    }
  }

  #startForward(
    call: string,
    input: FloatTensorLike,
    given: DomainForwardOptions,
    isFirst: boolean,
  ): OfOneDomain | MixedForward {
    return this.whileChecking(call, this.#onlyReads, () => {
      optionsObject(given, domainForwardOptions)
      // Read once: what a getter says may change.
      const { domain, out, residual, mask, lengths, weights } = given
      const options = { out, residual, mask, lengths, weights }
      const samples = () => samplesOf(input, this.#set.template.dtype)
      const known = {
        names: this.domains,
        indexOfUnknown: (name: string, argument: string) => this.#indexOfUnknown(name, argument),
      }
      const indices = indicesOf(domain, known, samples)
      const groups = typeof indices === 'number' ? [] : Rows.ofEach(indices)
      const started =
        typeof indices === 'number' || groups.length === 1
          ? this.#startOne(typeof indices === 'number' ? indices : groups[0][0], options)
          : this.#startMixed(call, input, groups, options, isFirst)
      this.#isAlone = this.#pending === 0
      return started
    })
  }

  #startOne(index: number, options: ForwardOptions): OfOneDomain {
    const name = this.domains[index]
    return { name, module: this.#set.get('domain', name), options }
  }

  #startMixed(
    call: string,
    input: FloatTensorLike,
    groups: readonly [index: number, rows: Rows][],
    options: ForwardOptions,
    isFirst: boolean,
  ): MixedForward {
    const { domains } = this
    const whole = this.#whole[internals]
    const pass = whole.startForward(call, input, options, true)
    const named = groups.map(([index, rows]) => {
      return { name: domains[index], module: this.#set.internals(domains[index]), rows }
    })
    return new MixedForward(call, whole, pass, named, options, isFirst)
  }

  #startBackward(gradOutput: FloatTensorLike, options: BackwardOptions): MixedBackward | string {
    return this.whileChecking('backward(gradOutput)', false, () => {
      optionsObject(options, backwardOptions)
      const last = this.#forwardToFollow()
      return last instanceof MixedForward
        ? new MixedBackward(last, this.#whole[internals], gradOutput, options)
        : last.parts[0].name
    })
  }

  #forwardToFollow(): LastForward {
    if (this.#last === null) throw noForward()
    if (!this.#isAlone) throw severalForwards()
    for (const { name, module, input } of this.#last.parts) {
      if (module.channels().last?.input === input) continue
      throw new TypeError(
        `Expected backward(gradOutput) to follow the last forward of each of its domains but received it after another ` +
          `of ${quoted(name)} (call backward before domain(${quoted(name)}).forward(input))`,
      )
    }
    return this.#last
  }

  #keepOne({ name, module }: OfOneDomain): void {
    const own = module[internals]
    const { input } = own.channels().last as Pass
    this.#keep({ parts: [{ name, module: own, input }] })
  }

  #keep(forward: LastForward): void {
    const previous = this.#last
    this.#last = forward
    if (previous instanceof MixedForward) previous.release()
  }

  /** Whether a forward changes nothing of any domain. */
  get #onlyReads(): boolean {
    return this.#set.modules.every(onlyReads)
  }

  /** @throws RangeError where a domain that is not there cannot be normalized */
  #indexOfUnknown(name: string, argument: string): number {
    const { domains } = this
    const fallback = this.#fallback
    if (fallback !== null && onlyReads(this.#set.get('fallback', fallback))) return domains.indexOf(fallback)
    const fix =
      fallback === null && !this.training
        ? `addDomain(${quoted(name)}) adds it, and fallback normalizes what is unknown in eval mode`
        : `call addDomain(${quoted(name)}) first`
    throw invalidValue(argument, `among ${describe(domains)}`, name, fix)
  }
}

const addOptions = optionNames<{ from?: string }>({ from: true })

function onlyReads({ normalizesWithBatch, movesRunningStats }: AnyBatchNorm): boolean {
  return !normalizesWithBatch && !movesRunningStats
}

/** How many samples an input has, which is one that a module of `dtype` takes, but for its shape. */
function samplesOf(input: FloatTensorLike, dtype: ParameterType): number {
  floatTensor('input', input, floatTypeOf('input', input, dtype))
  return input.shape[0]
}
