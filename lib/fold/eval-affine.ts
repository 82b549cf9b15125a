/** What a batch norm is in eval mode: a factor and a shift for each channel. */
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'

/** `y = scale * x + shift` in each channel. */
export interface ChannelAffine {
  /** `weight / sqrt(runningVar + eps)`, `[C]`. */
  readonly scale: Float64Array
  /** `bias - runningMean * scale`, `[C]`. */
  readonly shift: Float64Array
}

/**
 * A batch norm in eval mode as `y = scale * x + shift`, in float64: it is affine in each channel,
 * because its statistics are constants then. That is what can be folded into a neighbouring layer.
 *
 * @throws TypeError in training mode, where y is no function of one x: each sample moves the batch's
 * mean and variance, and so the others; without running statistics; and with an activation of its own
 */
export function toAffine(batchNorm: AnyBatchNorm): ChannelAffine {
  assertBatchNorm('batchNorm', batchNorm)
  if (batchNorm.training) {
    throw new TypeError(
      'Expected batchNorm in eval mode but received it in training mode, where every sample of a batch moves ' +
        'the outputs of the others and no scale and shift say what it does (call batchNorm.eval() first)',
    )
  }
  return runningAffine(batchNorm)
}

/** `toAffine` in either mode: what the running statistics make of the module. */
export function runningAffine(batchNorm: AnyBatchNorm): ChannelAffine {
  const { runningMean, runningVar, weight, bias, eps } = batchNorm
  assertWithoutActivation(batchNorm)
  if (runningMean === null || runningVar === null) {
    throw new TypeError(
      'Expected batchNorm with running statistics but received one with trackRunningStats: false, whose output ' +
        'depends on the batch in eval mode too (train it with trackRunningStats)',
    )
  }
  const [mean, variance] = [runningMean.data, runningVar.data]
  return channelAffine({ mean, variance, weight: weight?.data, bias: bias?.data, eps })
}

/** What a batch norm in eval mode is made of; without `weight` it is 1, without `bias` 0. */
interface EvalNumbers {
  readonly mean: ArrayLike<number>
  readonly variance: ArrayLike<number>
  readonly weight?: ArrayLike<number>
  readonly bias?: ArrayLike<number>
  readonly eps: number
}

export function channelAffine({ mean, variance, weight, bias, eps }: EvalNumbers): ChannelAffine {
  const scale = new Float64Array(mean.length)
  const shift = new Float64Array(mean.length)
  for (let c = 0; c < mean.length; c++) {
    scale[c] = (weight?.[c] ?? 1) / Math.sqrt(variance[c] + eps)
    shift[c] = (bias?.[c] ?? 0) - mean[c] * scale[c]
  }
  return { scale, shift }
}

/** @throws TypeError for a batch norm whose output goes through an activation */
export function assertWithoutActivation({ activation, numFeatures }: AnyBatchNorm): void {
  if (activation === null) return
  throw new TypeError(
    `Expected batchNorm without an activation but received activation: '${activation}', which bends what passes it ` +
      `(make one of ${numFeatures} channels without it, load this one's state, and apply ${activation} after it)`,
  )
}
