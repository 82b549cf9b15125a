import { setImmediate } from 'node:timers/promises'
import * as tf from '@tensorflow/tfjs-core'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Split } from '../training/examples.ts'
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

/**
 * Trains a network with Adam on the softmax cross-entropy; every epoch takes the examples in a new
 * order, in whole batches. The same arguments give the same network, bit for bit.
 */
export async function learn(
  architecture: Architecture,
  split: Split,
  { epochs, batchSize, learningRate }: Schedule,
  seed: number,
  onStep: (loss: number) => void,
): Promise<Trained> {
  const model = createModel(architecture, seed)
  const optimizer = tf.train.adam(learningRate)
  const training = tensorsOf(split.training)
  const test = tensorsOf(split.test)
  const random = xoroshiro128plus(seed)
  let loss = Number.NaN
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffledIndices(split.training.count, random)
    for (let end = batchSize; end <= order.length; end += batchSize) {
      ;({ loss } = trainStep(model, optimizer, training, order.subarray(end - batchSize, end)))
      onStep(loss)
      // Lets Ctrl-C in.
      await setImmediate()
    }
  }
  const trained = { accuracy: accuracyOf(model, test), loss, network: networkOf(model, architecture) }
  tf.dispose([training, test])
  optimizer.dispose()
  model.dispose()
  return trained
}
