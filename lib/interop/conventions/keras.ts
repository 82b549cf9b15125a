import { boolean, fraction, nonNegative } from '../../checks/scalars.ts'
import { axisOf, layoutOf } from './axis.ts'
import type { Convention } from './convention.ts'
import { noteModeOfCalls } from './lost-options.ts'
import { complementNoting } from './momentum.ts'
import { fixedMomentum, runningStatistics } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * `keras.layers.BatchNormalization`, and `tf.layers.batchNormalization` of TensorFlow.js: its
 * arguments, and its weights under their names.
 * https://keras.io/api/layers/normalization_layers/batch_normalization/
 */
export interface KerasParameters<Each = ConventionValues> {
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
  ],
  runningVariance: { name: 'moving_variance', kind: 'biased' },

  from(parameters, reading) {
    const { axis = -1, momentum = 0.99, epsilon = 1e-3, center = true, scale = true } = parameters
    return {
      weight: reading.vectorIf(boolean('scale', scale), 'scale', 'gamma', parameters.gamma),
      bias: reading.vectorIf(boolean('center', center), 'center', 'beta', parameters.beta),
      runningMean: reading.vector('moving_mean', parameters.moving_mean, 'Keras always has one'),
      runningVar: reading.vector('moving_variance', parameters.moving_variance, 'Keras always has one'),
      eps: nonNegative('epsilon', epsilon),
      momentum: complementNoting('momentum', fraction('momentum', momentum), reading.notes),
      layout: layoutOf(axis, reading.rank),
      training: true,
    }
  },

  to(source, notes) {
    const [moving_mean, moving_variance] = runningStatistics('Keras', source)
    noteModeOfCalls('Keras', source, notes)
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
    }
  },
}
