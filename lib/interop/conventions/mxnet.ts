import { boolean, fraction, nonNegative } from '../../checks/scalars.ts'
import { parameterArray } from '../../tensor/data-type.ts'
import { axisOf, layoutOf } from './axis.ts'
import type { Convention } from './convention.ts'
import { noteModeOfCalls, noteOneMode } from './lost-options.ts'
import { complementNoting } from './momentum.ts'
import { biasOrZeros, fixedMomentum, runningStatistics } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * The operator `BatchNorm` of MXNet. Of a Gluon layer give `eps: epsilon` (there 1e-5 by default),
 * `fix_gamma: !scale`, `moving_mean: running_mean` and `moving_var: running_var`.
 * https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/symbol/symbol.html#mxnet.symbol.BatchNorm
 */
export interface MxNetParameters<Each = ConventionValues> {
  /** Default 1e-3. */
  eps?: number
  /** The weight of the *old* statistic: `moving = moving * momentum + data * (1 - momentum)`. Default 0.9. */
  momentum?: number
  /** Whether gamma is taken for 1 and not learned. Default true. */
  fix_gamma?: boolean
  /**
   * Whether to normalize with the moving statistics and leave them as they are, in training too:
   * `useBatchStats: false, updateStats: false`. Default false.
   */
  use_global_stats?: boolean
  /** The channel's; default 1. */
  axis?: number
  /** What it is does not matter with `fix_gamma`. */
  gamma?: Each
  beta: Each
  moving_mean: Each
  moving_var: Each
}

/** What cuDNN took before version 7.5, and MXNet's own description of `eps` warns of. */
const leastEpsilonOfCudnn = 1e-5

/**
 * Defaults, `fix_gamma` and a variance that is divided by the number of values:
 * https://github.com/apache/mxnet/blob/master/src/operator/nn/batch_norm-inl.h and batch_norm.cc
 */
export const mxNet: Convention<MxNetParameters, MxNetParameters<Vector>> = {
  names: [
    'eps',
    'momentum',
    'fix_gamma',
    'use_global_stats',
    'axis',
    'gamma',
    'beta',
    'moving_mean',
    'moving_var',
  ],
  runningVariance: { name: 'moving_var', kind: 'biased' },

  from(parameters, reading) {
    const { eps = 1e-3, momentum = 0.9, fix_gamma = true, use_global_stats = false, axis = 1 } = parameters
    const { notes } = reading
    const { gamma = null } = parameters
    const learns = !boolean('fix_gamma', fix_gamma)
    const given =
      learns || gamma !== null ? reading.vector('gamma', gamma, 'or give fix_gamma: true, for 1') : null
    if (!learns && given?.some((value) => value !== 1)) {
      notes.push('gamma is left out: with fix_gamma MXNet takes it for 1, whatever it is.')
    }
    const global = boolean('use_global_stats', use_global_stats)
    return {
      weight: learns ? given : null,
      bias: reading.vector('beta', parameters.beta, 'MXNet always has one: zeros, for none'),
      runningMean: reading.vector('moving_mean', parameters.moving_mean, 'MXNet always has one'),
      runningVar: reading.vector('moving_var', parameters.moving_var, 'MXNet always has one'),
      eps: nonNegative('eps', eps),
      momentum: complementNoting('momentum', fraction('momentum', momentum), notes),
      layout: layoutOf(axis, reading.rank),
      training: true,
      ...(global && { useBatchStats: false, updateStats: false }),
    }
  },

  to(source, notes) {
    const [moving_mean, moving_var] = runningStatistics('MXNet', source)
    const { weight, eps, numFeatures, dtype } = source
    const global = source.useBatchStats === false
    if (eps < leastEpsilonOfCudnn) {
      notes.push(
        `eps: ${eps} is less than ${leastEpsilonOfCudnn}, the least that cuDNN takes before version 7.5.`,
      )
    }
    if (global) noteOneMode('MXNet', source, notes)
    else noteModeOfCalls('MXNet', source, notes)
    return {
      eps,
      momentum: complementNoting('momentum', fixedMomentum('MXNet', source), notes),
      fix_gamma: weight === null,
      use_global_stats: global,
      axis: axisOf(source.layout),
      gamma: weight ?? parameterArray(dtype, numFeatures).fill(1),
      beta: biasOrZeros(source, 'beta', notes),
      moving_mean,
      moving_var,
    }
  },
}
