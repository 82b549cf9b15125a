import { describe, invalidType } from '../checks/errors.ts'
import { float64Vector, type StatisticsVector } from '../checks/tensors.ts'
import { assertWithoutActivation } from '../fold/eval-affine.ts'
import { batchNorm as normalize } from '../functional/index.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'
import { parameterArray } from '../tensor/data-type.ts'
import { Tensor } from '../tensor/tensor.ts'

/**
 * Sets gamma and beta so that the module gives back its input:
 *
 *     gamma = sqrt(variance + eps), beta = mean
 *
 * (gamma = sqrt(variance) would do for eps = 0 only.) So batch norm can represent the identity, and
 * scale and shift take nothing from what a network can do (Ioffe and Szegedy 2015, section 3).
 *
 * @param moments - mean and biased variance that the module will normalize with; the running ones, those of eval
 * mode, unless told
 * @returns `largestError`: the largest |y - x| by max(1, |x|), measured at the mean and 1, 2 and 3
 * standard deviations from it in each channel
 * @throws TypeError for a module without scale or center, and without moments for one that normalizes with the
 * batch's in eval mode too; RangeError for moments whose gamma or beta does not fit the module's type, and for a
 * gamma of 0 with `positiveScale`. After an error nothing has changed.
 */
export function setIdentity(
  batchNorm: AnyBatchNorm,
  moments?: { readonly mean: StatisticsVector; readonly variance: StatisticsVector },
): { largestError: number } {
  assertBatchNorm('batchNorm', batchNorm)
  const { weight, bias, eps, numFeatures, dtype } = batchNorm
  assertWithoutActivation(batchNorm)
  if (weight === null || bias === null) {
    const without = weight === null ? 'scale: false' : 'center: false'
    throw new TypeError(
      `Expected batchNorm with scale and center but received one with ${without} (it cannot undo the normalization)`,
    )
  }
  const given = moments ?? runningMoments(batchNorm)
  const mean = float64Vector('moments.mean', given.mean, numFeatures)
  const variance = float64Vector('moments.variance', given.variance, numFeatures)
  const gamma = parameterArray(dtype, numFeatures)
  gamma.set(variance.map((each) => Math.sqrt(each + eps)))
  const beta = parameterArray(dtype, numFeatures)
  beta.set(mean)
  const wrong = Array.from(gamma.keys()).filter(
    (c) => !Number.isFinite(gamma[c]) || !Number.isFinite(beta[c]),
  )
  if (wrong.length > 0) {
    throw new RangeError(
      `Expected moments whose gamma and beta fit ${dtype} but received others in channels ${describe(wrong)} ` +
        '(is a variance negative, or a moment NaN?)',
    )
  }
  batchNorm.loadStateDict({ weight: gamma, bias: beta }, { strict: false })
  return { largestError: largestError(batchNorm, mean, variance) }
}

function runningMoments({ runningMean, runningVar, useBatchStats }: AnyBatchNorm) {
  if (runningMean !== null && runningVar !== null && !useBatchStats) {
    return { mean: runningMean, variance: runningVar }
  }
  const option = runningMean === null ? 'trackRunningStats: false' : 'useBatchStats: true'
  throw invalidType(
    'moments',
    `given for a module with ${option}`,
    undefined,
    'those of the batch: { mean, variance }',
  )
}

function largestError(
  { weight, bias, eps, numFeatures, dtype }: AnyBatchNorm,
  mean: Float64Array,
  variance: Float64Array,
) {
  const distances = [-3, -2, -1, 0, 1, 2, 3]
  const x = parameterArray(dtype, distances.length * numFeatures)
  distances.forEach((distance, row) => {
    mean.forEach((center, c) => {
      x[row * numFeatures + c] = center + distance * Math.sqrt(variance[c])
    })
  })
  const running = {
    runningMean: parameterArray(dtype, numFeatures),
    runningVar: parameterArray(dtype, numFeatures),
  }
  running.runningMean.set(mean)
  running.runningVar.set(variance)
  const y = normalize(new Tensor(x, [distances.length, numFeatures]), { weight, bias, eps, ...running })
  let largest = 0
  for (let at = 0; at < x.length; at++) {
    largest = Math.max(largest, Math.abs(y.data[at] - x[at]) / Math.max(1, Math.abs(x[at])))
  }
  return largest
}
