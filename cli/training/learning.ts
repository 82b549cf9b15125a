/** What a training loop is made of: examples as tensors, a step of the optimizer, the accuracy. */
import * as tf from '@tensorflow/tfjs-core'
import type { Sequential } from '@tensorflow/tfjs-layers'
import type { Examples } from './examples.ts'

interface ExampleTensors {
  readonly inputs: tf.Tensor2D
  readonly labels: tf.Tensor1D
  readonly [name: string]: tf.Tensor
}

export function tensorsOf({ count, inputs, labels }: Examples): ExampleTensors {
  return { inputs: tf.tensor2d(inputs, [count, inputs.length / count]), labels: tf.tensor1d(labels, 'int32') }
}

/** One step of the optimizer on the softmax cross-entropy of the examples `indices`. */
export function trainStep(
  model: Sequential,
  optimizer: tf.Optimizer,
  examples: ExampleTensors,
  indices: Int32Array,
): { loss: number; correct: number } {
  return tf.tidy(() => {
    const batch = tf.tensor1d(indices, 'int32')
    const inputs = tf.gather(examples.inputs, batch)
    const labels = tf.gather(examples.labels, batch)
    let correct = 0
    const loss = optimizer.minimize(() => {
      const logits = model.apply(inputs, { training: true }) as tf.Tensor2D
      correct = correctOf(logits, labels)
      return tf.losses.softmaxCrossEntropy(tf.oneHot(labels, logits.shape[1]), logits)
    }, true) as tf.Scalar
    return { loss: loss.dataSync()[0], correct }
  })
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
