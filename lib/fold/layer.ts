/**
 * Linear layers and convolutions as plain data, in PyTorch's layout. There is no tensor algebra here:
 * these are the layers that a batch norm can be folded into.
 */
import { invalidShape, invalidType, invalidValue, wrongLength } from '../checks/errors.ts'
import { assertSpelling, optionNames } from '../checks/options.ts'
import { boolean, positiveInteger } from '../checks/scalars.ts'
import type { TensorLike } from '../checks/tensors.ts'
import type { FloatType, TensorData } from '../tensor/data-type.ts'
import { product, type Shape } from '../tensor/shape.ts'
import { numbersOf } from './values.ts'

/**
 * A linear layer, `weight` `[out, in]`; a convolution, `weight` `[out, in / groups, ...kernel]` with one to
 * three axes of positions; or a transposed convolution, `weight` `[in, out / groups, ...kernel]`. The values
 * are float32, float64, bfloat16 or float16. https://pytorch.org/docs/stable/generated/torch.nn.Linear.html,
 * https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html,
 * https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
 */
export interface Layer<Data extends TensorData = Float32Array, BiasData extends TensorData = Data> {
  /** `[out, in]`, `[out, in / groups, ...kernel]`, or transposed `[in, out / groups, ...kernel]`. */
  readonly weight: TensorLike<Data>
  /** `[out]`; none stands for zeros. */
  readonly bias?: BiasData | TensorLike<BiasData> | null
  /** Of a convolution: output channel o reads the inputs of group `o * groups / out`. Default 1. */
  readonly groups?: number
  /** One number, or one for each axis of positions. Default 1. */
  readonly stride?: number | readonly number[]
  /** Zeros added at both ends of each axis; what is cut off there of a transposed convolution. Default 0. */
  readonly padding?: number | readonly number[]
  /** Default 1. */
  readonly dilation?: number | readonly number[]
  /** Whether it is a transposed convolution, whose weight lies the other way round. Default false. */
  readonly transposed?: boolean
  /** Of a transposed convolution: positions added at the far end of each axis. Default 0. */
  readonly outputPadding?: number | readonly number[]
}

/** A layer of values of any type. */
export type AnyLayer = Layer<TensorData>

/** A layer that was checked. */
export interface CheckedLayer {
  readonly name: string
  /** As numbers, whatever its type. */
  readonly weight: Float32Array | Float64Array
  readonly bias: Float32Array | Float64Array | null
  readonly shape: Shape
  readonly type: FloatType
  /** That of the weight for a layer without bias. */
  readonly biasType: FloatType
  readonly outputs: number
  readonly inputs: number
  readonly groups: number
  readonly transposed: boolean
  /** Sizes of the kernel; none for a linear layer. */
  readonly kernel: Shape
  readonly stride: Shape
  readonly padding: Shape
  readonly dilation: Shape
  readonly outputPadding: Shape
}

/** A layer may have more, which stays as it is. */
const names = optionNames<AnyLayer>({
  weight: true,
  bias: true,
  groups: true,
  stride: true,
  padding: true,
  dilation: true,
  transposed: true,
  outputPadding: true,
})

