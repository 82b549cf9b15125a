import { invalidValue } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type ChannelAffine, toAffine } from './eval-affine.ts'
import { applyLayer, checkedLayer, type Layer, probeValues, withWeights } from './layer.ts'
import { largestDifference, mapChannels, type ProbeOptions, probeOptions } from './probe.ts'

/** A layer that does what a layer and a batch norm did. */
export interface Folded<Kind extends Layer = Layer> {
  readonly layer: Kind & { readonly weight: Tensor; readonly bias: Tensor }
  /** `max |folded - before|` over the probe, both in float64; `null` without one. */
  readonly largestError: number | null
}

/**
 * Folds a batch norm in eval mode into the linear layer or convolution before it:
 *
 *     weight'[o] = weight[o] * scale[o]
 *     bias'[o] = bias[o] * scale[o] + shift[o]
 *
 * with the scale and shift of `toAffine`, computed in float64 and rounded to float32 once. The new
 * layer has a bias whether the old one had or not.
 * https://pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
 *
 * @param options - `probe`: an input of the layer, `[N, in, ...]`
 * @returns a new layer; nothing that was given is changed
 * @throws TypeError or RangeError for layers that do not fit each other, for a module in training mode
 * or without running statistics, and for results that do not fit float32
 */
export function foldIntoPrevious<Kind extends Layer>(
  layer: Kind,
  batchNorm: AnyBatchNorm,
  options: ProbeOptions = {},
): Folded<Kind> {
  const { probe } = optionsObject(options, probeOptions)
  const before = checkedLayer('layer', layer)
  assertBatchNorm('batchNorm', batchNorm)
  if (batchNorm.numFeatures !== before.outputs) {
    throw invalidValue(
      'batchNorm.numFeatures',
      `${before.outputs}, the outputs of the layer`,
      batchNorm.numFeatures,
    )
  }
  const affine = toAffine(batchNorm)
  const { scale, shift } = affine
  const { weight, bias } = foldedWeights(before.weight, before.bias, affine)
  const folded = withWeights(layer, before, weight, bias)
  if (probe === undefined) return { layer: folded, largestError: null }
  const input = probeValues('probe', probe)
  const expected = mapChannels(applyLayer(before, input), (value, c) => value * scale[c] + shift[c])
  const actual = applyLayer(checkedLayer('layer', folded), input)
  return { layer: folded, largestError: largestDifference(actual, expected) }
}

/** Weight and bias of a layer, output by output, with a scale and a shift behind it; in float64. */
export function foldedWeights(
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | null,
  { scale, shift }: ChannelAffine,
): { weight: Float64Array; bias: Float64Array } {
  const size = weight.length / scale.length
  return {
    weight: Float64Array.from(weight, (value, at) => value * scale[Math.floor(at / size)]),
    bias: shift.map((value, out) => (bias?.[out] ?? 0) * scale[out] + value),
  }
}
