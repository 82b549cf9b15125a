/** What a training loop is made of: examples as tensors, a step of the optimizer, the accuracy. */
import * as tf from '@tensorflow/tfjs-core'
import type { Sequential } from '@tensorflow/tfjs-layers'
import type { Examples } from './examples.ts'

export interface ExampleTensors {
  readonly inputs: tf.Tensor2D
  readonly labels: tf.Tensor1D
  readonly [name: string]: tf.Tensor
}

export function tensorsOf({ count, inputs, labels }: Examples): ExampleTensors {
  return { inputs: tf.tensor2d(inputs, [count, inputs.length / count]), labels: tf.tensor1d(labels, 'int32') }
}

/**
 * The gradients of the mean softmax cross-entropy of the examples `indices`, times `scale`, and how many are told right.
 * To be called in a `tf.tidy`.
 */
export function gradientsOf(
  model: Sequential,
  examples: ExampleTensors,
  indices: Int32Array,
  scale = 1,
): { loss: tf.Scalar; gradients: tf.NamedTensorMap; correct: number } {
  const batch = tf.tensor1d(indices, 'int32')
  const inputs = tf.gather(examples.inputs, batch)
  const labels = tf.gather(examples.labels, batch)
  let correct = 0
  const { value: loss, grads: gradients } = tf.variableGrads(() => {
    const logits = model.apply(inputs, { training: true }) as tf.Tensor2D
    correct = correctOf(logits, labels)
    const mean = tf.losses.softmaxCrossEntropy(tf.oneHot(labels, logits.shape[1]), logits) as tf.Scalar
    return scale === 1 ? mean : tf.mul(mean, scale)
  })
  return { loss, gradients, correct }
}

export interface StepResult {
  readonly loss: number
  readonly correct: number
  /** What the optimizer took after the gradients were there. */
  readonly updateMilliseconds: number
}

/** One step of the optimizer on the softmax cross-entropy of the examples `indices`. */
export function trainStep(
  model: Sequential,
  optimizer: tf.Optimizer,
  examples: ExampleTensors,
  indices: Int32Array,
): StepResult {
  return tf.tidy(() => {
    const { loss, gradients, correct } = gradientsOf(model, examples, indices)
    const started = performance.now()
    optimizer.applyGradients(gradients)
    return { loss: loss.dataSync()[0], correct, updateMilliseconds: performance.now() - started }
  })
}

/** The class that `model` tells of each example, in inference mode. */
export function classesTold(model: Sequential, { inputs }: ExampleTensors): Int32Array {
  return tf.tidy(() =>
    tf
      .argMax(model.apply(inputs, { training: false }) as tf.Tensor2D, 1)
      .dataSync<'int32'>()
      .slice(),
  )
}

/** The share of the examples that `model` tells right, in inference mode. */
export function accuracyOf(model: Sequential, { inputs, labels }: ExampleTensors): number {
  return tf.tidy(
    () => correctOf(model.apply(inputs, { training: false }) as tf.Tensor2D, labels) / labels.size,
  )
}

function correctOf(logits: tf.Tensor2D, labels: tf.Tensor1D): number {
  return tf.tidy(() => tf.sum(tf.equal(tf.argMax(logits, 1), labels)).dataSync()[0])
}
