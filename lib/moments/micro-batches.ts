import type { GradientSums, Statistics, ChannelMoments as Sums } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { invstdOfMoments } from '../backend/moments.ts'
import { aliasing, assertAliasing } from '../checks/aliasing.ts'
import { assertAgreeing } from '../checks/contradictions.ts'
import { singleValueError } from '../checks/errors.ts'
import { refuseSetting } from '../checks/fixed-properties.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import {
  type FloatInput,
  type FloatTensorLike,
  type FloatVector,
  outArray,
  perChannelVector,
} from '../checks/tensors.ts'
import {
  affineOf,
  type Input,
  inputOf,
  matchingValues,
  type ResultData,
  resultTensor,
} from '../functional/arguments.ts'
import { checkFit } from '../functional/non-finite.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'
import { internals } from '../modules/internals.ts'
import { roundedTo, type TensorData } from '../tensor/data-type.ts'
import { type Shape, valuesPerChannel } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Moments } from './moments.ts'

const names = optionNames<{ out?: FloatVector }>({ out: true })

/**
 * One step of training over micro-batches, with the meaning of one big batch: all are normalized by the
 * statistics of all, the running statistics move once, and the gradient flows through the statistics of
 * all. The big batch need never be in one array. There are four rounds over the micro-batches:
 *
 * ```ts
 * const step = new MicroBatches(bn)
 * for (const x of parts) step.observe(x)                                          // the statistics
 * const outputs = parts.map((x) => step.forward(x))
 * parts.forEach((x, index) => step.observeGradient(gradOutputs[index], x))        // the gradients' sums
 * const gradInputs = parts.map((x, index) => step.backward(gradOutputs[index], x))
 * ```
 *
 * The first `forward` moves the running statistics and counts the batch; the first `backward` adds to
 * `weight.grad` and `bias.grad`. An empty micro-batch changes nothing and has empty results, in any round.
 * What comes out is as exact as of the big batch (`docs/moments.md` says when it is the same to the bit),
 * and the same on every backend.
 *
 *     mean, variance: of `Moments`
 *     y         = (x - mean) * invstd * weight + bias
 *     gradInput = weight * invstd * (gradOutput - sum(gradOutput) / n - xhat * sum(gradOutput * xhat) / n)
 *
 * with n and the sums over all micro-batches; after Zhang et al. 2018, "Context Encoding for Semantic
 * Segmentation", section 3.3 (synchronized cross-GPU batch normalization).
 */
export class MicroBatches {
  /** Of all the inputs that were observed. */
  readonly moments: Moments
  readonly #module: AnyBatchNorm
  /** What normalizes, from the first `forward` on. */
  #statistics: Statistics | null = null
  readonly #sums: GradientSums
  /** How many values a channel the sums are over. */
  #summed = 0
  #isBackward = false

  /**
   * @param module - in training mode, without options that cut or correct the statistics of a batch
   * @throws TypeError for a module in another mode, or with `virtualBatchSize`, `renorm`, `positiveScale`,
   * `activation` or `reuse`, and for a `SyncBatchNorm`
   */
  constructor(module: AnyBatchNorm) {
    assertBatchNorm('module', module)
    if (!module.normalizesWithBatch) {
      throw new TypeError(
        `Expected ${module} to normalize with the batch's statistics but received it in eval mode or frozen (call train() first)`,
      )
    }
    const collective = module[internals].synchronization()
    assertAgreeing({ ...module.options, microBatches: true, collective })
    const { numFeatures, layout } = module
    this.#module = module
    this.moments = new Moments(numFeatures, { layout })
    this.#sums = emptySums(numFeatures)
    refuseSetting(this, 'microBatches', { moments: 'one MicroBatches for each step' })
  }

