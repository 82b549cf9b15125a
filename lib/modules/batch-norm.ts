import type { Affine, Extent, NonFinite } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { describe, invalidShape, singleValueError, wrongLength } from '../errors.ts'
import { pythonNumber } from '../format.ts'
import { nonFiniteError, OverflowWarning } from '../non-finite.ts'
import { elementCount, type Layout, type Shape, sameShape, valuesPerChannel } from '../shape.ts'
import { Tensor, type TensorData } from '../tensor.ts'
import {
  assertApart,
  assertSameOrApart,
  boolean,
  float32Tensor,
  nonNegative,
  outArray,
  positiveInteger,
  sameMemory,
  type TensorLike,
  type Vector,
} from '../validate.ts'
import { InputForm } from './input-form.ts'
import { type BatchNormOptions, momentumOf, type SingleValue, settingsOf } from './options.ts'
import { Parameter } from './parameter.ts'
import { Pass } from './pass.ts'
import { RunningStats } from './running-stats.ts'
import { type LoadedKeys, loadState, type State } from './state-dict.ts'

/**
 * Batch normalization over all axes but the channel's, with PyTorch's meaning:
 *
 *     y = (x - mean) / sqrt(variance + eps) * weight + bias
 *
 * In training (the mode a module starts in) mean and variance are the batch's, the variance the
 * biased one, and the running statistics move toward them; in eval they are the running ones.
 * Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167;
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 *
 * A subclass says which shapes it takes.
 */
export abstract class BatchNorm {
  readonly numFeatures: number
  readonly layout: Layout
  readonly singleValue: SingleValue
  readonly nonFinite: NonFinite
  readonly trackRunningStats: boolean
  /** gamma, `[numFeatures]`, ones at first; `null` without `scale`. */
  readonly weight: Parameter | null
  /** beta, `[numFeatures]`, zeros at first; `null` without `center`. */
  readonly bias: Parameter | null
  /** `[numFeatures]`, zeros at first; `null` without `trackRunningStats`. */
  readonly runningMean: Tensor | null
  /** The unbiased variance, `[numFeatures]`, ones at first; `null` without `trackRunningStats`. */
  readonly runningVar: Tensor | null
  /** How many batches moved the running statistics, shape `[]`; `null` without `trackRunningStats`. */
  readonly numBatchesTracked: Tensor<BigInt64Array> | null
  /** Whether `forward` normalizes with the batch's statistics and tracks them; see `train` and `eval`. */
  training = true

  readonly #form: InputForm
  readonly #affine: Affine
  readonly #running: RunningStats | null
  /** What `backward` writes before it is added to `weight.grad` and `bias.grad`. */
  readonly #weightGradient: Float32Array | null
  readonly #biasGradient: Float32Array | null
  /** Every array that belongs to this module, for the checks. */
  readonly #ownArrays: Readonly<Record<string, Float32Array>>
  #eps: number
  #momentum: number | null
  readonly #overflowWarning = new OverflowWarning()
  #last: Pass | null = null
  #spare: Pass

