import { boolean, nonNegative } from '../../checks/scalars.ts'
import type { Convention } from './convention.ts'
import { noteOneMode } from './lost-options.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * The batch normalization primitive of oneDNN: its flags, and its memory arguments.
 * https://uxlfoundation.github.io/oneDNN/dev_guide_batch_normalization.html
 */
export interface OneDnnParameters<Each = ConventionValues> {
  /** oneDNN has no default. */
  epsilon: number
  /** Whether mean and variance are inputs, as in inference. Default false: they are the batch's. */
  use_global_stats?: boolean
  /** Whether there is a scale. Default false. */
  use_scale?: boolean
  /** Whether there is a shift. Default false. */
  use_shift?: boolean
  /** Whether a ReLU follows in the same pass: `activation: 'relu'`. Default false. */
  fuse_norm_relu?: boolean
  scale?: Each
  shift?: Each
  /** The running statistics, which the caller keeps. */
  mean?: Each
  variance?: Each
}

/**
 * "The batch normalization primitive computes population mean and variance", and the page's formula
 * for running statistics averages those: what divides by n.
 */
export const oneDnn: Convention<OneDnnParameters, OneDnnParameters<Vector>> = {
  names: [
    'epsilon',
    'use_global_stats',
    'use_scale',
    'use_shift',
    'fuse_norm_relu',
    'scale',
    'shift',
    'mean',
    'variance',
  ],
  runningVariance: { name: 'variance', kind: 'biased' },
  fusedActivation: 'relu',

  from(parameters, reading) {
    const { epsilon, use_global_stats = false, use_scale = false, use_shift = false } = parameters
    const { mean, variance, fuse_norm_relu = false } = parameters
    const tracks = (mean ?? variance ?? null) !== null || boolean('use_global_stats', use_global_stats)
    const fix = 'leave out both, without use_global_stats, for a batch norm without running statistics'
    reading.notes.push("oneDNN leaves running statistics to the caller: set the option 'momentum' to yours.")
    return {
      weight: reading.vectorIf(boolean('use_scale', use_scale), 'use_scale', 'scale', parameters.scale),
      bias: reading.vectorIf(boolean('use_shift', use_shift), 'use_shift', 'shift', parameters.shift),
      runningMean: tracks ? reading.vector('mean', mean, fix) : null,
      runningVar: tracks ? reading.vector('variance', variance, fix) : null,
      eps: nonNegative('epsilon', epsilon),
      layout: 'channels-first',
      training: !use_global_stats,
      ...(boolean('fuse_norm_relu', fuse_norm_relu) && { activation: 'relu' }),
    }
  },

  to(source, notes) {
    const { weight, bias, runningMean, runningVar, eps, momentum, layout, training, activation } = source
    if (runningMean !== null) {
      notes.push(
        `oneDNN leaves running statistics to the caller: momentum: ${momentum}, the weight of the new one, is yours to apply.`,
      )
    }
    if (layout === 'channels-last') {
      notes.push(
        'The axes of oneDNN are N, C, ... always: channels-last is the format tag nwc, nhwc or ndhwc.',
      )
    }
    noteOneMode('oneDNN', source, notes)
    return {
      epsilon: eps,
      use_global_stats: !training,
      use_scale: weight !== null,
      use_shift: bias !== null,
      fuse_norm_relu: activation === 'relu',
      ...(weight && { scale: weight }),
      ...(bias && { shift: bias }),
      ...(runningMean && { mean: runningMean }),
      ...(runningVar && { variance: runningVar }),
    }
  },
}
