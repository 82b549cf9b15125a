import type { Affine, Extent, NonFinite, Running } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { describe, invalidShape, singleValueError, wrongLength } from '../errors.ts'
import { pythonNumber } from '../format.ts'
import { assertReadable, whileInFlight } from '../in-flight.ts'
import { nonFiniteError, OverflowWarning } from '../non-finite.ts'
import { elementCount, type Layout, type Shape, sameShape, valuesPerChannel } from '../shape.ts'
import { Tensor, type TensorData } from '../tensor.ts'
import {
  assertApart,
  assertSameOrApart,
  float32Tensor,
  nonNegative,
  outArray,
  positiveInteger,
  sameMemory,
  type TensorLike,
  type Vector,
} from '../validate.ts'
import { InputForm } from './input-form.ts'
import { Module } from './module.ts'
import { type BatchNormOptions, momentumOf, type SingleValue, settingsOf } from './options.ts'
import { Parameter } from './parameter.ts'
import { Pass } from './pass.ts'
import { RunningStats } from './running-stats.ts'

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
export abstract class BatchNorm extends Module {
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

  readonly #form: InputForm
  readonly #affine: Affine
  readonly #running: RunningStats | null
  /** What `backward` writes; weight and bias are then added to `weight.grad` and `bias.grad`. */
  readonly #gradients: {
    input: Float32Array | null
    readonly weight: Float32Array | null
    readonly bias: Float32Array | null
  }
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
    super()
    this.numFeatures = positiveInteger('numFeatures', numFeatures)
    const settings = settingsOf(options)
    this.layout = settings.layout
    this.singleValue = settings.singleValue
    this.nonFinite = settings.nonFinite
    this.trackRunningStats = settings.trackRunningStats
    this.weight = settings.scale ? new Parameter(numFeatures, 1) : null
    this.bias = settings.center ? new Parameter(numFeatures, 0) : null
    this.#affine = { weight: this.weight?.data ?? null, bias: this.bias?.data ?? null }
    this.#gradients = {
      input: null,
      weight: this.weight && new Float32Array(numFeatures),
      bias: this.bias && new Float32Array(numFeatures),
    }
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
    const pass = this.#startForward(input, out)
    return this.#endForward(pass, pass.input.length === 0 || this.#run(pass))
  }

  /**
   * `forward` on another thread, with the same bits; the event loop runs on. Until the promise is
   * settled the module takes no other call, and the arrays none that would touch them while they are
   * written or write them while they are read. They must not be changed or transferred meanwhile. The
   * TypeScript backend has no other thread: it works in a turn of its own.
   *
   * @returns a promise of what `forward` returns; rejected for what `forward` throws
   */
  async forwardAsync(input: TensorLike, { out }: { out?: Vector } = {}): Promise<Tensor> {
    const pass = this.#startForward(input, out)
    if (pass.input.length === 0) return this.#endForward(pass, true)
    const running = pass.fromBatch ? this.#running?.buffers : null
    const read = [pass.input, this.#affine.weight, this.#affine.bias]
    const written = [pass.output, running?.mean ?? null, running?.variance ?? null]
    return this.whileBusy(async () => {
      const fits = await whileInFlight(read, written, () => this.#runAsync(pass))
      return this.#endForward(pass, fits)
    })
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
    const gradY = float32Tensor('gradOutput', gradOutput)
    const pass = this.#startBackward(gradOutput, gradY, out)
    if (gradY.length > 0) {
      const { input, extent, statistics, fromBatch } = pass
      const { weight } = this.#affine
      currentBackend().backward(gradY, input, extent, statistics, weight, fromBatch, this.#gradients)
    }
    return this.#endBackward(pass, out)
  }

  /**
   * `backward` on another thread; see `forwardAsync`.
   *
   * @returns a promise of what `backward` returns; rejected for what `backward` throws
   */
  async backwardAsync(gradOutput: TensorLike, { out }: { out?: Vector } = {}): Promise<Tensor> {
    const gradY = float32Tensor('gradOutput', gradOutput)
    const pass = this.#startBackward(gradOutput, gradY, out)
    if (gradY.length === 0) return this.#endBackward(pass, out)
    const { input, extent, statistics, fromBatch } = pass
    const { weight } = this.#affine
    const gradients = this.#gradients
    return this.whileBusy(async () => {
      await whileInFlight([gradY, input, weight], [gradients.input], () =>
        currentBackend().backwardAsync(gradY, input, extent, statistics, weight, fromBatch, gradients),
      )
      return this.#endBackward(pass, out)
    })
  }

  /** The parameters with their names, `weight` and `bias`. */
  namedParameters(): [name: string, parameter: Parameter][] {
    const parameters: [string, Parameter | null][] = [
      ['weight', this.weight],
      ['bias', this.bias],
    ]
    return parameters.filter((entry): entry is [string, Parameter] => entry[1] !== null)
  }

  /** Running mean 0, running variance 1, no batch tracked. */
  resetRunningStats(): void {
    this.assertIdle('resetRunningStats()')
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

  #usesBatchStatistics(extent: Extent, shape: Shape): boolean {
    if (!this.training && this.#running !== null) return false
    if (valuesPerChannel(extent) !== 1) return true
    if (this.singleValue === 'throw') {
      const orRunning = this.#running ? ", or use the option singleValue: 'running'" : ''
      throw singleValueError(shape, `a last batch of 1? Drop it${orRunning}`)
    }
    return false
  }

  /** Checks everything and fills the spare pass. */
  #startForward(input: TensorLike, out: Vector | undefined): Pass {
    this.assertIdle('forward(input)')
    this.#assertIntact()
    const x = float32Tensor('input', input)
    const pass = this.#spare
    // A shape like the last one is that one: frozen, so that outputs may share it.
    if (this.#last !== null && sameShape(input.shape, this.#last.shape)) {
      pass.shape = this.#last.shape
      pass.extent = this.#last.extent
    } else {
      pass.extent = this.#form.extentOf(input.shape)
      pass.shape = Object.freeze(input.shape.slice())
    }
    pass.fromBatch = this.#usesBatchStatistics(pass.extent, pass.shape)
    pass.input = x
    pass.output = this.#result(out, pass.shape, 'input', x)
    pass.inputIsGone = out !== undefined && sameMemory(pass.output, x)
    pass.settings.eps = this.#eps
    pass.settings.momentum = this.#momentum ?? this.#running?.cumulativeMomentum() ?? 0
    pass.settings.nonFinite = this.nonFinite
    return pass
  }

  /** Returns whether the batch's statistics are finite and fit float32. */
  #run({ input, output, extent, settings, moments, statistics, fromBatch }: Pass): boolean {
    const backend = currentBackend()
    const running = this.#running?.buffers ?? null
    if (fromBatch) {
      return backend.forward(
        input,
        extent,
        settings,
        this.#affine,
        running,
        moments,
        statistics.invstd,
        output,
      )
    }
    backend.evalStatistics(running as Running, settings.eps, statistics)
    backend.normalize(input, extent, statistics, this.#affine, output)
    return true
  }

  async #runAsync({
    input,
    output,
    extent,
    settings,
    moments,
    statistics,
    fromBatch,
  }: Pass): Promise<boolean> {
    const backend = currentBackend()
    const running = this.#running?.buffers ?? null
    if (fromBatch) {
      const { invstd } = statistics
      return backend.forwardAsync(input, extent, settings, this.#affine, running, moments, invstd, output)
    }
    backend.evalStatistics(running as Running, settings.eps, statistics)
    await backend.normalizeAsync(input, extent, statistics, this.#affine, output)
    return true
  }

  #endForward(pass: Pass, fits: boolean): Tensor {
    const { input, output, shape, moments, fromBatch } = pass
    if (fromBatch && input.length > 0) {
      const running = this.#running
      if (!fits && this.nonFinite === 'throw') throw nonFiniteError(moments)
      if (!fits && this.nonFinite === 'propagate' && running) this.#overflowWarning.give(moments)
      if (fits || this.nonFinite === 'propagate') running?.countBatch()
    }
    this.#keep(pass)
    return new Tensor(output, shape)
  }

  /** Checks everything, and says where the gradient of the input goes. */
  #startBackward(gradOutput: TensorLike, gradY: Float32Array, out: Vector | undefined): Pass {
    this.assertIdle('backward(gradOutput)')
    this.#assertIntact()
    const pass = this.#passFor(gradOutput)
    const gradX = this.#result(out, pass.shape, 'gradOutput', gradY)
    if (out !== undefined) assertSameOrApart('out', gradX, 'the input of forward()', pass.input)
    assertReadable('the input of forward()', pass.input)
    this.#gradients.input = gradX
    return pass
  }

  #endBackward(pass: Pass, out: Vector | undefined): Tensor {
    const { weight, bias } = this.#gradients
    const gradX = this.#gradients.input as Float32Array
    this.#gradients.input = null
    if (gradX.length > 0) {
      if (weight) this.weight?.addToGrad(weight)
      if (bias) this.bias?.addToGrad(bias)
    }
    pass.inputIsGone ||= out !== undefined && sameMemory(gradX, pass.input)
    return new Tensor(gradX, pass.shape)
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

  protected state(): Map<string, Tensor<TensorData>> {
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
