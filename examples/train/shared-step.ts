import * as tf from '@tensorflow/tfjs-core'
import type { Sequential } from '@tensorflow/tfjs-layers'
import { type ExampleTensors, gradientsOf, type StepResult, trainStep } from '../../cli/training/learning.ts'
import { averageGradients, type Collective } from '../../lib/distributed/index.ts'

/**
 * `trainStep` over the ranks of a collective, each of which takes a shard of the examples `indices`. The loss, and how
 * many are told right, are those of all shards.
 */
export function sharedStep(
  model: Sequential,
  optimizer: tf.Optimizer,
  examples: ExampleTensors,
  indices: Int32Array,
  collective: Collective,
): StepResult {
  const { rank, size } = collective
  if (size === 1) return trainStep(model, optimizer, examples, indices)
  return tf.tidy(() => {
    const [begin, end] = [rank, rank + 1].map((index) => Math.floor((index * indices.length) / size))
    const shard = indices.subarray(begin, end)
    // Shards differ in rows. With this scale the plain mean over the ranks is the mean over all rows. Weights of that
    // mean would not do: batch norm adds the gradients of all ranks, so they have to be those of one loss.
    const scale = (shard.length * size) / indices.length
    const { loss, gradients, correct } = gradientsOf(model, examples, shard, scale)
    const averaged = Object.entries(gradients).map(([name, gradient]) => ({
      name,
      shape: gradient.shape,
      grad: gradient.dataSync<'float32'>(),
    }))
    const totals = Float64Array.of(loss.dataSync()[0], correct)
    averageGradients([...averaged, { grad: totals }], collective)
    const started = performance.now()
    optimizer.applyGradients(
      Object.fromEntries(averaged.map(({ name, shape, grad }) => [name, tf.tensor(grad, shape)])),
    )
    return {
      loss: totals[0],
      correct: Math.round(totals[1] * size),
      updateMilliseconds: performance.now() - started,
    }
  })
}