  /**
   * @param numFeatures - C, the number of channels
   * @param positions - the axes that may stand beside samples and channels; see `InputForm`
   * @throws TypeError or RangeError for an argument that is not valid, and for options that contradict each other
   */
  protected constructor(
    numFeatures: number,
    options: BatchNormOptions,
    positions: readonly (readonly string[])[],
  ) {
    this.numFeatures = positiveInteger('numFeatures', numFeatures)
    const settings = settingsOf(options)
    this.layout = settings.layout
    this.singleValue = settings.singleValue
    this.nonFinite = settings.nonFinite
    this.trackRunningStats = settings.trackRunningStats
    this.weight = settings.scale ? new Parameter(numFeatures, 1) : null
    this.bias = settings.center ? new Parameter(numFeatures, 0) : null
    this.#affine = { weight: this.weight?.data ?? null, bias: this.bias?.data ?? null }
    this.#weightGradient = this.weight && new Float32Array(numFeatures)
    this.#biasGradient = this.bias && new Float32Array(numFeatures)
    this.#running = settings.trackRunningStats ? new RunningStats(numFeatures) : null
    this.runningMean = this.#running?.mean ?? null
    this.runningVar = this.#running?.variance ?? null
    this.numBatchesTracked = this.#running?.numBatchesTracked ?? null
    this.#form = new InputForm(positions, numFeatures, settings.layout)
    this.#eps = settings.eps
    this.#momentum = settings.momentum
    this.#spare = new Pass(numFeatures)
    this.#ownArrays = {
      ...(this.weight && { weight: this.weight.data, 'weight.grad': this.weight.grad }),
      ...(this.bias && { bias: this.bias.data, 'bias.grad': this.bias.grad }),
      ...(this.#running && { runningMean: this.#running.mean.data, runningVar: this.#running.variance.data }),
    }
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

  /** Training mode, or eval mode for `false`. */
  train(mode = true): this {
    this.training = boolean('mode', mode)
    return this
  }

  /** Eval mode: normalize with the running statistics, and leave them as they are. */
  eval(): this {
    return this.train(false)
  }

  /**
   * Normalizes a batch. In training it also moves the running statistics and counts the batch. An
   * empty batch gives an empty output and changes nothing. The input is remembered, not copied, for
   * `backward`.
   *
   * @param input - float32, of one of the shapes that this module takes
   * @param options - `out`: where to write, of the input's length; may be the input itself
   * @returns the output, of the input's shape; a view of `out` if there is one
   * @throws TypeError or RangeError for an input or `out` that does not fit, for one value a channel
   * in training, and for what `nonFinite: 'throw'` names. Nothing has changed then.
   */
  forward(input: TensorLike, { out }: { out?: Vector } = {}): Tensor {
    this.#assertIntact()
    const x = float32Tensor('input', input)
    const extent = this.#form.extentOf(input.shape)
    const shape = input.shape.slice()
    const fromBatch = this.#usesBatchStatistics(extent, shape)
    const y = this.#result(out, shape, 'input', x)

    const pass = this.#spare
    if (x.length > 0) {
      if (fromBatch) this.#normalizeWithBatch(x, extent, pass, y)
      else this.#normalizeWithRunning(x, extent, pass, y)
    }
    pass.input = x
    pass.shape = shape
    pass.extent = extent
    pass.fromBatch = fromBatch
    pass.inputIsGone = out !== undefined && sameMemory(y, x)
    this.#keep(pass)
    return new Tensor(y, shape)
  }

  /**
   * The gradient with respect to the input of the last `forward`, in the form of the mode that it ran
   * in (in eval `gradOutput * weight * invstd`). Adds to `weight.grad` and `bias.grad`. Uses the
   * weight as it is now, so call it before the optimizer's step; each further call for the same
   * `forward` adds again.
   *
   * @param gradOutput - float32, of the output's shape
   * @param options - `out`: where to write, of the input's length; may be `gradOutput`, or the input
   * @returns gradInput, of the input's shape; a view of `out` if there is one
   * @throws TypeError before any `forward`, and when the input has been overwritten since; TypeError
   * or RangeError for a gradOutput or `out` that does not fit. Nothing has changed then.
   */
  backward(gradOutput: TensorLike, { out }: { out?: Vector } = {}): Tensor {
    this.#assertIntact()
    const gradY = float32Tensor('gradOutput', gradOutput)
    const pass = this.#passFor(gradOutput)
    const x = pass.input
    const gradX = this.#result(out, pass.shape, 'gradOutput', gradY)
    if (out !== undefined) assertSameOrApart('out', gradX, 'the input of forward()', x)

    if (x.length > 0) {
      const { extent, statistics, fromBatch } = pass
      const gradients = { input: gradX, weight: this.#weightGradient, bias: this.#biasGradient }
      currentBackend().backward(gradY, x, extent, statistics, this.#affine.weight, fromBatch, gradients)
      if (this.#weightGradient) this.weight?.addToGrad(this.#weightGradient)
      if (this.#biasGradient) this.bias?.addToGrad(this.#biasGradient)
    }
    pass.inputIsGone ||= out !== undefined && sameMemory(gradX, x)
    return new Tensor(gradX, pass.shape)
  }

  /** Sets the gradients to 0. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad.fill(0)
  }

  /** What an optimizer moves: weight and bias, as far as they exist. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter)
  }

  /** The parameters with their names, `weight` and `bias`. */
  namedParameters(): [name: string, parameter: Parameter][] {
    const parameters: [string, Parameter | null][] = [
      ['weight', this.weight],
      ['bias', this.bias],
    ]
    return parameters.filter((entry): entry is [string, Parameter] => entry[1] !== null)
  }

  /**
   * A copy of everything that is learned, under PyTorch's keys: `weight`, `bias`, `running_mean`,
   * `running_var` and `num_batches_tracked` (int64), as far as they exist. Unlike PyTorch's it does
   * not follow the module: it can be kept, or written, while training goes on.
   */
  stateDict(): Record<string, Tensor<TensorData>> {
    const copies = [...this.#state()].map(([key, { data, shape }]) => [key, new Tensor(data.slice(), shape)])
    return Object.fromEntries(copies)
  }

  /**
   * Copies a state dict into this module, all or nothing. A value is a tensor, or an array of numbers
   * (typed or not); `num_batches_tracked` may also be a number or a bigint.
   *
   * @param options - `strict`: whether missing and unexpected keys are errors, default true
   * @returns the missing and the unexpected keys, which without `strict` are left alone
   * @throws RangeError that names all missing and unexpected keys and those of a wrong shape or type
   */
  loadStateDict(state: State, { strict = true }: { strict?: boolean } = {}): LoadedKeys {
    return loadState(this.toString(), state, this.#state(), boolean('strict', strict))
  }

  /** Running mean 0, running variance 1, no batch tracked. */
  resetRunningStats(): void {
    this.#running?.reset()
  }

  /** `resetRunningStats`, and weight 1, bias 0. */
  resetParameters(): void {
    this.resetRunningStats()
    this.weight?.data.fill(1)
    this.bias?.data.fill(0)
  }

  /** As PyTorch prints a module: `BatchNorm1d(100, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)`. */
  toString(): string {
    const python = (value: boolean) => (value ? 'True' : 'False')
    const scale = this.weight !== null
    const center = this.bias !== null
    const settings = [
      this.numFeatures,
      `eps=${pythonNumber(this.eps)}`,
      `momentum=${this.momentum === null ? 'None' : pythonNumber(this.momentum)}`,
      scale === center ? `affine=${python(scale)}` : `scale=${python(scale)}, center=${python(center)}`,
      `track_running_stats=${python(this.trackRunningStats)}`,
    ]
    return `${this.constructor.name}(${settings.join(', ')})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  #usesBatchStatistics(extent: Extent, shape: Shape): boolean {
    if (!this.training && this.#running !== null) return false
    if (valuesPerChannel(extent) !== 1) return true
    if (this.singleValue === 'throw') {
      const orRunning = this.#running ? ", or use the option singleValue: 'running'" : ''
      throw singleValueError(shape, `a last batch of 1? Drop it${orRunning}`)
    }
    return false
  }

  #normalizeWithBatch(x: Float32Array, extent: Extent, pass: Pass, y: Float32Array): void {
    const running = this.#running
    const momentum = this.#momentum ?? running?.cumulativeMomentum() ?? 0
    const settings = { eps: this.#eps, momentum, nonFinite: this.nonFinite }
    const buffers = running?.buffers ?? null
    const { moments, statistics } = pass
    const backend = currentBackend()
    const fits = backend.forward(x, extent, settings, this.#affine, buffers, moments, statistics.invstd, y)
    if (!fits && this.nonFinite === 'throw') throw nonFiniteError(moments)
    if (!fits && this.nonFinite === 'propagate' && running) this.#overflowWarning.give(moments)
    if (fits || this.nonFinite === 'propagate') running?.countBatch()
  }

  #normalizeWithRunning(x: Float32Array, extent: Extent, { statistics }: Pass, y: Float32Array): void {
    const running = this.#running as RunningStats
    const backend = currentBackend()
    backend.evalStatistics(running.buffers, this.#eps, statistics)
    backend.normalize(x, extent, statistics, this.#affine, y)
  }

  /** A transferred array has no elements; a backend must not meet one. */
  #assertIntact(): void {
    for (const name in this.#ownArrays) {
      const array = this.#ownArrays[name]
      if (array.length === this.numFeatures) continue
      throw wrongLength(name, array, this.numFeatures, 'one value a channel')
    }
  }

  /** Where a result goes: a new array, or `out` if it fits and is safe to write. */
  #result(out: Vector | undefined, shape: Shape, readName: string, read: Float32Array): Float32Array {
    const array = outArray(out, shape, read.length)
    if (out === undefined) return array
    assertSameOrApart('out', array, readName, read)
    assertApart('out', array, this.#ownArrays)
    return array
  }

  #keep(pass: Pass): void {
    const previous = this.#last ?? new Pass(this.numFeatures)
    previous.release()
    this.#spare = previous
    this.#last = pass
  }

  /** The last forward, if `backward` can follow it with this gradient. */
  #passFor(gradOutput: TensorLike): Pass {
    const pass = this.#last
    if (pass === null) {
      throw new TypeError(
        'Expected a forward() before backward(gradOutput) but received none (call forward(input) first)',
      )
    }
    if (!sameShape(gradOutput.shape, pass.shape)) {
      throw invalidShape(
        'gradOutput',
        `${describe(pass.shape)}, the shape of the last output,`,
        gradOutput.shape,
      )
    }
    if (pass.input.length !== elementCount('input', pass.shape)) {
      throw wrongLength(
        'the input of forward()',
        pass.input,
        elementCount('input', pass.shape),
        'backward(gradOutput)',
      )
    }
    if (pass.inputIsGone && (pass.fromBatch || this.weight !== null)) {
      throw new TypeError(
        'Expected the input of forward() to be unchanged until backward(gradOutput) but received a result ' +
          'in its place (give forward() or backward() an out that is not the input)',
      )
    }
    return pass
  }

  #state(): Map<string, Tensor<TensorData>> {
    const entries: [string, Tensor<TensorData> | null][] = [
      ['weight', this.weight],
      ['bias', this.bias],
      ['running_mean', this.runningMean],
      ['running_var', this.runningVar],
      ['num_batches_tracked', this.numBatchesTracked],
    ]
    return new Map(entries.filter((entry): entry is [string, Tensor<TensorData>] => entry[1] !== null))
  }
}
