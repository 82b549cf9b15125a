/** What a batch norm is that normalizes with its running statistics: a factor and a shift for each channel. */
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'

/** `y = scale * x + shift` in each channel. */
export interface ChannelAffine {
  /** `weight / sqrt(runningVar + eps)`, `[C]`. */
  readonly scale: Float64Array
  /** `bias - runningMean * scale`, `[C]`. */
  readonly shift: Float64Array
}

/**
 * A batch norm that normalizes with its running statistics (in eval mode, frozen, with `useBatchStats: false`) as
 * `y = scale * x + shift`, in float64: it is affine in each channel, because its statistics are constants
 * then, those that it has now. That is what can be folded into a neighbouring layer.
 *
 * @throws TypeError for one that normalizes with the batch (in training mode, with `useBatchStats: true`,
 * without running statistics), where y is no function of one x: each sample moves the batch's mean and
 * variance, and so the others; and for one with an activation of its own
 */
export function toAffine(batchNorm: AnyBatchNorm): ChannelAffine {
  assertBatchNorm('batchNorm', batchNorm)
  assertWithoutActivation(batchNorm)
  const { runningMean, runningVar, weight, bias, eps, normalizesWithBatch } = batchNorm
  if (normalizesWithBatch || runningMean === null || runningVar === null) throw batchNormalizes(batchNorm)
  const [mean, variance] = [runningMean.data, runningVar.data]
  return channelAffine({ mean, variance, weight: weight?.data, bias: bias?.data, eps })
}

function batchNormalizes({ trackRunningStats, useBatchStats }: AnyBatchNorm): TypeError {
  const why =
    'where every sample of a batch moves the outputs of the others and no scale and shift say what it does'
  const sentence = (expected: string, received: string, fix: string) =>
    new TypeError(`Expected batchNorm ${expected} but received ${received}, ${why} (${fix})`)
  if (!trackRunningStats) {
    const received = 'one with trackRunningStats: false'
    return sentence(
      'with running statistics',
      received,
      'train one with trackRunningStats, or recalibrate it',
    )
  }
  if (useBatchStats) {
    const received = 'one with useBatchStats: true'
    return sentence(
      'that normalizes with its running statistics',
      received,
      'set useBatchStats to null, and call batchNorm.eval()',
    )
  }
  return sentence('in eval mode', 'it in training mode', 'call batchNorm.eval() or freeze() first')
}

/** What makes the affine function of a batch norm; without `weight` it is 1, without `bias` 0. */
interface AffineNumbers {
  readonly mean: ArrayLike<number>
  readonly variance: ArrayLike<number>
  readonly weight?: ArrayLike<number>
  readonly bias?: ArrayLike<number>
  readonly eps: number
}

export function channelAffine({ mean, variance, weight, bias, eps }: AffineNumbers): ChannelAffine {
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
