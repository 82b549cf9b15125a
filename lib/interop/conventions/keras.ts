import { boolean, fraction, nonNegative } from '../../checks/scalars.ts'
import { axisOf, layoutOf } from './axis.ts'
import type { Convention, Source } from './convention.ts'
import { checkConfig, configNames, type KerasConfig, rankOf, unwrapped } from './keras-config.ts'
import { noteModeOfCalls } from './lost-options.ts'
import { complementNoting } from './momentum.ts'
import { fixedMomentum, runningStatistics } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * `keras.layers.BatchNormalization`, and `tf.layers.batchNormalization` of TensorFlow.js: its
 * arguments, or its whole `get_config()`, and its weights under their names.
 * https://keras.io/api/layers/normalization_layers/batch_normalization/
 */
export interface KerasParameters<Each = ConventionValues> extends KerasConfig {
  /** The channel's; default -1, the last. */
  axis?: number | readonly number[]
  /** The weight of the *old* statistic: `moving = moving * momentum + batch * (1 - momentum)`. Default 0.99. */
  momentum?: number
  /** Default 1e-3. */
  epsilon?: number
  /** Whether there is a beta. Default true. */
  center?: boolean
  /** Whether there is a gamma. Default true. */
  scale?: boolean
  gamma?: Each
  beta?: Each
  moving_mean: Each
  moving_variance: Each
}

/**
 * Keras 3 computes the moving variance from `ops.moments`, which divides by n: `call` and `_moments` in
 * https://github.com/keras-team/keras/blob/master/keras/src/layers/normalization/batch_normalization.py
 * Keras 2 did so too, except where it ran TensorFlow's fused kernel (4 axes, `fused=True`), whose
 * variance is unbiased: https://github.com/tensorflow/tensorflow/issues/55545
 */
export const keras: Convention<KerasParameters, KerasParameters<Vector>> = {
  names: [
    'axis',
    'momentum',
    'epsilon',
    'center',
    'scale',
    'gamma',
    'beta',
    'moving_mean',
    'moving_variance',
    ...configNames,
  ],
  unwrapped,
  saysFrozen: isFrozen,
  runningVariance: { name: 'moving_variance', kind: 'biased' },

  from(parameters, reading) {
    const { axis = -1, momentum = 0.99, epsilon = 1e-3, center = true, scale = true } = parameters
    const { trainable = true, fused = null } = parameters
    checkConfig(parameters, reading)
    const isFused = fused !== null && boolean('fused', fused)
    return {
      weight: reading.vectorIf(boolean('scale', scale), 'scale', 'gamma', parameters.gamma),
      bias: reading.vectorIf(boolean('center', center), 'center', 'beta', parameters.beta),
      runningMean: reading.vector('moving_mean', parameters.moving_mean, 'Keras always has one'),
      runningVar: reading.vector('moving_variance', parameters.moving_variance, 'Keras always has one'),
      eps: nonNegative('epsilon', epsilon),
      momentum: complementNoting('momentum', fraction('momentum', momentum), reading.notes),
      layout: layoutOf(axis, rankOf(parameters, reading)),
      training: true,
      ...(isFused && { variance: 'unbiased' }),
      // "The layer will be subsequently run in inference mode", says Keras of it, in training too.
      ...(!boolean('trainable', trainable) && {
        useBatchStats: false,
        updateStats: false,
        trainAffine: false,
      }),
    }
  },

  to(source, notes) {
    const [moving_mean, moving_variance] = runningStatistics('Keras', source)
    const frozen = isFrozen(source)
    if (!frozen) noteModeOfCalls('Keras', source, notes)
    const { weight, bias } = source
    return {
      axis: axisOf(source.layout),
      momentum: complementNoting('momentum', fixedMomentum('Keras', source), notes),
      epsilon: source.eps,
      center: bias !== null,
      scale: weight !== null,
      ...(weight && { gamma: weight }),
      ...(bias && { beta: bias }),
      moving_mean,
      moving_variance,
      ...(frozen && { trainable: false }),
    }
  },
}

/** Whether the running statistics normalize and stay, and nothing is trained: `trainable: false`. */
function isFrozen({ useBatchStats, updateStats, trainAffine, weight, bias }: Source): boolean {
  const trains = trainAffine && (weight ?? bias) !== null
  return useBatchStats === false && updateStats === false && !trains
}
