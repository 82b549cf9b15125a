import { serialization, type Tensor, type Tensor1D, tensor1d, tidy } from '@tensorflow/tfjs-core'
import { type LayerVariable, layers } from '@tensorflow/tfjs-layers'
import { invalidValue } from '../../checks/errors.ts'
import { boolean } from '../../checks/scalars.ts'
import type { Collective } from '../../distributed/collective.ts'
import { type BatchNormalizationArgs, checkedArguments, type KerasArgs } from './arguments.ts'
import { extentOf } from './extent.ts'
import { argumentsOf } from './keras-config.ts'
import { maskOfInput, unmaskedRows } from './mask.ts'
import {
  normalizeWithBatch,
  normalizeWithMoving,
  normalizeWithRanks,
  normalizeWithUnmasked,
} from './operations.ts'
import { float32Of } from './values.ts'

/** What tf.layers' own layer keeps. Its class is not exported, so these are declared here. */
interface KerasBatchNormalization extends layers.Layer {
  readonly axis: number
  readonly momentum: number
  readonly epsilon: number
  readonly gamma?: LayerVariable
  readonly beta?: LayerVariable
  readonly movingMean: LayerVariable
  readonly movingVariance: LayerVariable
}

interface CallOptions {
  readonly training?: boolean | null
  readonly mask?: Tensor | null
}

type KerasClass = Omit<typeof layers.Layer, 'prototype'> & { className: string } & (new (
    args?: KerasArgs,
  ) => KerasBatchNormalization)

/** tf.layers' own layer. */
export const Keras = layers.batchNormalization({ name: 'batch_norm' }).constructor as unknown as KerasClass

/**
 * Batch normalization for TensorFlow.js: tf.layers' own layer (its arguments, weights, their names
 * and order, its configuration) with this library's arithmetic in place of its own.
 *
 *     training:  y = (x - mean(x)) / sqrt(variance(x) + epsilon) * gamma + beta
 *                moving = momentum * moving + (1 - momentum) * batch
 *     inference: y = (x - moving_mean) / sqrt(moving_variance + epsilon) * gamma + beta
 *
 * The meaning is Keras', not PyTorch's: `momentum` weighs the old statistic, and the variance that
 * is kept is the biased one (divides by n). `training` comes with the call: `model.fit` and
 * `trainOnBatch` set it, `predict` does not.
 *
 * A frozen layer (`trainable = false` on it, or on the model around it) runs in inference mode and
 * keeps its moving statistics, as Keras does since TensorFlow 2.0; tf.layers' own goes on with
 * batch statistics. A model tells its layers through gamma and beta, so a layer that has neither
 * must be frozen itself. https://keras.io/api/layers/normalization_layers/batch_normalization/
 *
 * A mask (of `tf.layers.masking`, of an embedding with `maskZero`, or `mask` of the call) keeps values out of the
 * statistics, as in Keras 3: it has the axes of the input but the last. Masked values are normalized as the
 * others are. A channel that is masked everywhere keeps its moving statistics. The mask goes on to the next
 * layer; TensorFlow.js takes none into a model that is used as a layer. The gradients with a mask have none of
 * their own.
 *
 * A constraint acts when weights are set; TensorFlow.js applies none after an optimizer's update.
 *
 * With a `collective` of `batchnorm/distributed` the statistics are those of the batches of all ranks, as of
 * `SyncBatchNorm`, which says what the ranks have to do alike; in inference there is no collective. It is no part of the
 * configuration, takes no masks, and waits for the other ranks on this thread.
 *
 * Any rank, any axis, float32. `scale: false` and `center: false` train. Gradients have gradients
 * (for gradient penalties); those of the latter throw. An empty batch changes nothing.
 */
export class BatchNormalization extends Keras {
  /** The name in a saved model; importing this module registers it for `tf.loadLayersModel`. */
  static override className = 'BatchNorm'

  readonly #collective: Collective | null

  /** @throws TypeError or RangeError that names the argument */
  constructor(args?: BatchNormalizationArgs | null) {
    const { collective, ...others } = checkedArguments(args)
    super(others)
    // Of one rank the batch is the whole.
    this.#collective = collective === undefined || collective.size === 1 ? null : collective
  }

