import { invalidShape, invalidValue } from '../checks/errors.ts'
import { formOf } from '../modules/input-form.ts'
import { channelAxis, type Layout, product, type Shape } from '../tensor/shape.ts'
import { type CheckedLayer, eachWeight } from './layer.ts'
import { channelsFirst, channelsLast, type Float64Values } from './values.ts'

/** A padding or a stride can ask for more than memory holds. */
const mostOutputs = 2 ** 28

/**
 * What a layer makes of values of the layout, in float64, straight from the definition. A linear layer
 * takes `[N, in]`; channels last `[N, ..., in]` too.
 *
 * @throws RangeError for a probe that does not fit the layer
 */
export function applyLayer(layer: CheckedLayer, input: Float64Values, layout: Layout): Float64Values {
  const { inputs, outputs, kernel } = layer
  const { data, shape } = input
  const isLinear = kernel.length === 0
  const takesRows = isLinear && layout === 'channels-last'
  const fits = shape.length === kernel.length + 2 || (takesRows && shape.length >= 2)
  if (!fits || shape[channelAxis(shape, layout)] !== inputs) {
    const names = [[], ['L'], ['H', 'W'], ['D', 'H', 'W']][kernel.length]
    throw invalidShape('probe', formOf(takesRows ? [[], ['...']] : [names], inputs, layout), shape)
  }
  if (takesRows) {
    const before = shape.slice(0, -1)
    return {
      data: convolved(layer, { data, shape: [product(before), inputs] }).data,
      shape: [...before, outputs],
    }
  }
  if (layout === 'channels-first') return convolved(layer, input)
  return channelsLast(convolved(layer, channelsFirst(input)))
}

/** Of `[N, in, ...]`. */
function convolved(layer: CheckedLayer, { data, shape }: Float64Values): Float64Values {
  const { weight, bias, inputs, outputs } = layer
  const [samples, , ...sizes] = shape
  const outSizes = sizes.map((size, axis) => outputSize(layer, size, axis))
  const [perInput, perOutput] = [product(sizes), product(outSizes)]
  const length = samples * outputs * perOutput
  if (Math.max(length, perOutput) > mostOutputs) {
    const fix = 'a smaller probe, or is its stride or padding right?'
    throw invalidValue('the output of the layer for the probe', `at most ${mostOutputs} numbers`, length, fix)
  }
  const result = new Float64Array(length)
  if (bias) for (let at = 0; at < result.length; at++) result[at] = bias[Math.floor(at / perOutput) % outputs]
  const ways = waysOf(layer, sizes, outSizes)
  eachWeight(layer, (at, input, output) => {
    const { sources, targets } = ways[at % ways.length]
    const factor = weight[at]
    for (let n = 0; n < samples; n++) {
      const from = (n * inputs + input) * perInput
      const to = (n * outputs + output) * perOutput
      for (let each = 0; each < sources.length; each++) {
        result[to + targets[each]] += factor * data[from + sources[each]]
      }
    }
  })
  return { data: result, shape: [samples, outputs, ...outSizes] }
}

function outputSize(layer: CheckedLayer, size: number, axis: number): number {
  const { transposed, kernel, stride, padding, dilation, outputPadding } = layer
  const reach = dilation[axis] * (kernel[axis] - 1) + 1
  const outputs = transposed
    ? (size - 1) * stride[axis] + reach - 2 * padding[axis] + outputPadding[axis]
    : Math.floor((size + 2 * padding[axis] - reach) / stride[axis]) + 1
  return Math.max(outputs, 0)
}

/** The positions that a tap of the kernel reads, and those that it adds to. */
interface Way {
  readonly sources: Int32Array
  readonly targets: Int32Array
}

/**
 * The way of each tap: from the place where it lies to the step that the kernel has taken, and back in a transposed
 * convolution.
 */
function waysOf(layer: CheckedLayer, sizes: Shape, outSizes: Shape): Way[] {
  const { transposed, kernel, stride, padding, dilation } = layer
  const [steps, places] = transposed ? [sizes, outSizes] : [outSizes, sizes]
  let ways: (readonly [step: number, place: number])[][] = [[[0, 0]]]
  kernel.forEach((taps, axis) => {
    const alongAxis = Array.from({ length: taps }, (_, tap) =>
      Array.from({ length: steps[axis] }, (_, step) => {
        return [step, step * stride[axis] - padding[axis] + tap * dilation[axis]] as const
      }).filter(([, place]) => place >= 0 && place < places[axis]),
    )
    const extended = (way: (typeof ways)[number], along: typeof way) =>
      way.flatMap(([step, place]) =>
        along.map(([s, p]) => [step * steps[axis] + s, place * places[axis] + p] as const),
      )
    ways = ways.flatMap((way) => alongAxis.map((along) => extended(way, along)))
  })
  return ways.map((way) => {
    const [ofSteps, ofPlaces] = [
      Int32Array.from(way, ([step]) => step),
      Int32Array.from(way, ([, place]) => place),
    ]
    return transposed ? { sources: ofSteps, targets: ofPlaces } : { sources: ofPlaces, targets: ofSteps }
  })
}
