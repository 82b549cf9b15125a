import { invalidShape, invalidType, invalidValue } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import { type AnyBatchNorm, type BatchNorm, isBatchNorm } from '../modules/batch-norm.ts'
import type { FloatType } from '../tensor/data-type.ts'
import { tensor } from '../tensor/tensor.ts'
import { describeActivation } from './activation.ts'
import { applyLayer } from './apply-layer.ts'
import { type ChannelAffine, toAffine } from './eval-affine.ts'
import type { Folded } from './fold-into-previous.ts'
import { type AnyLayer, type CheckedLayer, checkedLayer, type Layer } from './layer.ts'
import { withWeights } from './new-weights.ts'
import { largestDifference, normalized, type ProbeOptions, probeOptions, probeValues } from './probe.ts'
import { type Float64Values, mapChannels } from './values.ts'

/** One step of the stack, checked: `y = step(x)` by rows. */
type Step =
  | { readonly layer: CheckedLayer }
  | { readonly batchNorm: AnyBatchNorm; readonly affine: ChannelAffine }

/** What a step makes of rows. */
type Apply = (step: Step, rows: Float64Values) => Float64Values

/**
 * A stack of linear layers and batch norms as one linear layer, where the batch norms normalize with their running
 * statistics: without an activation in between they are one, however many. Batch norm does not replace the
 * activation.
 *
 * Computed in float64 and rounded once, to the type of the layers (where they differ, float64 beside a layer of
 * float64, otherwise float32).
 *
 * @param stack - linear layers and batch norms, in order
 * @param options - `probe`: an input of the stack, `[N, in]`
 * @throws TypeError that names an activation in the stack, which no linear layer can stand for, and for what
 * `toAffine` refuses; RangeError where one step's outputs are not the next one's inputs
 */
export function collapse(stack: readonly (Layer | BatchNorm)[], options?: ProbeOptions): Folded<Layer>
export function collapse(
  stack: readonly (AnyLayer | AnyBatchNorm)[],
  options?: ProbeOptions,
): Folded<AnyLayer>
export function collapse(
  stack: readonly (AnyLayer | AnyBatchNorm)[],
  options: ProbeOptions = {},
): Folded<AnyLayer> {
  const { probe } = optionsObject(options, probeOptions)
  if (!Array.isArray(stack) || stack.length === 0) {
    throw invalidType('stack', 'linear layers and batch norms, at least one', stack)
  }
  const steps = Array.from(stack, checkedStep)
  const inputs = inputsOf(steps[0])
  // The columns of the matrix are what the steps make of the unit vectors, less what they make of 0.
  const units = new Float64Array(inputs * inputs)
  for (let i = 0; i < inputs; i++) units[i * inputs + i] = 1
  const bias = through(steps, { data: new Float64Array(inputs), shape: [1, inputs] }, shifting).data
  const outputs = bias.length
  const images = through(steps, { data: units, shape: [inputs, inputs] }, scaling).data
  const weight = new Float64Array(outputs * inputs)
  for (let i = 0; i < inputs; i++) {
    for (let out = 0; out < outputs; out++) weight[out * inputs + i] = images[i * outputs + out]
  }
  const template = {
    weight: tensor(new Float64Array(weight.length), [outputs, inputs], { dtype: commonType(steps) }),
  }
  const layer = withWeights(template, checkedLayer('stack', template), weight, bias)
  if (probe === undefined) return { layer, largestError: null }
  const input = probeValues(probe)
  if (input.shape.length !== 2 || input.shape[1] !== inputs) {
    throw invalidShape('probe', `[N, ${inputs}]`, input.shape)
  }
  const expected = through(steps, input, running)
  const actual = applyLayer(checkedLayer('stack', layer), input, 'channels-first')
  return { layer, largestError: largestDifference(actual, expected) }
}

function checkedStep(step: AnyLayer | AnyBatchNorm, index: number): Step {
  const name = `stack[${index}]`
  if (isBatchNorm(step)) return { batchNorm: step, affine: toAffine(step) }
  if (typeof step !== 'object' || step === null || !('weight' in step) || 'name' in step) {
    throw new TypeError(
      `Expected ${name} to be a linear layer or a batch norm but received ${describeActivation(step)} ` +
        '(an activation bends what passes it, and no linear layer does: collapse the parts before and after it)',
    )
  }
  const layer = checkedLayer(name, step)
  if (layer.kernel.length > 0) {
    throw invalidShape(`${name}.weight`, '[out, in], a linear layer,', step.weight.shape)
  }
  return { layer }
}

function inputsOf(step: Step): number {
  return 'layer' in step ? step.layer.inputs : step.batchNorm.numFeatures
}

function commonType(steps: readonly Step[]): FloatType {
  const ofLayers = steps.flatMap((step) => ('layer' in step ? [step.layer.type] : []))
  const ofBatchNorms = steps.flatMap((step) => ('layer' in step ? [] : [step.batchNorm.dtype]))
  const [first, ...others] = new Set<FloatType>(ofLayers.length > 0 ? ofLayers : ofBatchNorms)
  if (others.length === 0) return first
  return [first, ...others].includes('float64') ? 'float64' : 'float32'
}

/** The steps without what they add. */
function scaling(step: Step, rows: Float64Values): Float64Values {
  if ('layer' in step) return applyLayer({ ...step.layer, bias: null }, rows, 'channels-first')
  return mapChannels(rows, 'channels-first', (value, c) => value * step.affine.scale[c])
}

/** The steps as a linear layer does them. */
function shifting(step: Step, rows: Float64Values): Float64Values {
  if ('layer' in step) return applyLayer(step.layer, rows, 'channels-first')
  const { scale, shift } = step.affine
  return mapChannels(rows, 'channels-first', (value, c) => value * scale[c] + shift[c])
}

/** The steps as they run. */
function running(step: Step, rows: Float64Values): Float64Values {
  return 'layer' in step ? shifting(step, rows) : normalized(step.batchNorm, rows)
}

/** What the steps make of rows, in float64. */
function through(steps: readonly Step[], rows: Float64Values, apply: Apply): Float64Values {
  return steps.reduce((values, step, index) => {
    const [, outputs] = values.shape
    if (inputsOf(step) !== outputs) {
      throw invalidValue(`the inputs of stack[${index}]`, `${outputs}, the outputs before it`, inputsOf(step))
    }
    return apply(step, values)
  }, rows)
}
