import { invalidType } from '../../checks/errors.ts'
import { boolean, fraction, nonNegative } from '../../checks/scalars.ts'
import { axisOf, layoutOf } from './axis.ts'
import type { Convention } from './convention.ts'
import { noteOneMode } from './lost-options.ts'
import { complementNoting } from './momentum.ts'
import { fixedMomentum, runningStatistics } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * `flax.linen.BatchNorm`: its fields, and its variables by collection.
 * https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html#flax.linen.BatchNorm
 */
export interface FlaxParameters<Each = ConventionValues> {
  /** Whether to normalize with `batch_stats`, as in inference. Default false. */
  use_running_average?: boolean
  /** The channel's; default -1, the last. */
  axis?: number | readonly number[]
  /** The weight of the *old* statistic: `ra = momentum * ra + (1 - momentum) * batch`. Default 0.99. */
  momentum?: number
  /** Default 1e-5. */
  epsilon?: number
  /** Whether there is a bias. Default true. */
  use_bias?: boolean
  /** Whether there is a scale. Default true. */
  use_scale?: boolean
  params?: { scale?: Each; bias?: Each }
  batch_stats: { mean: Each; var: Each }
}

/**
 * The variance of a batch is `E[x^2] - E[x]^2`, which divides by n: `_compute_stats` in
 * https://github.com/google/flax/blob/main/flax/linen/normalization.py
 */
export const flax: Convention<FlaxParameters, FlaxParameters<Vector>> = {
  names: [
    'use_running_average',
    'axis',
    'momentum',
    'epsilon',
    'use_bias',
    'use_scale',
    'params',
    'batch_stats',
  ],
  runningVariance: { name: 'batch_stats.var', kind: 'biased' },

  from(parameters, reading) {
    const { axis = -1, momentum = 0.99, epsilon = 1e-5, use_bias = true, use_scale = true } = parameters
    const { use_running_average = false, params = {}, batch_stats } = parameters
    if (typeof params !== 'object') throw invalidType('params', 'an object { scale, bias }', params)
    if (typeof batch_stats !== 'object' || batch_stats === null) {
      throw invalidType('batch_stats', 'an object { mean, var }', batch_stats)
    }
    return {
      weight: reading.vectorIf(boolean('use_scale', use_scale), 'use_scale', 'params.scale', params?.scale),
      bias: reading.vectorIf(boolean('use_bias', use_bias), 'use_bias', 'params.bias', params?.bias),
      runningMean: reading.vector('batch_stats.mean', batch_stats.mean, 'Flax always has one'),
      runningVar: reading.vector('batch_stats.var', batch_stats.var, 'Flax always has one'),
      eps: nonNegative('epsilon', epsilon),
      momentum: complementNoting('momentum', fraction('momentum', momentum), reading.notes),
      layout: layoutOf(axis, reading.rank),
      training: !boolean('use_running_average', use_running_average),
    }
  },

  to(source, notes) {
    const [mean, variance] = runningStatistics('Flax', source)
    noteOneMode('Flax', source, notes)
    const { weight, bias } = source
    return {
      use_running_average: !source.training,
      axis: axisOf(source.layout),
      momentum: complementNoting('momentum', fixedMomentum('Flax', source), notes),
      epsilon: source.eps,
      use_bias: bias !== null,
      use_scale: weight !== null,
      params: { ...(weight && { scale: weight }), ...(bias && { bias }) },
      batch_stats: { mean, var: variance },
    }
  },
}
