import { serialization, type Tensor, type Tensor1D, tensor1d, tidy } from '@tensorflow/tfjs-core'
import { type LayerVariable, layers } from '@tensorflow/tfjs-layers'
import { extentOf } from './extent.ts'
import { normalizeWithBatch, normalizeWithMoving } from './operations.ts'

/**
 * The arguments of `tf.layers.batchNormalization`, with its defaults: `axis` -1, `momentum` 0.99,
 * `epsilon` 1e-3, `center` and `scale` true, and an initializer, a regularizer and a constraint for
 * gamma and for beta.
 */
export type BatchNormalizationArgs = NonNullable<Parameters<typeof layers.batchNormalization>[0]>

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

type KerasClass = Omit<typeof layers.Layer, 'prototype'> &
  (new (
    args?: BatchNormalizationArgs,
  ) => KerasBatchNormalization)

const Keras = layers.batchNormalization({ name: 'batch_norm' }).constructor as unknown as KerasClass

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
 * A constraint acts when weights are set; TensorFlow.js applies none after an optimizer's update.
 *
 * Any rank, any axis, float32. `scale: false` and `center: false` train. Gradients have gradients
 * (for gradient penalties); those of the latter throw. An empty batch changes nothing.
 */
export class BatchNormalization extends Keras {
  /** The name in a saved model; importing this module registers it for `tf.loadLayersModel`. */
  static className = 'BatchNorm'

  /** @throws RangeError if axis is not an integer, momentum not in [0, 1] or epsilon negative */
  constructor(args?: BatchNormalizationArgs) {
    super(args)
    const { axis, momentum, epsilon } = this
    checkArgument(Number.isInteger(axis), 'axis', 'an integer', axis)
    checkArgument(momentum >= 0 && momentum <= 1, 'momentum', 'a number from 0 to 1', momentum)
    checkArgument(epsilon >= 0 && Number.isFinite(epsilon), 'epsilon', 'a finite number, 0 or more', epsilon)
  }

  /** @throws RangeError if the axis is not one of the input's */
  override build(inputShape: Parameters<layers.Layer['build']>[0]): void {
    const rank = (Array.isArray(inputShape[0]) ? inputShape[0] : inputShape).length
    const inRange = this.axis >= -rank && this.axis < rank
    checkArgument(inRange, 'axis', `one of ${-rank} to ${rank - 1} for an input of ${rank} axes`, this.axis)
    super.build(inputShape)
  }

  /** @throws TypeError if the input is not float32 */
  override call(inputs: Tensor | Tensor[], kwargs: { training?: boolean }): Tensor {
    return tidy(() => {
      const input = Array.isArray(inputs) ? inputs[0] : inputs
      checkType(input)
      if (input.size === 0) return input.clone()
      const extent = extentOf(input.shape, this.axis)
      const affine = { gamma: read(this.gamma), beta: read(this.beta) }
      if (!kwargs.training || this.frozen) {
        const moving = { mean: valuesOf(this.movingMean), variance: valuesOf(this.movingVariance) }
        return normalizeWithMoving(input, extent, affine, moving, this.epsilon)
      }
      const { output, moments } = normalizeWithBatch(input, extent, affine, this.epsilon)
      this.move(this.movingMean, moments.mean)
      this.move(
        this.movingVariance,
        moments.m2.map((m2) => m2 / moments.count),
      )
      return output
    })
  }

  /** A model that is frozen freezes the weights of its layers, not the layers. */
  private get frozen(): boolean {
    return !this.trainable || this.gamma?.trainable === false || this.beta?.trainable === false
  }

  /** `moving = momentum * moving + (1 - momentum) * batch` in float64, stored in float32. */
  private move(moving: LayerVariable, batch: Float64Array): void {
    const values = valuesOf(moving).map(
      (old, channel) => this.momentum * old + (1 - this.momentum) * batch[channel],
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
export function batchNormalization(args?: BatchNormalizationArgs): BatchNormalization {
  return new BatchNormalization(args)
}

function read(variable: LayerVariable | undefined): Tensor1D | null {
  return variable ? (variable.read() as Tensor1D) : null
}

function valuesOf(variable: LayerVariable): Float32Array {
  return variable.read().dataSync<'float32'>()
}

function checkType({ dtype }: Tensor): void {
  if (dtype === 'float32') return
  throw new TypeError(
    `Expected input of dtype float32 but received ${dtype} (did you mean input.cast('float32')?)`,
  )
}

function checkArgument(holds: boolean, name: string, expected: string, received: unknown): void {
  if (!holds) throw new RangeError(`Expected ${name} to be ${expected} but received ${received}`)
}
