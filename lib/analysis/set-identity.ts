import { describe, invalidType } from '../errors.ts'
import { batchNorm as normalize } from '../functional.ts'
import type { BatchNorm } from '../modules/batch-norm.ts'
import { Tensor } from '../tensor.ts'
import { float64Vector, type StatisticsVector } from '../validate.ts'

/**
 * Sets gamma and beta so that the module gives back its input:
 *
 *     gamma = sqrt(variance + eps), beta = mean
 *
 * (gamma = sqrt(variance) would do for eps = 0 only.) So batch norm can represent the identity, and
 * scale and shift take nothing from what a network can do (Ioffe and Szegedy 2015, section 3).
 *
 * @param moments - mean and biased variance that the module will normalize with; the running ones,
 * those of eval mode, unless told
 * @returns `largestError`: the largest |y - x| by max(1, |x|), measured at the mean and 1, 2 and 3
 * standard deviations from it in each channel
 * @throws TypeError for a module without scale or center; RangeError for moments whose gamma or beta
 * does not fit float32. Nothing has changed then.
 */
export function setIdentity(
  batchNorm: BatchNorm,
  moments?: { readonly mean: StatisticsVector; readonly variance: StatisticsVector },
): { largestError: number } {
  const { weight, bias, eps, numFeatures } = batchNorm
  if (weight === null || bias === null) {
    const without = weight === null ? 'scale: false' : 'center: false'
    throw new TypeError(
      `Expected batchNorm with scale and center but received one with ${without} (it cannot undo the normalization)`,
    )
  }
  const given = moments ?? runningMoments(batchNorm)
  const mean = float64Vector('moments.mean', given.mean, numFeatures)
  const variance = float64Vector('moments.variance', given.variance, numFeatures)
  const gamma = Float32Array.from(variance, (each) => Math.sqrt(each + eps))
  const beta = Float32Array.from(mean)
  const wrong = Array.from(gamma.keys()).filter(
    (c) => !Number.isFinite(gamma[c]) || !Number.isFinite(beta[c]),
  )
  if (wrong.length > 0) {
    throw new RangeError(
      `Expected moments whose gamma and beta fit float32 but received others in channels ${describe(wrong)} ` +
        '(is a variance negative, or a moment NaN?)',
    )
  }
  weight.data.set(gamma)
  bias.data.set(beta)
  return { largestError: largestError(batchNorm, mean, variance) }
}

function runningMoments({ runningMean, runningVar }: BatchNorm) {
  if (runningMean === null || runningVar === null) {
    throw invalidType('moments', 'given for a module with trackRunningStats: false', undefined)
  }
  return { mean: runningMean, variance: runningVar }
}

function largestError(
  { weight, bias, eps, numFeatures }: BatchNorm,
  mean: Float64Array,
  variance: Float64Array,
) {
  const distances = [-3, -2, -1, 0, 1, 2, 3]
  const x = new Float32Array(distances.length * numFeatures)
  distances.forEach((distance, row) => {
    mean.forEach((center, c) => {
      x[row * numFeatures + c] = center + distance * Math.sqrt(variance[c])
    })
  })
  const running = { runningMean: Float32Array.from(mean), runningVar: Float32Array.from(variance) }
  const y = normalize(new Tensor(x, [distances.length, numFeatures]), { weight, bias, eps, ...running })
  return y.data.reduce((largest, value, at) => {
    return Math.max(largest, Math.abs(value - x[at]) / Math.max(1, Math.abs(x[at])))
  }, 0)
}