  /**
   * The first round: adds an input to the statistics.
   *
   * @throws TypeError after the first `forward`; TypeError or RangeError for an input that does not fit.
   * After an error nothing has changed.
   */
  observe(input: FloatTensorLike): this {
    if (this.#statistics !== null) throw outOfTurn('observe(input)', 'before the first forward(input)')
    this.moments.update(input)
    return this
  }

  /**
   * The second round: normalizes one of the inputs.
   *
   * @param options - `out`: where to write, of the input's length; not the input, which backward needs
   * @throws RangeError for a single value a channel in all, and for what `nonFinite: 'throw'` names;
   * TypeError or RangeError for an argument that does not fit. After an error nothing has changed.
   */
  forward<Data extends TensorData = Float32Array>(
    input: FloatInput<Data>,
    options: { out?: FloatVector } = {},
  ): Tensor<ResultData<Data>> {
    const { out } = optionsObject(options, names)
    const { weight, bias, runningMean, runningVar } = this.#module
    const given = this.#inputOf(input)
    const { x, extent, shape, type } = given
    const affine = affineOf(weight, bias, given)
    const y = outArray(out, shape, x.length, type)
    assertAliasing(aliasing.forwardPart, {
      out: y,
      input: x,
      ...affine,
      runningMean: runningMean?.data,
      runningVar: runningVar?.data,
      ...this.#gradients(),
    })
    if (x.length > 0) {
      this.#statistics ??= this.#endObserving(shape)
      currentBackend().normalize(x, extent, this.#statistics, affine, y)
    }
    return resultTensor(y, given)
  }

  /**
   * The third round: adds the gradient of one of the outputs to the sums.
   *
   * @param input - of the same micro-batch
   * @throws TypeError before the first `forward` and after the first `backward`; TypeError or RangeError
   * for an argument that does not fit. After an error nothing has changed.
   */
  observeGradient<Data extends TensorData = Float32Array>(
    gradOutput: FloatInput<Data>,
    input: FloatInput<Data>,
  ): this {
    const call = 'observeGradient(gradOutput, input)'
    const given = this.#inputOf(input)
    const gradY = matchingValues('gradOutput', gradOutput, given)
    if (gradY.length === 0) return this
    if (this.#isBackward) throw outOfTurn(call, 'before the first backward(gradOutput, input)')
    const statistics = this.#statisticsFor(call)
    const sums = emptySums(given.extent.channels)
    currentBackend().gradientSums(gradY, given.x, given.extent, statistics, sums)
    sums.gradient.forEach((sum, channel) => {
      this.#sums.gradient[channel] += sum
      this.#sums.product[channel] += sums.product[channel]
    })
    this.#summed += valuesPerChannel(given.extent)
    return this
  }

  /**
   * The fourth round: the gradient with respect to one of the inputs.
   *
   * @param input - of the same micro-batch
   * @param options - `out`: where to write, of the input's length; may be `gradOutput` or the input
   * @throws TypeError until the gradients of all the inputs were observed; TypeError or RangeError for an
   * argument that does not fit. After an error nothing has changed.
   */
  backward<Data extends TensorData = Float32Array>(
    gradOutput: FloatInput<Data>,
    input: FloatInput<Data>,
    options: { out?: FloatVector } = {},
  ): Tensor<ResultData<Data>> {
    const { out } = optionsObject(options, names)
    const given = this.#inputOf(input)
    const { x, extent, shape, type } = given
    const gradY = matchingValues('gradOutput', gradOutput, given)
    const weight = perChannelVector('weight', this.#module.weight, extent.channels, type)
    const gradX = outArray(out, shape, x.length, type)
    assertAliasing(aliasing.backwardPart, {
      out: gradX,
      gradOutput: gradY,
      input: x,
      weight,
      ...this.#gradients(),
    })
    if (x.length > 0) {
      const statistics = this.#statisticsFor('backward(gradOutput, input)')
      const { count } = this.moments
      if (!this.#isBackward) this.#addGradients(count)
      const gradients = { input: gradX }
      currentBackend().inputGradient(gradY, x, extent, statistics, weight, this.#sums, count, gradients)
    }
    return resultTensor(gradX, given)
  }

  #inputOf(input: FloatTensorLike): Input {
    return inputOf('input', input, this.moments.layout, this.moments.channels)
  }

  /** The arrays that backward adds to. */
  #gradients() {
    const { weight, bias } = this.#module
    return { 'weight.grad': weight?.grad, 'bias.grad': bias?.grad }
  }

  /** Ends the first round. */
  #endObserving(shape: Shape): Statistics {
    const total = this.moments.total()
    const { count, mean, meanLow } = total
    if (count === 1) throw singleValueError(shape, 'observe more than one sample')
    this.#moveRunning(total)
    return { mean, invstd: invstdOfMoments(total, this.#module.eps), ...(meanLow && { meanLow }) }
  }

  /** As a forward in training does: by the switches of the module, its momentum and its `nonFinite`. */
  #moveRunning(moments: Sums): void {
    const { movesRunningStats, momentum, nonFinite, dtype } = this.#module
    const running = this.#module[internals].runningStats()
    const updatesRunning = running !== null && movesRunningStats
    const fits = checkFit(moments, updatesRunning ? running : null, dtype, nonFinite)
    if (!updatesRunning) return
    running.assertWritable()
    running.move(moments, momentum, nonFinite, fits)
  }

  #statisticsFor(call: string): Statistics {
    if (this.#statistics === null) throw outOfTurn(call, 'after the first forward(input)')
    return this.#statistics
  }

  /** Ends the third round. */
  #addGradients(count: number): void {
    if (this.#summed !== count) {
      throw new TypeError(
        `Expected the gradients of ${count} values a channel but received those of ${this.#summed} ` +
          '(call observeGradient(gradOutput, input) once for each micro-batch first)',
      )
    }
    const { weight, bias, dtype } = this.#module
    if (weight?.requiresGrad) weight.addToGrad(this.#sums.product.map((sum) => roundedTo(dtype, sum)))
    if (bias?.requiresGrad) bias.addToGrad(this.#sums.gradient.map((sum) => roundedTo(dtype, sum)))
    this.#isBackward = true
  }
}

function emptySums(channels: number): GradientSums {
  return { gradient: new Float64Array(channels), product: new Float64Array(channels) }
}

function outOfTurn(call: string, turn: string): TypeError {
  return new TypeError(
    `Expected ${call} ${turn} but received it out of turn (one MicroBatches for each step)`,
  )
}
