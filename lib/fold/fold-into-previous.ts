import { invalidValue } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'
import { applyLayer } from './apply-layer.ts'
import { type ChannelAffine, toAffine } from './eval-affine.ts'
import { type AnyLayer, type CheckedLayer, checkedLayer, eachWeight, type Layer } from './layer.ts'
import { type FoldedLayer, withWeights } from './new-weights.ts'
import { largestDifference, normalized, type ProbeOptions, probeOptions, probeValues } from './probe.ts'

/** A layer that does what a layer and a batch norm did. */
export interface Folded<Kind extends AnyLayer = Layer> {
  /** A copy of the layer that was given, with the new weight and bias. */
  readonly layer: FoldedLayer<Kind>
  /**
   * `max |folded - before|` over the probe, where the batch norm's own forward is a part of *before*; both in
   * float64. `null` without a probe.
   */
  readonly largestError: number | null
}

/**
 * Folds a batch norm that normalizes with its running statistics into the linear layer or convolution before it:
 *
 *     weight'[o] = weight[o] * scale[o]
 *     bias'[o] = bias[o] * scale[o] + shift[o]
 *
 * with the scale and shift of `toAffine`, computed in float64 and rounded once to the types that weight and
 * bias have. Of a transposed convolution `weight[o]` is what adds to output o. The new layer has a bias
 * whether the old one had or not.
 * https://pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
 *
 * @param options - `probe`: an input of the layer
 * @returns a new layer; nothing that was given is changed
 * @throws TypeError or RangeError for layers that do not fit each other, for what `toAffine` refuses, and for
 * results that do not fit the type of the layer
 */
export function foldIntoPrevious<Kind extends AnyLayer>(
  layer: Kind,
  batchNorm: AnyBatchNorm,
  options: ProbeOptions = {},
): Folded<Kind> {
  const { probe } = optionsObject(options, probeOptions)
  const before = checkedLayer('layer', layer)
  assertBatchNorm('batchNorm', batchNorm)
  const { numFeatures, layout } = batchNorm
  if (numFeatures !== before.outputs) {
    throw invalidValue('batchNorm.numFeatures', `${before.outputs}, the outputs of the layer`, numFeatures)
  }
  const { weight, bias } = foldedWeights(before, toAffine(batchNorm))
  const folded = withWeights(layer, before, weight, bias)
  if (probe === undefined) return { layer: folded, largestError: null }
  const input = probeValues(probe)
  const expected = normalized(batchNorm, applyLayer(before, input, layout))
  const actual = applyLayer(checkedLayer('layer', folded), input, layout)
  return { layer: folded, largestError: largestDifference(actual, expected) }
}

/** Weight and bias of a layer with a scale and a shift behind it, in float64. */
export function foldedWeights(
  layer: CheckedLayer,
  { scale, shift }: ChannelAffine,
): { weight: Float64Array; bias: Float64Array } {
  const weight = Float64Array.from(layer.weight)
  eachWeight(layer, (at, _, output) => {
    weight[at] *= scale[output]
  })
  return { weight, bias: shift.map((value, output) => (layer.bias?.[output] ?? 0) * scale[output] + value) }
}
