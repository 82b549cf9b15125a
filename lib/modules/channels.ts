import type { Affine, Gradients, PerChannel, Values } from '../backend/backend.ts'
import { wrongLength } from '../checks/errors.ts'
import { type ParameterType, parameterArray } from '../tensor/data-type.ts'
import type { Tensor, TensorData } from '../tensor/tensor.ts'
import { InputForm } from './input-form.ts'
import type { Synchronization } from './methods/choose.ts'
import { plain } from './methods/plain.ts'
import type { Settings } from './options.ts'
import { Parameter } from './parameter.ts'
import { Pass } from './pass.ts'
import { completedState, PositiveScale } from './positive-scale.ts'
import { ReusedMemory } from './reused-memory.ts'
import { RunningStats } from './running-stats.ts'
import { type State, withCounter, withSteps } from './state-dict.ts'

/** Everything of a module that has a value for each channel. It exists once their number is known. */
export class Channels {
  readonly count: number
  readonly form: InputForm
  readonly positiveScale: PositiveScale | null
  readonly weight: Parameter<ParameterType> | null
  readonly bias: Parameter<ParameterType> | null
  readonly running: RunningStats | null
  readonly affine: Affine
  /** Where `backward` writes: of weight and bias what is trained, to be added to its gradient then. */
  readonly gradients: { -readonly [Name in keyof Gradients]: Gradients[Name] }
  /** Every array of the module, for the checks. */
  readonly arrays: Readonly<Record<string, PerChannel>>
  /** Where gradInput goes with `reuse: true`; otherwise `null`. */
  readonly reusedGradInput: ReusedMemory | null
  /** With whose batches a batch is normalized; `null`: by itself. */
  readonly synchronization: Synchronization | null
  /** Whether this module trains a scale and shift that it shares; of those that it has alone, they say it themselves. */
  readonly #sharing: { trains: boolean; isFrozen: boolean } | null
  /** The last forward, if there was one. */
  last: Pass | null = null
  /** The pass of the next forward. */
  spare: Pass
  /** Forwards that are under way on other threads. */
  readonly #pending = new Set<Pass>()
  readonly #settings: Settings
  /** `arrays`, as a list: every forward walks it. */
  readonly #vectors: readonly (readonly [name: string, array: PerChannel])[]
  readonly #gradWeight: PerChannel
  readonly #gradBias: PerChannel
  readonly #reusedOutput: ReusedMemory | null

  /** @param shared - whose scale and shift are also those of this one; of the same settings */
  constructor(
    count: number,
    positions: readonly (readonly string[])[],
    settings: Settings,
    synchronization: Synchronization | null,
    shared: Channels | null = null,
  ) {
    this.count = count
    this.synchronization = synchronization
    this.form = new InputForm(positions, count, settings.layout)
    const { dtype } = settings
    this.#sharing = shared && { trains: true, isFrozen: false }
    const { positiveScale, weight, bias } = shared ?? scaleAndShift(count, settings)
    this.positiveScale = positiveScale
    this.weight = weight
    this.bias = bias
    this.running = settings.trackRunningStats
      ? new RunningStats(count, dtype, settings.storedVariance, settings.renorm !== null)
      : null
    this.affine = { weight: this.weight?.data ?? null, bias: this.bias?.data ?? null }
    this.gradients = { input: null, weight: null, bias: null, residual: null }
    this.#gradWeight = parameterArray(dtype, count)
    this.#gradBias = parameterArray(dtype, count)
    this.arrays = {
      ...(this.weight && { weight: this.weight.data, 'weight.grad': this.weight.grad }),
      ...(this.positiveScale && {
        rawWeight: this.positiveScale.raw.data,
        'rawWeight.grad': this.positiveScale.raw.grad,
      }),
      ...(this.bias && { bias: this.bias.data, 'bias.grad': this.bias.grad }),
      ...(this.running && { runningMean: this.running.mean.data, runningVar: this.running.variance.data }),
    }
    this.#vectors = Object.entries(this.arrays)
    this.#settings = settings
    this.reusedGradInput = settings.reuse ? new ReusedMemory() : null
    this.#reusedOutput = settings.reuse ? new ReusedMemory() : null
    this.spare = this.#newPass()
  }

