import * as tf from '@tensorflow/tfjs-core'
import type { Sequential } from '@tensorflow/tfjs-layers'
import { loadSafetensors, saveSafetensors, type Tensor } from '../../lib/index.ts'
import type { Settings } from './settings.ts'

/** What a training has found so far. */
export interface History {
  /** The mean loss of each step's batch. */
  readonly losses: number[]
  /** The share of the test digits told right, by the number of steps. */
  readonly testAccuracies: { readonly step: number; readonly accuracy: number }[]
  /** The share of the training digits told right, after each epoch. */
  readonly trainingAccuracies: number[]
  /** How many digits were told right in the steps of the epoch so far. */
  correct: number
}

/** A training after some steps. */
export interface Checkpoint {
  readonly settings: Settings
  readonly history: History
  readonly tensors: ReadonlyMap<string, Tensor>
}

/** How TensorFlow.js keeps the powers of Adam's betas; `setWeights` makes them anew, with another rounding. */
interface AdamPowers {
  readonly accBeta1: tf.Variable
  readonly accBeta2: tf.Variable
}

/** Writes a checkpoint: wholly, or the one that was there stays. */
export async function saveCheckpoint(
  file: string,
  settings: Settings,
  history: History,
  model: Sequential,
  optimizer: tf.Optimizer,
): Promise<void> {
  const [, ...moments] = await optimizer.getWeights()
  const { accBeta1, accBeta2 } = optimizer as unknown as AdamPowers
  const numbers = (values: readonly number[]) => ({
    data: Float64Array.from(values),
    shape: [values.length],
  })
  saveSafetensors(
    file,
    {
      ...named('model', model.getWeights()),
      ...named(
        'adam.moments',
        moments.map(({ tensor }) => tensor),
      ),
      ...named('adam.powers', [accBeta1, accBeta2]),
      losses: numbers(history.losses),
      'test.steps': numbers(history.testAccuracies.map(({ step }) => step)),
      'test.accuracies': numbers(history.testAccuracies.map(({ accuracy }) => accuracy)),
      'training.accuracies': numbers(history.trainingAccuracies),
    },
    { settings: JSON.stringify(settings), correct: String(history.correct) },
  )
}

/** @throws what is wrong with the file */
export function readCheckpoint(path: string): Checkpoint {
  const file = loadSafetensors(path)
  try {
    const { settings, correct } = file.metadata
    if (settings === undefined || correct === undefined) {
      throw new TypeError(
        `Expected a checkpoint of npm run train but received ${path}, which says no settings`,
      )
    }
    const numbers = (key: string) => Array.from(file.get(key).data as Float64Array)
    const accuracies = numbers('test.accuracies')
    return {
      settings: JSON.parse(settings),
      history: {
        losses: numbers('losses'),
        testAccuracies: numbers('test.steps').map((step, index) => ({ step, accuracy: accuracies[index] })),
        trainingAccuracies: numbers('training.accuracies'),
        correct: Number(correct),
      },
      tensors: new Map([...file.tensors.keys()].map((key) => [key, file.get(key) as Tensor])),
    }
  } finally {
    file.close()
  }
}

/** Gives a new model and its optimizer what they had. */
export async function restore(
  { tensors, history }: Checkpoint,
  model: Sequential,
  optimizer: tf.Optimizer,
): Promise<void> {
  const valuesOf = (name: string) =>
    [...tensors.keys()]
      .filter((key) => key.startsWith(`${name}.`))
      .map((_, index) => {
        const { data, shape } = tensors.get(`${name}.${index}`) as Tensor
        return tf.tensor(data, [...shape])
      })
  const [weights, moments, powers] = ['model', 'adam.moments', 'adam.powers'].map(valuesOf)
  model.setWeights(weights)
  const steps = { name: 'iter', tensor: tf.scalar(history.losses.length, 'int32') }
  await optimizer.setWeights([steps, ...moments.map((tensor) => ({ name: '', tensor }))])
  const { accBeta1, accBeta2 } = optimizer as unknown as AdamPowers
  accBeta1.assign(powers[0])
  accBeta2.assign(powers[1])
  tf.dispose([weights, moments, powers, steps.tensor])
}

function named(name: string, tensors: readonly tf.Tensor[]) {
  return Object.fromEntries(
    tensors.map((tensor, index) => [
      `${name}.${index}`,
      { data: tensor.dataSync<'float32'>(), shape: tensor.shape },
    ]),
  )
}
