import { invalidShape, invalidType, invalidValue } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import { type AnyBatchNorm, BatchNorm } from '../modules/batch-norm.ts'
import { tensor } from '../tensor/tensor.ts'
import { describeActivation } from './activation.ts'
import { toAffine } from './eval-affine.ts'
import type { Folded } from './fold-into-previous.ts'
import { applyLayer, checkedLayer, type Layer, probeValues, withWeights } from './layer.ts'
import { largestDifference, mapChannels, type ProbeOptions, probeOptions } from './probe.ts'

/** One step of the stack, checked: `y = step(x)` by columns. */
type Step = { readonly layer: ReturnType<typeof checkedLayer> } | ReturnType<typeof toAffine>

/**
 * A stack of linear layers and batch norms in eval mode as one linear layer: without an activation in
 * between they are one, however many. Batch norm does not replace the activation.
 *
 * Computed in float64 and rounded to float32 once.
 *
 * @param stack - linear layers and batch norms, in order
 * @param options - `probe`: an input of the stack, `[N, in]`
 * @throws TypeError that names an activation in the stack, which no linear layer can stand for, and for a
 * module in training mode; RangeError where one step's outputs are not the next one's inputs
 */
export function collapse(
  stack: readonly (Layer | AnyBatchNorm)[],
  options: ProbeOptions = {},
): Folded<Layer> {
  const { probe } = optionsObject(options, probeOptions)
  if (!Array.isArray(stack) || stack.length === 0) {
    throw invalidType('stack', 'linear layers and batch norms, at least one', stack)
  }
  const steps = stack.map(checkedStep)
  const inputs = inputsOf(steps[0])
  // The columns of the matrix are what the steps make of the unit vectors, less what they make of 0.
  const size = inputs + 1
  const units = new Float64Array(size * inputs)
  for (let i = 0; i < inputs; i++) units[(i + 1) * inputs + i] = 1
  const linearPart = (values: Float64Array) => through(steps, values, inputs, true)
  const bias = through(steps, new Float64Array(inputs), inputs, false)
  const outputs = bias.length
  const images = linearPart(units.subarray(inputs))
  const weight = new Float64Array(outputs * inputs)
  for (let i = 0; i < inputs; i++) {
    for (let out = 0; out < outputs; out++) weight[out * inputs + i] = images[i * outputs + out]
  }
  const template = { weight: tensor(new Float32Array(outputs * inputs), [outputs, inputs]) }
  const layer = withWeights(template, checkedLayer('stack', template), weight, bias)
  if (probe === undefined) return { layer, largestError: null }
  const input = probeValues('probe', probe)
  if (input.shape.length !== 2 || input.shape[1] !== inputs) {
    throw invalidShape('probe', `[N, ${inputs}]`, input.shape)
  }
  const expected = { data: through(steps, input.data, inputs, false), shape: [input.shape[0], outputs] }
  return { layer, largestError: largestDifference(applyLayer(checkedLayer('stack', layer), input), expected) }
}

function checkedStep(step: Layer | AnyBatchNorm, index: number): Step {
  const name = `stack[${index}]`
  if (step instanceof BatchNorm) return toAffine(step)
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
  return 'layer' in step ? step.layer.inputs : step.scale.length
}

/** What the steps make of rows of `inputs` values, in float64; with `linear`, without what they add. */
function through(steps: readonly Step[], rows: Float64Array, inputs: number, linear: boolean): Float64Array {
  let values = { data: rows, shape: [rows.length / inputs, inputs] as readonly number[] }
  steps.forEach((step, index) => {
    if (inputsOf(step) !== values.shape[1]) {
      throw invalidValue(
        `the inputs of stack[${index}]`,
        `${values.shape[1]}, the outputs before it`,
        inputsOf(step),
      )
    }
    if ('layer' in step) values = applyLayer(linear ? { ...step.layer, bias: null } : step.layer, values)
    else values = mapChannels(values, (value, c) => value * step.scale[c] + (linear ? 0 : step.shift[c]))
  })
  return values.data
}
