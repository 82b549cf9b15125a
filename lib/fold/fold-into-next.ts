import { describe } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { toAffine } from './eval-affine.ts'
import type { Folded } from './fold-into-previous.ts'
import { applyLayer, checkedLayer, type Layer, probeValues, withWeights } from './layer.ts'
import { largestDifference, mapChannels, type ProbeOptions, probeOptions } from './probe.ts'
import { flattenedFor, scaledInputs } from './scale-inputs.ts'

/**
 * Folds a batch norm in eval mode into the linear layer or convolution after it:
 *
 *     weight'[o, i] = weight[o, i] * scale[i]
 *     bias'[o] = bias[o] + sum over i of weight[o, i] * shift[i]
 *
 * with the scale and shift of `toAffine`, computed in float64 and rounded to float32 once. A linear
 * layer may have `in = C` or, behind a flatten of `[N, C, ...]`, C times the positions. A convolution
 * that pads with zeros takes no shift: at the border it would meet the padding, which batch norm never saw.
 *
 * @param options - `probe`: an input of the batch norm, `[N, C, ...]`
 * @returns a new layer; nothing that was given is changed
 * @throws TypeError or RangeError as `foldIntoPrevious`; TypeError for a convolution with padding behind
 * a batch norm that shifts
 */
export function foldIntoNext<Kind extends Layer>(
  batchNorm: AnyBatchNorm,
  layer: Kind,
  options: ProbeOptions = {},
): Folded<Kind> {
  const { probe } = optionsObject(options, probeOptions)
  const after = checkedLayer('layer', layer)
  const { scale, shift } = toAffine(batchNorm)
  const { weight, added } = scaledInputs(after, scale, shift)
  const shifting = Array.from(shift.keys()).filter((channel) => shift[channel] !== 0)
  if (after.padding.some((size) => size > 0) && shifting.length > 0) {
    throw new TypeError(
      `Expected a layer without padding but received padding ${describe(layer.padding)} behind a batchNorm that ` +
        `shifts channels ${describe(shifting)}: the zeros of the padding are not shifted, so no bias does the same ` +
        '(fold it into the layer before it, or keep it)',
    )
  }
  const bias = added.map((value, out) => (after.bias?.[out] ?? 0) + value)
  const folded = withWeights(layer, after, weight, bias)
  if (probe === undefined) return { layer: folded, largestError: null }
  const input = probeValues('probe', probe)
  const normalized = mapChannels(input, (value, c) => value * scale[c] + shift[c])
  const expected = applyLayer(after, flattenedFor(after, normalized))
  const actual = applyLayer(checkedLayer('layer', folded), flattenedFor(after, input))
  return { layer: folded, largestError: largestDifference(actual, expected) }
}
