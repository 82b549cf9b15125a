import { boolean, fraction, nonNegative } from '../../checks/scalars.ts'
import type { Convention } from './convention.ts'
import { noteModeOfCalls } from './lost-options.ts'
import { biasOrZeros, fixedMomentum, weightOrOnes } from './requirements.ts'
import type { ConventionValues, Vector } from './values.ts'

/**
 * `mlx.nn.BatchNorm`: its arguments, and its arrays as `parameters()` and its safetensors files name them.
 * https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary/mlx.nn.BatchNorm.html
 */
export interface MlxParameters<Each = ConventionValues> {
  /** Default 1e-5. */
  eps?: number
  /** The weight of the *new* statistic. Default 0.1. */
  momentum?: number
  /** Whether there are weight and bias, both or neither. Default true. */
  affine?: boolean
  /** Whether there are running statistics. Default true. */
  track_running_stats?: boolean
  weight?: Each
  bias?: Each
  running_mean?: Each
  running_var?: Each
}

/**
 * PyTorch's names and defaults, with the channel last: `[N, C]`, `[N, L, C]`, `[N, H, W, C]`. Since July 2026 it stores
 * the unbiased variance, before that the biased one: https://github.com/ml-explore/mlx/pull/3817
 */
export const mlx: Convention<MlxParameters, MlxParameters<Vector>> = {
  names: [
    'eps',
    'momentum',
    'affine',
    'track_running_stats',
    'weight',
    'bias',
    'running_mean',
    'running_var',
  ],
  runningVariance: { name: 'running_var', kind: 'unbiased' },

  from(parameters, reading) {
    const { eps = 1e-5, momentum = 0.1, affine = true, track_running_stats = true } = parameters
    const { weight, bias, running_mean, running_var } = parameters
    boolean('affine', affine)
    const tracks = boolean('track_running_stats', track_running_stats)
    return {
      weight: reading.vectorIf(affine, 'affine', 'weight', weight),
      bias: reading.vectorIf(affine, 'affine', 'bias', bias),
      runningMean: reading.vectorIf(tracks, 'track_running_stats', 'running_mean', running_mean),
      runningVar: reading.vectorIf(tracks, 'track_running_stats', 'running_var', running_var),
      eps: nonNegative('eps', eps),
      momentum: fraction('momentum', momentum),
      layout: 'channels-last',
      training: true,
    }
  },

  to(source, notes) {
    if (source.layout !== 'channels-last') {
      notes.push('layout: MLX has the channel last; transpose what goes in and comes out.')
    }
    noteModeOfCalls('MLX', source, notes)
    const { weight, bias, runningMean, runningVar } = source
    const affine = weight !== null || bias !== null
    return {
      eps: source.eps,
      momentum: fixedMomentum('MLX', source),
      affine,
      track_running_stats: runningMean !== null,
      ...(affine && {
        weight: weightOrOnes(source, 'weight', notes),
        bias: biasOrZeros(source, 'bias', notes),
      }),
      ...(runningMean && runningVar && { running_mean: runningMean, running_var: runningVar }),
    }
  },
}