  /** What is trained in place of the scale: raw, or the scale itself. */
  get #scale(): Parameter<ParameterType> | null {
    return this.positiveScale?.raw ?? this.weight
  }

  /** What is trained, under PyTorch's names. */
  parameters(): [name: string, parameter: Parameter<ParameterType>][] {
    return present([
      [this.positiveScale ? 'raw_weight' : 'weight', this.#scale],
      ['bias', this.bias],
    ])
  }

  /** Weight 1, bias 0. */
  resetParameters(): void {
    if (this.positiveScale) this.positiveScale.reset()
    else this.weight?.data.fill(1)
    this.bias?.data.fill(0)
  }

  /** Everything that is learned, under PyTorch's keys. */
  state(): [key: string, tensor: Tensor<TensorData>][] {
    const { positiveScale, weight, bias, running } = this
    positiveScale?.refresh()
    return present<Tensor<TensorData>>([
      ['weight', weight],
      ['bias', bias],
      ['running_mean', running?.mean ?? null],
      ['running_var', running?.variance ?? null],
      ['num_batches_tracked', running?.numBatchesTracked ?? null],
      ['renorm_steps', running?.renormSteps ?? null],
      ['raw_weight', positiveScale?.raw ?? null],
    ])
  }

  /** A state dict of this module, with what follows from the rest of it where that is left out. */
  completed(state: State): State {
    const stepped = this.completedStatistics(state)
    return this.positiveScale ? completedState(stepped, this.#settings.dtype) : stepped
  }

  /** The same for the running statistics alone. */
  completedStatistics(state: State): State {
    const { running } = this
    const counted = running ? withCounter(state, running.numBatchesTracked) : state
    return withSteps(counted, running?.renormSteps ?? null)
  }

  /** Where the next `backward` writes. */
  startGradients(input: Values, residual: Values | null): void {
    const { gradients, bias } = this
    const trains = this.#sharing === null || (this.#sharing.trains && !this.#sharing.isFrozen)
    gradients.input = input
    gradients.residual = residual
    gradients.weight = trains && this.#scale?.requiresGrad ? this.#gradWeight : null
    gradients.bias = trains && bias?.requiresGrad ? this.#gradBias : null
  }

  /** Adds what `backward` has written to the gradients of what is trained. */
  addGradients(): void {
    const { weight, bias } = this.gradients
    if (weight !== null) {
      if (this.positiveScale === null) this.weight?.addToGrad(weight)
      else this.positiveScale.addToGrad(weight)
    }
    if (bias !== null) this.bias?.addToGrad(bias)
  }

  /** Sets whether scale and shift are trained. */
  trainAffine(train: boolean): void {
    if (this.#sharing) this.#sharing.trains = train
    else for (const [, parameter] of this.parameters()) parameter.requiresGrad = train
  }

  /** Freezes scale and shift, or lets them be trained as before. */
  freeze(frozen: boolean): void {
    if (this.#sharing) this.#sharing.isFrozen = frozen
    else for (const [, parameter] of this.parameters()) parameter.freeze(frozen)
  }

  /** A transferred array has no elements; a backend must not meet one. */
  assertIntact(): void {
    for (const [name, array] of this.#vectors) {
      if (array.length === this.count) continue
      throw wrongLength(name, array, this.count, 'one value a channel')
    }
  }

  /** Keeps a pass apart from others that begin before its work on another thread has ended. */
  async whilePending(pass: Pass, work: () => Promise<void>): Promise<void> {
    this.#pending.add(pass)
    this.spare = this.#newPass()
    try {
      await work()
    } finally {
      this.#pending.delete(pass)
    }
  }

  /** Says of a pass that begins, and of those that are pending, whether there are others beside it. */
  noteOthers(pass: Pass): void {
    pass.isAlone = this.#pending.size === 0
    if (pass.isAlone) return
    for (const other of this.#pending) other.isAlone = false
  }

  /** Makes a pass that has succeeded the last one. */
  keep(pass: Pass): void {
    const previous = this.last ?? this.#newPass()
    previous.release()
    previous.method = plain
    this.spare = previous
    this.last = pass
  }

  #newPass(): Pass {
    const { dtype, activation } = this.#settings
    const pass = new Pass(this.count, dtype, this.affine, this.running, activation, plain)
    // An output that `backward` reads has to outlive a next forward that fails.
    pass.reused = this.#reusedOutput && activation ? new ReusedMemory() : this.#reusedOutput
    return pass
  }
}

/** gamma and beta of a new module. */
function scaleAndShift(
  count: number,
  settings: Settings,
): Pick<Channels, 'positiveScale' | 'weight' | 'bias'> {
  const { scale, center, dtype } = settings
  const positiveScale = settings.positiveScale ? new PositiveScale(count, dtype) : null
  const weight = scale ? (positiveScale?.weight ?? new Parameter(count, 1, dtype)) : null
  return { positiveScale, weight, bias: center ? new Parameter(count, 0, dtype) : null }
}

function present<Value>(entries: [string, Value | null][]): [string, Value][] {
  return entries.filter((entry): entry is [string, Value] => entry[1] !== null)
}
