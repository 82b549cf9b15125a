import type { NonFinite } from '../backend/backend.ts'
import { has } from '../checks/copies.ts'
import { invalidType } from '../checks/errors.ts'
import { refuseSetting } from '../checks/fixed-properties.ts'
import { optionsObject } from '../checks/options.ts'
import { channelCount, nonNegative } from '../checks/scalars.ts'
import type { FloatInput, FloatTensorLike } from '../checks/tensors.ts'
import type { ResultData } from '../functional/arguments.ts'
import type { FusedActivation } from '../functional/fused-activation.ts'
import type { ParameterArray, ParameterType } from '../tensor/data-type.ts'
import type { Layout } from '../tensor/shape.ts'
import type { Tensor, TensorData } from '../tensor/tensor.ts'
import {
  type BackwardOptions,
  backwardOptions,
  endBackward,
  type StartedBackward,
  startBackward,
} from './backward.ts'
import { Channels } from './channels.ts'
import { describeModule } from './description.ts'
import { fixedInModule } from './fixed.ts'
import { endForward, type ForwardOptions, forwardOptions, startForward } from './forward.ts'
import { domainModule, type InputListener, type Internals, internals } from './internals.ts'
import type { Synchronization } from './methods/choose.ts'
import { backwardPlainly, forwardPlainly, hasWork, plain } from './methods/plain.ts'
import type { Renorm } from './methods/renormalized.ts'
import { runAsync, runSync } from './methods/steps.ts'
import { Module } from './module.ts'
import { momentumOf } from './momentum.ts'
import { type BatchNormOptions, type Settings, type SingleValue, settingsOf } from './options.ts'
import type { Parameter } from './parameter.ts'
import type { Pass } from './pass.ts'
import { assertState, type LoadedKeys, type State } from './state-dict.ts'
import type { StoredVariance } from './stored-variance.ts'
import { Switches } from './switches.ts'

/** What a module has or has not, as its options say: a `Value` for `true`, `null` for `false`, either for `boolean`. */
export type Present<Has extends boolean, Value> = Has extends true ? Value : null

/** Of the settings those that decide the types of a module's properties. */
interface Fixed<Type, Scale, Center, RunningStats> {
  readonly dtype: Type
  readonly scale: Scale
  readonly center: Center
  readonly trackRunningStats: RunningStats
}

/** A batch norm of any options, with parameters of any type. */
export type AnyBatchNorm = BatchNorm<ParameterType>

/** Whether it is a batch norm, of this copy of the library or another. */
export function isBatchNorm(value: unknown): value is AnyBatchNorm {
  return has(internals, value)
}

/** @throws TypeError for what is not a batch norm */
export function assertBatchNorm(name: string, module: unknown): asserts module is AnyBatchNorm {
  if (!isBatchNorm(module)) throw invalidType(name, 'a batch norm', module, insteadOfDomains(module))
}

/** What to give in the place of a batch norm of several domains. */
export function insteadOfDomains(module: unknown): string {
  return has(domainModule, module) ? 'one of its domains: module.domain(name)' : ''
}

/**
 * Batch normalization over all axes but the channel's, with PyTorch's meaning:
 *
 *     y = (x - mean) / sqrt(variance + eps) * weight + bias
 *
 * and after that, in the same pass over memory, `y = activation(y + residual)` where they are asked for.
 * In training (the mode a module starts in) mean and variance are the batch's, the variance the
 * biased one, and the running statistics move toward them; in eval they are the running ones.
 * Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167;
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 *
 * A subclass says which shapes it takes.
 *
 * @typeParam Type - the `dtype` of parameters and running statistics
 * @typeParam Scale - whether there is a `weight`; `boolean`: perhaps, `Parameter | null`
 * @typeParam Center - whether there is a `bias`
 * @typeParam RunningStats - whether there are running statistics
 */
export abstract class BatchNorm<
  Type extends ParameterType = 'float32',
  Scale extends boolean = boolean,
  Center extends boolean = boolean,
  RunningStats extends boolean = boolean,