/** @throws TypeError or RangeError that names what does not fit */
export function checkedLayer(name: string, layer: AnyLayer): CheckedLayer {
  if (typeof layer !== 'object' || layer === null) throw invalidType(name, 'a layer { weight, bias }', layer)
  assertSpelling(layer, names, name)
  const transposed = boolean(`${name}.transposed`, layer.transposed ?? false)
  const { numbers: weight, type } = numbersOf(`${name}.weight`, layer.weight)
  const { shape } = layer.weight
  const [first, secondOfGroup, ...kernel] = shape
  const isLinear = kernel.length === 0
  if (shape.length < 2 || shape.length > 5 || weight.length === 0 || (transposed && isLinear)) {
    const expected = transposed
      ? '[in, out / groups, ...kernel], for a transposed convolution,'
      : '[out, in] or [out, in / groups, ...kernel]'
    throw invalidShape(`${name}.weight`, expected, shape)
  }
  const groups = positiveInteger(`${name}.groups`, layer.groups ?? 1)
  if (first % groups !== 0 || (isLinear && groups > 1)) {
    const divided = `a divisor of its ${first} ${transposed ? 'inputs' : 'outputs'}`
    throw invalidValue(`${name}.groups`, isLinear ? '1 for a linear layer' : divided, groups)
  }
  const [inputs, outputs] = transposed ? [first, secondOfGroup * groups] : [secondOfGroup * groups, first]
  const bias = biasOf(`${name}.bias`, layer.bias, outputs, type)
  const settings = {
    stride: sizesOf(name, layer, 'stride', kernel.length, 1, 1),
    padding: sizesOf(name, layer, 'padding', kernel.length, 0, 0),
    dilation: sizesOf(name, layer, 'dilation', kernel.length, 1, 1),
    outputPadding: sizesOf(name, layer, 'outputPadding', kernel.length, 0, 0),
  }
  assertOutputPadding(name, transposed, settings)
  return { name, weight, ...bias, shape, type, inputs, outputs, groups, transposed, kernel, ...settings }
}

/** A bare array of halves is of the type of the weight; a tensor says its own. */
function biasOf(name: string, bias: AnyLayer['bias'], outputs: number, type: FloatType) {
  if (bias === undefined || bias === null) return { bias: null, biasType: type }
  const given = ArrayBuffer.isView(bias) ? { data: bias, shape: [bias.length], dtype: type } : bias
  const { numbers, type: biasType } = numbersOf(name, given)
  if (numbers.length !== outputs) throw wrongLength(name, numbers, outputs, 'one value an output')
  return { bias: numbers, biasType }
}

type Sizes = 'stride' | 'padding' | 'dilation' | 'outputPadding'

/** One size for each axis of positions; a linear layer has none. */
function sizesOf(
  name: string,
  layer: AnyLayer,
  option: Sizes,
  axes: number,
  otherwise: number,
  least: number,
): Shape {
  const given = layer[option] ?? otherwise
  const all = typeof given === 'number' && axes > 0 ? Array<number>(axes).fill(given) : given
  if (axes === 0 && given === otherwise) return []
  const fits = Array.isArray(all) && all.length === axes
  if (!fits || !all.every((size) => Number.isSafeInteger(size) && size >= least)) {
    const expected =
      axes === 0 ? `${otherwise}, for a linear layer,` : `an integer of at least ${least}, or ${axes} of them`
    throw invalidValue(`${name}.${option}`, expected, given)
  }
  return all
}

/** @throws RangeError for a padding of the output where there is none, and for one that PyTorch refuses */
function assertOutputPadding(
  name: string,
  transposed: boolean,
  { stride, dilation, outputPadding }: Readonly<Record<'stride' | 'dilation' | 'outputPadding', Shape>>,
): void {
  outputPadding.forEach((size, axis) => {
    const limit = transposed ? Math.max(stride[axis], dilation[axis]) : 1
    if (size < limit) return
    const expected = transposed ? 'less than stride or dilation' : '0 where transposed is false'
    throw invalidValue(`${name}.outputPadding`, expected, outputPadding)
  })
}

/** Visits every number of a weight, with the channel that it reads and the one that it adds to. */
export function eachWeight(
  { inputs, outputs, groups, transposed, kernel }: CheckedLayer,
  visit: (at: number, input: number, output: number) => void,
): void {
  const [first, second] = transposed ? [inputs, outputs] : [outputs, inputs]
  const secondOfGroup = second / groups
  const taps = product(kernel)
  let at = 0
  for (let one = 0; one < first; one++) {
    const group = Math.floor((one * groups) / first)
    for (let other = group * secondOfGroup; other < (group + 1) * secondOfGroup; other++) {
      const [input, output] = transposed ? [one, other] : [other, one]
      for (let tap = 0; tap < taps; tap++) visit(at++, input, output)
    }
  }
}
