import { invalidValue } from '../checks/errors.ts'
import { type Layout, product } from '../tensor/shape.ts'
import { type CheckedLayer, eachWeight } from './layer.ts'
import type { Float64Values } from './values.ts'

/**
 * The channel that an input of a layer was. A linear layer may stand behind a flatten, which puts the
 * positions of a channel side by side, or, channels last, the channels of a position.
 *
 * @throws RangeError for channels that are not the inputs of the layer
 */
export function channelOfInput(
  layer: CheckedLayer,
  channels: number,
  layout: Layout,
): (input: number) => number {
  const perChannel = layer.inputs / channels
  const isLinear = layer.kernel.length === 0
  if (perChannel !== 1 && !(isLinear && Number.isInteger(perChannel))) {
    const expected = isLinear ? `a divisor of ${layer.inputs}` : `${layer.inputs}`
    throw invalidValue('batchNorm.numFeatures', `${expected}, the inputs of ${layer.name}`, channels)
  }
  return layout === 'channels-last' ? (input) => input % channels : (input) => Math.floor(input / perChannel)
}

/**
 * The weight with what reads channel c multiplied by `factor[c]`, and what a shift by channel adds to each
 * output that meets all the taps of its kernel.
 */
export function scaledInputs(
  layer: CheckedLayer,
  factor: Float64Array,
  shift: Float64Array | null,
  layout: Layout,
): { weight: Float64Array; added: Float64Array } {
  const channelOf = channelOfInput(layer, factor.length, layout)
  const weight = Float64Array.from(layer.weight)
  const added = new Float64Array(layer.outputs)
  eachWeight(layer, (at, input, output) => {
    const channel = channelOf(input)
    if (shift) added[output] += weight[at] * shift[channel]
    weight[at] *= factor[channel]
  })
  return { weight, added }
}

/** What a layer takes of the outputs of a batch norm: flattened, where a linear layer has more inputs than channels. */
export function flattenedFor(
  layer: CheckedLayer,
  { data, shape }: Float64Values,
  layout: Layout,
): Float64Values {
  const takesRows = layout === 'channels-last' && shape[shape.length - 1] === layer.inputs
  if (layer.kernel.length > 0 || takesRows) return { data, shape }
  return { data, shape: [shape[0], product(shape.slice(1))] }
}