> extends Module<Type> {
  readonly #positions: readonly (readonly string[])[]
  readonly #settings: Settings
  readonly #switches: Switches
  readonly #synchronization: Synchronization | null
  #eps: number
  #momentum: number | null
  /** Calls all that listen; `null`: nobody does. */
  #inputListener: InputListener | null = null
  readonly #listeners = new Set<InputListener>()
  /** `null` until the number of channels is known. */
  #channels: Channels | null = null

  static {
    refuseSetting(BatchNorm.prototype, 'module', fixedInModule)
  }

  /**
   * @param numFeatures - C, the number of channels; `null`: not known yet, see `initialize`
   * @param positions - the axes that may stand beside samples and channels; see `InputForm`
   * @param synchronization - with whose batches a batch is normalized; `null`: by itself
   * @throws TypeError or RangeError for an argument that is not valid, and for options that contradict each other
   */
  protected constructor(
    numFeatures: number | null,
    options: BatchNormOptions<Type, Scale, Center, RunningStats>,
    positions: readonly (readonly string[])[],
    synchronization: Synchronization | null = null,
  ) {
    super()
    const settings = settingsOf(options)
    this.#synchronization = synchronization
    this.#positions = positions
    this.#settings = settings
    this.#switches = new Switches(settings)
    this.#eps = settings.eps
    this.#momentum = settings.momentum
    this.initialize(numFeatures)
  }

  /** @internal */
  get [internals](): Internals {
    return {
      rank: () => (2 + Math.max(...this.#positions.map((names) => names.length))) as 3 | 4 | 5,
      runningStats: () => this.#known.running,
      synchronization: () => this.#synchronization,
      listen: (listener) => this.#listen(listener),
      channels: () => this.#known,
      shareParameters: (owner) => this.initialize(owner.count, owner),
      startForward: (...call) => this.#startForward(...call),
      startBackward: (...call) => this.#startBackward(...call),
      whileBusy: (work, onlyReads) => this.whileBusy(work, onlyReads),
    }
  }

  /** The type of parameters and running statistics. */
  get dtype(): Type {
    return this.#settings.dtype as Type
  }

  /** Where the channel stands in the shape of an input. */
  get layout(): Layout {
    return this.#settings.layout
  }

  /** Which variance of a batch moves `runningVar`. */
  get storedVariance(): StoredVariance {
    return this.#settings.storedVariance
  }

  /** What happens in training to one value a channel. */
  get singleValue(): SingleValue {
    return this.#settings.singleValue
  }

  /** What happens to a batch with NaN or Infinity. */
  get nonFinite(): NonFinite {
    return this.#settings.nonFinite
  }

  /** Whether there are running statistics. */
  get trackRunningStats(): boolean {
    return this.#settings.trackRunningStats
  }

  /** What follows the normalization in the same pass; `null`: nothing. */
  get activation(): FusedActivation | null {
    return this.#settings.activation?.name ?? null
  }

  /** How many samples a ghost batch has; `null`: there are none. */
  get virtualBatchSize(): number | null {
    return this.#settings.virtualBatchSize
  }

  /** The limits of batch renormalization; `null`: there is none. */
  get renorm(): Renorm | null {
    return this.#settings.renorm
  }

  /** C, the number of channels; 0 while a lazy module does not know it. */
  get numFeatures(): number {
    return this.#channels?.count ?? 0
  }

  /**
   * gamma, `[numFeatures]`, ones at first; `null` without `scale`. With `positiveScale` it is computed
   * from `rawWeight`, and anew whenever it is asked for; its `grad` stays 0.
   */
  get weight(): Present<Scale, Parameter<Type>> {
    const { positiveScale, weight } = this.#known
    positiveScale?.refresh()
    return weight as Present<Scale, Parameter<Type>>
  }

  /** What is trained in place of `weight` with `positiveScale`, `[numFeatures]`; otherwise `null`. */
  get rawWeight(): Parameter<Type> | null {
    return (this.#known.positiveScale?.raw ?? null) as Parameter<Type> | null
  }

  /** beta, `[numFeatures]`, zeros at first; `null` without `center`. */
  get bias(): Present<Center, Parameter<Type>> {
    return this.#known.bias as Present<Center, Parameter<Type>>
  }

  /** `[numFeatures]`, zeros at first; `null` without `trackRunningStats`. */
  get runningMean(): Present<RunningStats, Tensor<ParameterArray<Type>>> {
    return (this.#known.running?.mean ?? null) as Present<RunningStats, Tensor<ParameterArray<Type>>>
  }

  /** The variance, the one of `storedVariance`, `[numFeatures]`, ones at first; `null` without `trackRunningStats`. */
  get runningVar(): Present<RunningStats, Tensor<ParameterArray<Type>>> {
    return (this.#known.running?.variance ?? null) as Present<RunningStats, Tensor<ParameterArray<Type>>>
  }

  /** How many batches moved the running statistics, shape `[]`; `null` without `trackRunningStats`. */
  get numBatchesTracked(): Present<RunningStats, Tensor<BigInt64Array>> {
    return (this.#known.running?.numBatchesTracked ?? null) as Present<RunningStats, Tensor<BigInt64Array>>
  }

  /**
   * Where the schedule of `renorm` is, shape `[]`: how many batches have moved the running statistics. `recalibrate`
   * leaves it alone; `null` without `renorm`.
   */
  get renormSteps(): Tensor<BigInt64Array> | null {
    return this.#known.running?.renormSteps ?? null
  }

  /** Added to the variance before its square root. */
  get eps(): number {
    return this.#eps
  }

  set eps(eps: number) {
    this.#eps = nonNegative('eps', eps)
  }

  /** The weight of the new statistic; `null` averages over all batches. */
  get momentum(): number | null {
    return this.#momentum
  }

  set momentum(momentum: number | null) {
    this.#momentum = momentumOf(momentum)
  }

  /** Whether the batch's statistics normalize, or the running ones; `null` follows the mode. */
  get useBatchStats(): boolean | null {
    return this.#switches.useBatchStats
  }

  set useBatchStats(use: boolean | null) {
    this.#switches.useBatchStats = use
  }

  /** Whether a forward moves the running statistics; `null` follows the mode. */
  get updateStats(): boolean | null {
    return this.#switches.updateStats
  }

  set updateStats(update: boolean | null) {
    this.#switches.updateStats = update
  }

  /**
   * Whether a forward normalizes with the batch's statistics, which is what the mode, `useBatchStats`,
   * `trackRunningStats` and `freeze` come to. If not, the module is affine in each channel: see `toAffine`.
   */
  get normalizesWithBatch(): boolean {
    return this.#switches.normalizesWithBatch(this.training)
  }

  /** Whether a forward moves the running statistics: what the mode, `updateStats`, `trackRunningStats` and `freeze` come to. */
  get movesRunningStats(): boolean {
    return this.#switches.updatesRunning(this.training)
  }

  /** Whether `backward` adds to the gradients of scale and shift: sets `requiresGrad` of both. */
  get trainAffine(): boolean {
    return this.#switches.trainAffine
  }

  set trainAffine(train: boolean) {
    this.#switches.trainAffine = train
    this.#channels?.trainAffine(train)
  }

  /** Whether the module is frozen; see `freeze`. */
  get frozen(): boolean {
    return this.#switches.frozen
  }

  /**
   * Options that make a module like this one as it is now set, but for `freeze`:
   * `new BatchNorm1d(bn.numFeatures, { ...bn.options, scale: false })`.
   */
  get options(): BatchNormOptions<Type, Scale, Center, RunningStats> {
    const { trainAffine, ...switches } = this.#switches.settings
    const { eps, momentum } = this
    // Of a module without scale and shift `trainAffine: true` is a contradiction.
    const { activation, ...settings } = this.#settings
    return {
      ...(settings as Settings & Fixed<Type, Scale, Center, RunningStats>),
      ...switches,
      trainAffine: trainAffine ? undefined : false,
      eps,
      momentum,
      activation: activation?.name,
      negativeSlope: activation?.name === 'leakyRelu' ? activation.negativeSlope : undefined,
    }
  }

  /**
   * Fixes the module as it is, also through `train()`, until `unfreeze()`: the running statistics normalize
   * and do not move, and scale and shift are not trained, as if the three switches were `false`.
   *
   * @throws TypeError without running statistics
   */
  freeze(): this {
    return this.#setFrozen(true)
  }

  /** Ends `freeze`: the switches are as they were, and so is what was trained. */
  unfreeze(): this {
    return this.#setFrozen(false)
  }

  /**
   * Normalizes a batch. In training it also moves the running statistics and counts the batch. An
   * empty batch gives an empty output and moves nothing; it is counted, as in PyTorch. The input is
   * remembered, not copied, for `backward`.
   *
   * @param input - of one of the shapes that this module takes: float32, bfloat16 or float16; float64 with
   * `dtype: 'float64'`
   * @param options - `out`: where to write, of the input's length; may be the input itself. `residual`: what
   * is added before the activation. `mask`, `lengths` and `weights`: what counts
   * @returns the output, of the input's shape and type; a view of `out` if there is one
   * @throws TypeError or RangeError for an input or option that does not fit, for one value a channel
   * in training, and for what `nonFinite: 'throw'` names. After an error nothing has changed.
   */
  forward<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: ForwardOptions = {},
  ): Tensor<ResultData<Data>> {
    return this.#forwardHere(this.#startForward('forward(input)', input, options, true))
  }

  /**
   * `forward` on another thread, with the same bits; the event loop runs on. Until the promise is
   * settled the module takes no other call - where the running statistics normalize and do not move, as in eval,
   * no other but a forward, which `backward` cannot follow then - and the arrays none that would touch them
   * while they are written or write them while they are read. The work is done on copies of what the caller can
   * reach, but for a `SharedArrayBuffer` of a fixed size; do not change it meanwhile. The
   * TypeScript backend has no other thread: it works in a turn of its own.
   *
   * @returns a promise of what `forward` returns
   * @throws (rejects) what `forward` throws, and TypeError for an array that was transferred or resized meanwhile
   */
  async forwardAsync<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: ForwardOptions = {},
  ): Promise<Tensor<ResultData<Data>>> {
    return this.#forwardAway(this.#startForward('forward(input)', input, options, true))
  }

  /**
   * Does the last `forward` again, with the same bits, for `backward` to follow when its output was not
   * kept (activation checkpointing, Chen et al. 2016, https://arxiv.org/abs/1604.06174): the batch
   * normalizes again, but the running statistics do not move a second time, nor is it counted.
   *
   * @param input - that of the forward; also its `residual`, `mask`, `lengths` and `weights`
   * @returns what `forward` does
   * @throws what `forward` does; TypeError if the input is not that of the last forward where
   * the running statistics took part in it and have moved (`renorm`; `updateStats` without `useBatchStats`)
   */
  recompute<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: ForwardOptions = {},
  ): Tensor<ResultData<Data>> {
    return this.#forwardHere(this.#startForward('recompute(input)', input, options, false))
  }

  /**
   * `recompute` on another thread; see `forwardAsync`.
   *
   * @throws (rejects) what `recompute` throws, and TypeError for an array that was transferred or resized meanwhile
   */
  async recomputeAsync<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: ForwardOptions = {},
  ): Promise<Tensor<ResultData<Data>>> {
    return this.#forwardAway(this.#startForward('recompute(input)', input, options, false))
  }

  /**
   * The gradient with respect to the input of the last `forward`, in the form of the mode that it ran
   * in (in eval `gradOutput * weight * invstd`). Adds to `weight.grad` and `bias.grad`. Uses the
   * weight as it is now, so call it before the optimizer's step; each further call for the same
   * `forward` adds again.
   *
   * After an activation the sign of the output tells what went through it, so it must not be changed
   * before.
   *
   * @param gradOutput - of the output's shape and type
   * @param options - `out`: where to write, of the input's length; may be `gradOutput`, or the input.
   * `gradResidual`: where to write the gradient of the residual
   * @returns gradInput, of the input's shape and type; a view of `out` if there is one
   * @throws TypeError before any `forward`, and when another batch was written over the input since (16 values,
   * evenly spread, are compared: fewer that change may go unseen); TypeError
   * or RangeError for a gradOutput, `out` or `gradResidual` that does not fit. After an error nothing has changed.
   */
  backward<Data extends TensorData = Float32Array>(
    gradOutput: FloatInput<Data>,
    options: BackwardOptions = {},
  ): Tensor<ResultData<Data>> {
    const { pass, gradY } = this.#startBackward(gradOutput, options)
    const { gradients } = this.#known
    if (hasWork(pass)) {
      if (pass.method === plain) backwardPlainly(pass, gradY, gradients)
      else runSync(pass.method.backward(pass, gradY, gradients))
    }
    return endBackward(this.#known, pass)
  }

  /**
   * `backward` on another thread; see `forwardAsync`.
   *
   * @returns a promise of what `backward` returns
   * @throws (rejects) what `backward` throws, and TypeError for an array that was transferred or resized meanwhile
   */
  async backwardAsync<Data extends TensorData = Float32Array>(
    gradOutput: FloatInput<Data>,
    options: BackwardOptions = {},
  ): Promise<Tensor<ResultData<Data>>> {
    const { pass, gradY, gradXIsNew } = this.#startBackward(gradOutput, options)
    if (!hasWork(pass)) return endBackward(this.#known, pass)
    const { gradients } = this.#known
    const read = [gradY, pass.input, pass.affine.weight, pass.activated?.output ?? null]
    const written = [gradXIsNew ? null : gradients.input, gradients.residual ?? null]
    return this.whileBusy(async () => {
      await runAsync(pass.method.backward(pass, gradY, gradients), read, written)
      return endBackward(this.#known, pass)
    })
  }

  /**
   * What is trained, with names: `weight` (with `positiveScale` `raw_weight`) and `bias`.
   *
   * @throws TypeError for a lazy module that has had no input yet
   */
  namedParameters(): [name: string, parameter: Parameter<Type>][] {
    return this.#known.parameters() as [string, Parameter<Type>][]
  }

  /**
   * Copies a state dict into this module, all or nothing; see `Module.loadStateDict`. With `positiveScale` one of
   * `weight` and `raw_weight` is enough, and running statistics without `num_batches_tracked`, as PyTorch wrote them
   * before 0.4.1, leave the module's own counter as it is, as PyTorch does from 2.0 on. With `renorm` a state without
   * `renorm_steps` begins where its counter is; without `renorm` that key says nothing, and is left out.
   *
   * @throws TypeError for what is not a state dict; RangeError that names all missing and unexpected keys and
   * those of a wrong shape or type
   */
  override loadStateDict(state: State, options?: { strict?: boolean }): LoadedKeys {
    assertState(state)
    return super.loadStateDict(this.#known.completed(state), options)
  }

  /**
   * Running mean 0, running variance 1, no batch tracked.
   *
   * @throws TypeError while an asynchronous call is under way
   */
  resetRunningStats(): void {
    this.assertIdle('resetRunningStats()')
    this.#known.running?.reset()
  }

  /**
   * `resetRunningStats`, and weight 1, bias 0.
   *
   * @throws TypeError while an asynchronous call is under way
   */
  resetParameters(): void {
    this.resetRunningStats()
    this.#known.resetParameters()
  }

  /** As PyTorch prints a module: `BatchNorm1d(100, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)`. */
  toString(): string {
    return describeModule(this, this.#settings)
  }

  /**
   * Gives a module that does not know its number of channels one; `null` takes it back.
   *
   * @param shared - whose scale and shift it has
   */
  protected initialize(numFeatures: number | null, shared: Channels | null = null): void {
    if (numFeatures !== null) channelCount('numFeatures', numFeatures)
    this.#channels =
      numFeatures === null
        ? null
        : new Channels(numFeatures, this.#positions, this.#settings, this.#synchronization, shared)
    this.#channels?.trainAffine(this.#switches.settings.trainAffine)
    this.#channels?.freeze(this.frozen)
  }

  protected state(): Map<string, Tensor<TensorData>> {
    return new Map(this.#known.state())
  }

  /** What the module has once it knows its number of channels. */
  get #known(): Channels {
    if (this.#channels !== null) return this.#channels
    throw new TypeError(
      `Expected ${this} to know its number of channels but received no input yet (call forward(input) or loadStateDict(state) first)`,
    )
  }

  #setFrozen(frozen: boolean): this {
    this.#switches.frozen = frozen
    this.#channels?.freeze(frozen)
    return this
  }

  #listen(listener: InputListener): () => void {
    this.#listeners.add(listener)
    this.#inputListener = tellingAll([...this.#listeners])
    return () => {
      this.#listeners.delete(listener)
      this.#inputListener = tellingAll([...this.#listeners])
    }
  }

  #startForward(call: string, input: FloatTensorLike, options: ForwardOptions, isFirst: boolean): Pass {
    const channels = this.#known
    return this.whileChecking(call, this.#onlyReads, () => {
      optionsObject(options, forwardOptions)
      const goOn = isFirst ? this.#inputListener?.(input, options) : undefined
      const pass = startForward(this, this.#switches, channels, input, options, isFirst)
      goOn?.()
      return pass
    })
  }

  #forwardHere<Data extends TensorData>(pass: Pass): Tensor<ResultData<Data>> {
    if (hasWork(pass)) {
      if (pass.method === plain) forwardPlainly(pass)
      else {
        const undo = pass.undo()
        try {
          runSync(pass.method.forward(pass))
        } catch (error) {
          undo()
          throw error
        }
      }
    }
    return endForward(this.#known, pass)
  }

  async #forwardAway<Data extends TensorData>(pass: Pass): Promise<Tensor<ResultData<Data>>> {
    if (!hasWork(pass)) return endForward(this.#known, pass)
    const channels = this.#known
    const { affine, updatesRunning, running } = pass
    const moved = updatesRunning && running !== null ? [running.mean.data, running.variance.data] : []
    const read = [pass.input, pass.residual, affine.weight, affine.bias]
    // Nobody has a new output yet.
    const written = pass.outputIsNew ? moved : [pass.output, ...moved]
    const undo = pass.undo()
    return this.whileBusy(async () => {
      try {
        await channels.whilePending(pass, () => runAsync(pass.method.forward(pass), read, written))
      } catch (error) {
        undo()
        throw error
      }
      return endForward(channels, pass)
    }, this.#onlyReads)
  }

  /** Whether a forward changes nothing of the module. */
  get #onlyReads(): boolean {
    return !this.normalizesWithBatch && !this.movesRunningStats
  }

  #startBackward(gradOutput: FloatTensorLike, options: BackwardOptions): StartedBackward {
    const channels = this.#known
    return this.whileChecking('backward(gradOutput)', false, () => {
      optionsObject(options, backwardOptions)
      return startBackward(channels, gradOutput, options)
    })
  }
}

/** What tells all of some listeners; `null`: there are none. One alone is called as it is: every forward calls it. */
function tellingAll(listeners: readonly InputListener[]): InputListener | null {
  if (listeners.length <= 1) return listeners[0] ?? null
  return (input, options) => {
    const answers = listeners.map((tell) => tell(input, options))
    return () => {
      for (const goOn of answers) goOn?.()
    }
  }
}