  /**
   * Reads what `getConfig()` writes, and what Keras 2 and 3 write.
   *
   * @throws RangeError for what this layer does not have, such as `renorm: true`
   */
  static override fromConfig<Layer extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<Layer>,
    config: serialization.ConfigDict,
  ): Layer {
    return new cls(argumentsOf(config))
  }

  /**
   * Makes the variables of the layer, one value a channel: gamma, beta and the moving statistics.
   *
   * @param inputShape - the shape of the input, `null` for the samples
   * @throws RangeError if the axis is not one of the input's
   */
  override build(inputShape: Parameters<layers.Layer['build']>[0]): void {
    const rank = (Array.isArray(inputShape[0]) ? inputShape[0] : inputShape).length
    if (this.axis < -rank || this.axis >= rank) {
      throw invalidValue('axis', `one of ${-rank} to ${rank - 1} for an input of ${rank} axes`, this.axis)
    }
    super.build(inputShape)
  }

  /**
   * Normalizes a batch: by its own statistics in training, which move the moving ones, otherwise by those.
   *
   * @param inputs - one float32 tensor, of any rank of at least 2
   * @throws TypeError if the input is not float32, `training` no boolean or `mask` no tensor; RangeError if the
   * mask does not fit the input
   */
  override call(inputs: Tensor | Tensor[], { training, mask }: CallOptions = {}): Tensor {
    return tidy(() => {
      const input = Array.isArray(inputs) ? inputs[0] : inputs
      checkType(input)
      const usesBatch = boolean('training', training ?? false) && !this.frozen
      const collective = usesBatch ? this.#collective : null
      // The other ranks wait for one without values, too.
      if (input.size === 0 && collective === null) return input.clone()
      const extent = extentOf(input.shape, this.axis)
      const affine = { gamma: read(this.gamma), beta: read(this.beta) }
      if (!usesBatch) {
        const moving = { mean: valuesOf(this.movingMean), variance: valuesOf(this.movingVariance) }
        return normalizeWithMoving(input, extent, affine, moving, this.epsilon)
      }
      const own = maskOfInput(this, inputs, mask)
      if (own && collective) {
        throw new TypeError('Expected no mask with a collective but received both (leave one of them out)')
      }
      const { output, batch } = collective
        ? normalizeWithRanks(input, extent, affine, this.epsilon, collective)
        : own
          ? normalizeWithUnmasked(input, extent, affine, this.epsilon, unmaskedRows(own, input, extent))
          : normalizeWithBatch(input, extent, affine, this.epsilon)
      this.move(this.movingMean, batch.mean, batch.counts)
      this.move(this.movingVariance, batch.variance, batch.counts)
      return output
    })
  }

  /** A model that is frozen freezes the weights of its layers, not the layers. */
  private get frozen(): boolean {
    return !this.trainable || this.gamma?.trainable === false || this.beta?.trainable === false
  }

  /** `moving = momentum * moving + (1 - momentum) * batch` in float64, stored in float32; of channels with values. */
  private move(moving: LayerVariable, batch: Float64Array, counts: Float64Array): void {
    const values = valuesOf(moving).map((old, channel) =>
      counts[channel] === 0 ? old : this.momentum * old + (1 - this.momentum) * batch[channel],
    )
    moving.write(tensor1d(values))
  }
}

serialization.registerClass(BatchNormalization, 'batchnorm')

/**
 * Creates a `BatchNormalization` layer, as `tf.layers.batchNormalization` creates its own.
 *
 * @example
 * const model = tf.sequential()
 * model.add(tf.layers.dense({ units: 256, inputShape: [784] }))
 * model.add(batchNormalization())
 * model.add(tf.layers.reLU())
 */
export function batchNormalization(args?: BatchNormalizationArgs | null): BatchNormalization {
  return new BatchNormalization(args)
}

function read(variable: LayerVariable | undefined): Tensor1D | null {
  return variable ? (variable.read() as Tensor1D) : null
}

function valuesOf(variable: LayerVariable): Float32Array {
  return float32Of(variable.read())
}

function checkType({ dtype }: Tensor): void {
  if (dtype === 'float32') return
  throw new TypeError(
    `Expected input of dtype float32 but received ${dtype} (did you mean input.cast('float32')?)`,
  )
}
