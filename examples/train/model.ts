import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { dense } from '../../cli/training/dense.ts'
import { CLASSES, PIXELS } from '../../cli/training/digits.ts'
import type { Collective } from '../../lib/distributed/index.ts'
import { batchNormalization } from '../../lib/interop/tfjs/index.ts'
import { Stopwatch } from './stopwatch.ts'

/** Which batch normalization the network has: this library's two backends, tf.layers' own, none. */
export const BATCH_NORMS = ['native', 'typescript', 'tfjs', 'none'] as const
export type BatchNorm = (typeof BATCH_NORMS)[number]

export interface Classifier {
  readonly model: Sequential
  /** The batch normalization layers, of both hidden layers or of none. */
  readonly batchNorms: layers.Layer[]
  /** Runs while they work. */
  readonly stopwatch: Stopwatch
}

const HIDDEN_UNITS = [256, 128]

/** PyTorch's defaults: a momentum of 0.1 for the new statistic is one of 0.9 for the old. */
const BATCH_NORM_ARGS = { momentum: 0.9, epsilon: 1e-5 }

/**
 * A 784-256-128-10 classifier: dense, batch norm and ReLU twice, and a dense layer of logits. The
 * same seed gives the dense layers the same weights whatever the batch norm, which has the statistics of the batches of
 * all ranks.
 */
export function createClassifier(batchNorm: BatchNorm, seed: number, collective: Collective): Classifier {
  const random = xoroshiro128plus(seed)
  const model = sequential()
  const stopwatch = new Stopwatch()
  const batchNorms: layers.Layer[] = []

  let inputs = PIXELS
  for (const units of HIDDEN_UNITS) {
    model.add(dense(inputs, units, random))
    if (batchNorm !== 'none') {
      const args = { ...BATCH_NORM_ARGS }
      const normalization =
        batchNorm === 'tfjs' ? layers.batchNormalization(args) : batchNormalization({ ...args, collective })
      for (const layer of [stopwatch.before(), normalization, stopwatch.after()]) model.add(layer)
      batchNorms.push(normalization)
    }
    model.add(layers.reLU())
    inputs = units
  }
  model.add(dense(inputs, CLASSES, random))
  return { model, batchNorms, stopwatch }
}
