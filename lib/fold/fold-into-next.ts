import { describe } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { applyLayer } from './apply-layer.ts'
import { toAffine } from './eval-affine.ts'
import type { Folded } from './fold-into-previous.ts'
import { type AnyLayer, type CheckedLayer, checkedLayer } from './layer.ts'
import { withWeights } from './new-weights.ts'
import { largestDifference, normalized, type ProbeOptions, probeOptions, probeValues } from './probe.ts'
import { flattenedFor, scaledInputs } from './scale-inputs.ts'

/**
 * Folds a batch norm that normalizes with its running statistics into the linear layer or convolution after it:
 *
 *     weight'[o, i] = weight[o, i] * scale[i]
 *     bias'[o] = bias[o] + sum over i of weight[o, i] * shift[i]
 *
 * with the scale and shift of `toAffine`, computed in float64 and rounded once to the types that weight and
 * bias have. A linear layer may have `in = C` or, behind a flatten, C times the positions. A convolution that
 * pads with zeros takes no shift: at the border it would meet the padding, which batch norm never saw. Nor does
 * a transposed one whose borders or strides meet fewer taps of the kernel.
 *
 * @param options - `probe`: an input of the batch norm
 * @returns a new layer; nothing that was given is changed
 * @throws TypeError or RangeError as `foldIntoPrevious`; TypeError for a convolution that takes no shift behind
 * a batch norm that shifts
 */
export function foldIntoNext<Kind extends AnyLayer>(
  batchNorm: AnyBatchNorm,
  layer: Kind,
  options: ProbeOptions = {},
): Folded<Kind> {
  const { probe } = optionsObject(options, probeOptions)
  const after = checkedLayer('layer', layer)
  const { scale, shift } = toAffine(batchNorm)
  const { layout } = batchNorm
  const { weight, added } = scaledInputs(after, scale, shift, layout)
  assertTakesShift(layer, after, shift)
  const bias = added.map((value, out) => (after.bias?.[out] ?? 0) + value)
  const folded = withWeights(layer, after, weight, bias)
  if (probe === undefined) return { layer: folded, largestError: null }
  const input = probeValues(probe)
  const expected = applyLayer(after, flattenedFor(after, normalized(batchNorm, input), layout), layout)
  const actual = applyLayer(checkedLayer('layer', folded), flattenedFor(after, input, layout), layout)
  return { layer: folded, largestError: largestDifference(actual, expected) }
}

/** @throws TypeError where an output may meet less than all the taps of its kernel, so that a shift is no bias */
function assertTakesShift(given: AnyLayer, layer: CheckedLayer, shift: Float64Array): void {
  const { transposed, kernel, stride, padding, dilation, outputPadding } = layer
  const shifting = Array.from(shift.keys()).filter((channel) => shift[channel] !== 0)
  const takesShift = kernel.every((taps, axis) => {
    if (!transposed) return padding[axis] === 0
    return stride[axis] === 1 && padding[axis] - outputPadding[axis] >= dilation[axis] * (taps - 1)
  })
  if (takesShift || shifting.length === 0) return
  const [expected, received, why] = transposed
    ? [
        'whose outputs all meet the whole kernel',
        'a transposed convolution whose borders or strides meet a part of it',
        'a shift adds less there',
      ]
    : ['without padding', `padding ${describe(given.padding)}`, 'the zeros of the padding are not shifted']
  throw new TypeError(
    `Expected a layer ${expected} but received ${received} behind a batchNorm that shifts channels ` +
      `${describe(shifting)}: ${why}, so no bias does the same (fold it into the layer before it, or keep it)`,
  )
}
