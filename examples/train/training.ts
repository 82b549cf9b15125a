import { setImmediate } from 'node:timers/promises'
import * as tf from '@tensorflow/tfjs-core'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Split } from '../../cli/training/examples.ts'
import { accuracyOf, classesTold, tensorsOf, trainStep } from '../../cli/training/learning.ts'
import { shuffledIndices } from '../../cli/training/random.ts'
import { activationsOf } from './activations.ts'
import { type BatchNorm, createClassifier } from './model.ts'
import { type Run, type StepTime, typicalStep } from './run.ts'

export interface Settings {
  readonly batchNorm: BatchNorm
  readonly epochs: number
  readonly batchSize: number
  readonly learningRate: number
  readonly seed: number
}

/** Where a training stands: means over the steps of the epoch so far. */
export interface Progress {
  readonly batchNorm: BatchNorm
  /** 1 for the first. */
  readonly epoch: number
  readonly loss: number
  readonly accuracy: number
  /** Of the test digits, after the epoch's last step only. */
  readonly testAccuracy?: number
}

const EVALUATIONS_PER_EPOCH = 5

export function stepsPerEpochOf(digits: number, batchSize: number): number {
  return Math.floor(digits / batchSize)
}

/**
 * Trains a classifier with Adam on the softmax cross-entropy, and tests it as it goes. Every epoch
 * takes the training digits in a new order, in whole batches. The same settings give the same losses
 * and accuracies, bit for bit.
 */
export async function train(
  split: Split,
  settings: Settings,
  onStep: (progress: Progress) => void,
): Promise<Run> {
  const { batchNorm, epochs, batchSize, learningRate, seed } = settings
  const { model, batchNorms, stopwatch } = createClassifier(batchNorm, seed)
  const optimizer = tf.train.adam(learningRate)
  const training = tensorsOf(split.training)
  const test = tensorsOf(split.test)
  const random = xoroshiro128plus(seed)
  const stepsPerEpoch = stepsPerEpochOf(split.training.count, batchSize)
  const stepsPerEvaluation = Math.ceil(stepsPerEpoch / EVALUATIONS_PER_EPOCH)

  const losses: number[] = []
  const testAccuracies = [{ step: 0, accuracy: accuracyOf(model, test) }]
  const trainingAccuracies: number[] = []
  const steps: StepTime[] = []
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const order = shuffledIndices(split.training.count, random)
    let lossSum = 0
    let correct = 0
    for (let step = 1; step <= stepsPerEpoch; step++) {
      // What an evaluation before was batch norm is no part of this step.
      stopwatch.take()
      const started = performance.now()
      const result = trainStep(
        model,
        optimizer,
        training,
        order.subarray((step - 1) * batchSize, step * batchSize),
      )
      const whole = performance.now() - started
      steps.push({ whole, batchNorm: stopwatch.take(), update: result.updateMilliseconds })

      losses.push(result.loss)
      lossSum += result.loss
      correct += result.correct
      let testAccuracy: number | undefined
      if (step === stepsPerEpoch) trainingAccuracies.push(accuracyOf(model, training))
      if (step % stepsPerEvaluation === 0 || step === stepsPerEpoch) {
        testAccuracy = accuracyOf(model, test)
        testAccuracies.push({ step: losses.length, accuracy: testAccuracy })
      }
      onStep({
        batchNorm,
        epoch,
        loss: lossSum / step,
        accuracy: correct / (step * batchSize),
        testAccuracy: step === stepsPerEpoch ? testAccuracy : undefined,
      })
      // Lets Ctrl-C in.
      await setImmediate()
    }
  }

  const activations = activationsOf(model, batchNorms, test.inputs)
  const told = classesTold(model, test)
  const variables = model.trainableWeights.length
  tf.dispose([training, test])
  optimizer.dispose()
  model.dispose()
  return {
    batchNorm,
    seed,
    stepsPerEpoch,
    losses,
    testAccuracies,
    trainingAccuracies,
    test: split.test,
    told,
    variables,
    stepTime: typicalStep(steps),
    activations,
  }
}
