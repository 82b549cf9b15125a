import { setImmediate } from 'node:timers/promises'
import * as tf from '@tensorflow/tfjs-core'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Split } from '../../cli/training/examples.ts'
import { accuracyOf, classesTold, tensorsOf } from '../../cli/training/learning.ts'
import { shuffledIndices } from '../../cli/training/random.ts'
import { type Collective, solo } from '../../lib/distributed/index.ts'
import { activationsOf } from './activations.ts'
import { type Checkpoint, type History, restore, saveCheckpoint } from './checkpoint.ts'
import { type BatchNorm, createClassifier } from './model.ts'
import { type Run, type StepTime, typicalStep } from './run.ts'
import type { Settings } from './settings.ts'
import { sharedStep } from './shared-step.ts'

/** What a training may have beside its settings. */
export interface TrainingOptions {
  /** The workers that share each batch. */
  readonly collective?: Collective
  /** Where to write a checkpoint with each evaluation. */
  readonly checkpoint?: string
  /** What to go on from. */
  readonly resumed?: Checkpoint
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
 * and accuracies, bit for bit. Of several ranks only the first evaluates and writes.
 */
export async function train(
  split: Split,
  settings: Settings,
  onStep: (progress: Progress) => void,
  { collective = solo(), checkpoint, resumed }: TrainingOptions = {},
): Promise<Run> {
  const { batchNorm, epochs, batchSize, learningRate, seed } = settings
  const { model, batchNorms, stopwatch } = createClassifier(batchNorm, seed, collective)
  const optimizer = tf.train.adam(learningRate)
  const training = tensorsOf(split.training)
  const test = tensorsOf(split.test)
  const isFirst = collective.rank === 0
  const accuracyOn = (examples: typeof test) => (isFirst ? accuracyOf(model, examples) : Number.NaN)
  const random = xoroshiro128plus(seed)
  const stepsPerEpoch = stepsPerEpochOf(split.training.count, batchSize)
  const stepsPerEvaluation = Math.ceil(stepsPerEpoch / EVALUATIONS_PER_EPOCH)

  if (resumed) await restore(resumed, model, optimizer)
  const history: History = resumed?.history ?? {
    losses: [],
    testAccuracies: [{ step: 0, accuracy: accuracyOn(test) }],
    trainingAccuracies: [],
    correct: 0,
  }
  const { losses, testAccuracies, trainingAccuracies } = history
  const steps: StepTime[] = []
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const order = shuffledIndices(split.training.count, random)
    const before = (epoch - 1) * stepsPerEpoch
    for (let step = losses.length - before + 1; step <= stepsPerEpoch; step++) {
      if (step === 1) history.correct = 0
      // What an evaluation before was batch norm is no part of this step.
      stopwatch.take()
      const started = performance.now()
      const indices = order.subarray((step - 1) * batchSize, step * batchSize)
      const result = sharedStep(model, optimizer, training, indices, collective)
      const whole = performance.now() - started
      steps.push({ whole, batchNorm: stopwatch.take(), update: result.updateMilliseconds })

      losses.push(result.loss)
      history.correct += result.correct
      const isLast = step === stepsPerEpoch
      let testAccuracy: number | undefined
      if (isLast) trainingAccuracies.push(accuracyOn(training))
      if (step % stepsPerEvaluation === 0 || isLast) {
        testAccuracy = accuracyOn(test)
        testAccuracies.push({ step: losses.length, accuracy: testAccuracy })
        if (checkpoint && isFirst) await saveCheckpoint(checkpoint, settings, history, model, optimizer)
      }
      onStep({
        batchNorm,
        epoch,
        loss: losses.slice(before).reduce((sum, loss) => sum + loss, 0) / step,
        accuracy: history.correct / (step * batchSize),
        testAccuracy: isLast ? testAccuracy : undefined,
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
