import { invalidValue } from '../checks/errors.ts'
import { product } from '../tensor/shape.ts'
import type { CheckedLayer, Float64Values } from './layer.ts'

/**
 * How many inputs of a layer each channel before it becomes: 1, or the positions of a channel for a
 * linear layer behind a flatten, which puts the positions of a channel side by side.
 */
export function inputsPerChannel(layer: CheckedLayer, channels: number): number {
  const perChannel = layer.inputs / channels
  const isFlattened = layer.kernel.length === 0 && Number.isInteger(perChannel)
  if (perChannel === 1 || isFlattened) return perChannel
  const expected = layer.kernel.length === 0 ? `a divisor of ${layer.inputs}` : `${layer.inputs}`
  throw invalidValue('batchNorm.numFeatures', `${expected}, the inputs of ${layer.name}`, channels)
}

/** The weight with what reads channel c multiplied by `factor[c]`, and what a shift by channel adds to each output. */
export function scaledInputs(
  layer: CheckedLayer,
  factor: Float64Array,
  shift: Float64Array | null,
): { weight: Float64Array; added: Float64Array } {
  const { outputs, inputs, groups, kernel } = layer
  const perChannel = inputsPerChannel(layer, factor.length)
  const taps = product(kernel)
  const inputsOfGroup = inputs / groups
  const weight = Float64Array.from(layer.weight)
  const added = new Float64Array(outputs)
  let at = 0
  for (let out = 0; out < outputs; out++) {
    const firstInput = Math.floor((out * groups) / outputs) * inputsOfGroup
    for (let i = 0; i < inputsOfGroup; i++) {
      const channel = Math.floor((firstInput + i) / perChannel)
      for (let tap = 0; tap < taps; tap++, at++) {
        if (shift) added[out] += weight[at] * shift[channel]
        weight[at] *= factor[channel]
      }
    }
  }
  return { weight, added }
}

/** `[N, C, ...]` as the layer takes it: flattened to `[N, in]` for a linear layer. */
export function flattenedFor(layer: CheckedLayer, values: Float64Values): Float64Values {
  if (layer.kernel.length > 0) return values
  const [samples, ...sizes] = values.shape
  return { data: values.data, shape: [samples, product(sizes)] }
}
