import type { PerChannel } from '../backend/backend.ts'
import { describe } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import { type AnyBatchNorm, assertBatchNorm, type BatchNorm } from '../modules/batch-norm.ts'
import { copyOf } from '../modules/copy.ts'
import type { BatchNormOptions } from '../modules/options.ts'
import { parameterArray } from '../tensor/data-type.ts'
import { type Activation, type ActivationFunction, activationFunction } from './activation.ts'
import { applyLayer } from './apply-layer.ts'
import { assertWithoutActivation } from './eval-affine.ts'
import { type AnyLayer, checkedLayer } from './layer.ts'
import { type FoldedLayer, withWeights } from './new-weights.ts'
import { largestDifference, normalized, type ProbeOptions, probeOptions, probeValues } from './probe.ts'
import { channelOfInput, flattenedFor, scaledInputs } from './scale-inputs.ts'
import { mapChannels } from './values.ts'

/** The type of a module that is like another but for its scale. */
export type WithoutScale<Module extends AnyBatchNorm> =
  Module['options'] extends BatchNormOptions<infer Type, boolean, infer Center, infer RunningStats>
    ? BatchNorm<Type, false, Center, RunningStats>
    : never

/** A batch norm without its scale, and the layer that has taken it. */
export interface Absorbed<Module extends AnyBatchNorm, Kind extends AnyLayer> {
  /** As the one before, with `scale: false` and beta divided by gamma. */
  readonly batchNorm: WithoutScale<Module>
  /** The layer behind, each input channel times what gamma was; rounded once to the types that it had. */
  readonly next: FoldedLayer<Kind>
  /**
   * `max |after - before|` of the next layer's outputs over the probe, which the batch norm's own forward
   * normalizes as the module is now, in training or in eval; in float64. `null` without a probe.
   */
  readonly largestError: number | null
}

/**
 * Moves gamma through an activation into the next layer. For g > 0 and a positively homogeneous
 * activation such as relu
 *
 *     relu(g * xhat + b) = g * relu(xhat + b / g)
 *
 * so the batch norm needs no scale: beta is divided by gamma, and what reads channel c of the next
 * layer is multiplied by `gamma[c]`. Works in training and in eval; the network computes the same.
 * Through `identity` a negative gamma can pass as well, and through `abs` its size does.
 *
 * @param activation - what stands between: `'relu'`, `{ name: 'leakyRelu', negativeSlope: 0.2 }`, ...
 * @param next - the layer behind it; convolutions with padding and transposed ones too, linear
 * layers also behind a flatten, as in `foldIntoNext`
 * @param options - `probe`: an input of the batch norm
 * @returns a new module and a new layer; nothing that was given is changed
 * @throws TypeError for an activation that is not positively homogeneous (tanh, sigmoid, elu, gelu,
 * silu) and for a batch norm without scale; RangeError that names the channels whose gamma cannot pass
 */
export function absorbScale<Module extends AnyBatchNorm, Kind extends AnyLayer>(
  batchNorm: Module,
  activation: Activation,
  next: Kind,
  options: ProbeOptions = {},
): Absorbed<Module, Kind> {
  const { probe } = optionsObject(options, probeOptions)
  const after = checkedLayer('next', next)
  assertBatchNorm('batchNorm', batchNorm)
  const { numFeatures, layout, weight: gamma, bias: beta } = batchNorm
  assertWithoutActivation(batchNorm)
  channelOfInput(after, numFeatures, layout)
  const between = activationFunction(activation, numFeatures)
  assertHomogeneous(between)
  if (gamma === null) {
    throw new TypeError(
      'Expected batchNorm with a scale but received one with scale: false (there is nothing to absorb)',
    )
  }
  assertSigns(between, gamma.data)
  const factor = Float64Array.from(gamma.data, between.name === 'abs' ? Math.abs : Number)
  const newBeta = parameterArray(batchNorm.dtype, numFeatures)
  newBeta.set(Array.from(gamma.data, (value, c) => (beta?.data[c] ?? 0) / value))
  assertChannels(
    newBeta,
    Number.isFinite,
    `beta / gamma that fits ${batchNorm.dtype}`,
    'its gamma is too small to divide by',
  )

  const { weight, added } = scaledInputs(after, factor, null, layout)
  const bias = added.map((_, out) => after.bias?.[out] ?? 0)
  const layer = withWeights(next, after, weight, bias)
  const module = withoutScale(batchNorm, newBeta)
  if (probe === undefined) return { batchNorm: module, next: layer, largestError: null }

  const input = probeValues(probe)
  const output = (of: AnyBatchNorm, into: AnyLayer) => {
    const active = mapChannels(normalized(of, input), layout, (value, c) => between.value(value, c))
    const checked = checkedLayer('next', into)
    return applyLayer(checked, flattenedFor(checked, active, layout), layout)
  }
  const largestError = largestDifference(output(module, layer), output(batchNorm, next))
  return { batchNorm: module, next: layer, largestError }
}

function assertHomogeneous({ name, isHomogeneous }: ActivationFunction): void {
  if (isHomogeneous) return
  throw new TypeError(
    `Expected a positively homogeneous activation (identity, relu, leakyRelu, prelu, abs) but received '${name}': ` +
      `${name}(g z) is not g ${name}(z), so the scale before it matters and cannot be moved (keep it)`,
  )
}

function assertSigns({ name }: ActivationFunction, gamma: PerChannel): void {
  if (name === 'identity' || name === 'abs') {
    assertChannels(gamma, (value) => value !== 0, 'gamma other than 0', 'beta / gamma does not exist there')
  } else {
    const fix = `${name}(g z) = g ${name}(z) holds for g > 0 only; train with positiveScale: true`
    assertChannels(gamma, (value) => value > 0, `gamma > 0 before ${name}`, fix)
  }
}

function assertChannels(
  values: PerChannel,
  isRight: (value: number) => boolean,
  expected: string,
  fix: string,
): void {
  const wrong = Array.from(values.keys()).filter((channel) => !isRight(values[channel]))
  if (wrong.length === 0) return
  throw new RangeError(
    `Expected ${expected} but received ${describe(wrong.map((channel) => values[channel]))} in channels ` +
      `${describe(wrong)} (${fix})`,
  )
}

/** The module without its scale, and with another bias. */
function withoutScale<Module extends AnyBatchNorm>(
  batchNorm: Module,
  bias: PerChannel,
): WithoutScale<Module> {
  const module = copyOf(batchNorm, { scale: false, positiveScale: false })
  module.bias?.data.set(bias)
  return module as unknown as WithoutScale<Module>
}
