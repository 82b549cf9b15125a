import { setImmediate } from 'node:timers/promises'
import * as tf from '@tensorflow/tfjs-core'
import type { Sequential } from '@tensorflow/tfjs-layers'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Examples, Split } from '../training/examples.ts'
import { accuracyOf, tensorsOf, trainStep } from '../training/learning.ts'
import { shuffledIndices } from '../training/random.ts'
import { type Architecture, createModel, type Network, networkOf } from './network.ts'

export interface Schedule {
  readonly epochs: number
  readonly batchSize: number
  readonly learningRate: number
}

export interface Trained {
  /** The share of the test examples told right. */
  readonly accuracy: number
  /** The mean loss of the last step's batch. */
  readonly loss: number
  readonly network: Network
}

export function stepsOf(examples: number, { epochs, batchSize }: Schedule): number {
  return epochs * Math.floor(examples / batchSize)
}

/** Trains a network and tests it. The same arguments give the same network, bit for bit. */
export async function learn(
  architecture: Architecture,
  split: Split,
  schedule: Schedule,
  seed: number,
  onStep: (loss: number) => void,
): Promise<Trained> {
  const model = createModel(architecture, seed)
  const loss = await trainModel(model, split.training, schedule, seed, onStep)
  const test = tensorsOf(split.test)
  const trained = { accuracy: accuracyOf(model, test), loss, network: networkOf(model, architecture) }
  tf.dispose(test)
  model.dispose()
  return trained
}

/**
 * Trains a model with Adam on the softmax cross-entropy; every epoch takes the examples in a new order, in whole batches.
 *
 * @param beforeStep - is told the examples of the step
 * @returns the mean loss of the last step's batch
 */
export async function trainModel(
  model: Sequential,
  examples: Examples,
  { epochs, batchSize, learningRate }: Schedule,
  seed: number,
  onStep: (loss: number) => void,
  beforeStep: (indices: Int32Array) => void = () => {},
): Promise<number> {
  const optimizer = tf.train.adam(learningRate)
  const tensors = tensorsOf(examples)
  const random = xoroshiro128plus(seed)
  let loss = Number.NaN
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffledIndices(examples.count, random)
    for (let end = batchSize; end <= order.length; end += batchSize) {
      const indices = order.subarray(end - batchSize, end)
      beforeStep(indices)
      ;({ loss } = trainStep(model, optimizer, tensors, indices))
      onStep(loss)
      // Lets Ctrl-C in.
      await setImmediate()
    }
  }
  tf.dispose(tensors)
  optimizer.dispose()
  return loss
}
