import { boolean, fraction, nonNegative, oneOf } from '../../checks/scalars.ts'
import type { Layout } from '../../tensor/shape.ts'
import type { Convention } from './convention.ts'
import { noteOneMode } from './lost-options.ts'
import { biasOrZeros, fixedMomentum, weightOrOnes } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

const layouts = {
  NHWC: 'channels-last',
  NDHWC: 'channels-last',
  NCHW: 'channels-first',
  NCDHW: 'channels-first',
} satisfies Record<string, Layout>
type DataFormat = keyof typeof layouts
const dataFormats = Object.keys(layouts) as DataFormat[]

/**
 * `tf.compat.v1.nn.fused_batch_norm`, the function around TensorFlow's operator FusedBatchNormV3.
 * https://www.tensorflow.org/api_docs/python/tf/compat/v1/nn/fused_batch_norm
 */
export interface TfFusedParameters<Each = ConventionValues> {
  scale: Each
  offset: Each
  /** The running statistics; without them it takes the batch's, and returns those for the caller to average. */
  mean?: Each
  variance?: Each
  /** Default 1e-3; below 1.001e-5 TensorFlow raises it to that, for cuDNN. */
  epsilon?: number
  /** Where the channel stands, of 4 axes or 5. Default `'NHWC'`. */
  data_format?: DataFormat
  /** Whether to normalize with the batch's statistics. Default true. */
  is_training?: boolean
  /** The weight of the *new* statistic, as in PyTorch. Default 1: the batch's own. */
  exponential_avg_factor?: number
}

/** `min_epsilon` of `fused_batch_norm` in https://github.com/tensorflow/tensorflow/blob/master/tensorflow/python/ops/nn_impl.py */
const leastEpsilon = 1.001e-5

/**
 * The new variance is multiplied by `rest_size_adjust`, n / (n - 1): "Bessel's correction" in
 * https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/kernels/fused_batch_norm_op.cc
 */
export const tfFused: Convention<TfFusedParameters, TfFusedParameters<Vector>> = {
  names: [
    'scale',
    'offset',
    'mean',
    'variance',
    'epsilon',
    'data_format',
    'is_training',
    'exponential_avg_factor',
  ],
  runningVariance: { name: 'variance', kind: 'unbiased' },

  from(parameters, reading) {
    const { epsilon = 1e-3, data_format = 'NHWC', is_training = true } = parameters
    const { mean, variance, exponential_avg_factor = 1 } = parameters
    const tracks = (mean ?? variance ?? null) !== null || !boolean('is_training', is_training)
    const fix = 'leave out both, in training, for a batch norm without running statistics'
    if (nonNegative('epsilon', epsilon) < leastEpsilon) {
      reading.notes.push(
        `epsilon: ${epsilon} is raised to ${leastEpsilon}, as tf.compat.v1.nn.fused_batch_norm does.`,
      )
    }
    if (!tracks) {
      reading.notes.push(
        'mean and variance are not there, so there are no running statistics: TensorFlow returns those of the ' +
          'batch for the caller to average.',
      )
    }
    return {
      weight: reading.vector('scale', parameters.scale, 'TensorFlow always has one: ones, for none'),
      bias: reading.vector('offset', parameters.offset, 'TensorFlow always has one: zeros, for none'),
      runningMean: tracks ? reading.vector('mean', mean, fix) : null,
      runningVar: tracks ? reading.vector('variance', variance, fix) : null,
      eps: Math.max(epsilon, leastEpsilon),
      momentum: fraction('exponential_avg_factor', exponential_avg_factor),
      layout: layouts[oneOf('data_format', data_format, dataFormats)],
      training: is_training,
    }
  },

  to(source, notes) {
    const { runningMean, runningVar, eps, layout, rank } = source
    if (eps < leastEpsilon) {
      notes.push(
        `epsilon: ${eps} will be raised to ${leastEpsilon} by tf.compat.v1.nn.fused_batch_norm; ` +
          'tf.raw_ops.FusedBatchNormV3 takes it as it is.',
      )
    }
    if (rank < 4)
      notes.push('TensorFlow takes 4 axes: reshape [N, C] to [N, 1, 1, C], or as data_format says.')
    noteOneMode('TensorFlow', source, notes)
    const formats: DataFormat[] = rank === 5 ? ['NDHWC', 'NCDHW'] : ['NHWC', 'NCHW']
    return {
      scale: weightOrOnes(source, 'scale', notes),
      offset: biasOrZeros(source, 'offset', notes),
      ...(runningMean && { mean: runningMean }),
      ...(runningVar && { variance: runningVar }),
      epsilon: eps,
      data_format: formats[layout === 'channels-last' ? 0 : 1],
      is_training: source.training,
      exponential_avg_factor: fixedMomentum('TensorFlow', source),
    }
  },
}
