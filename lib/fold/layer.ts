/**
 * Linear layers and convolutions as plain data, in PyTorch's layout. There is no tensor algebra here:
 * these are the layers that a batch norm can be folded into.
 */
import { describe, invalidShape, invalidType, invalidValue } from '../checks/errors.ts'
import { positiveInteger } from '../checks/scalars.ts'
import { float32Tensor, float32Vector, type TensorLike, type Vector } from '../checks/tensors.ts'
import type { Shape } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'

/**
 * A linear layer, `weight` `[out, in]`, or a convolution, `weight` `[out, in / groups, ...kernel]` with
 * one to three axes of positions. https://pytorch.org/docs/stable/generated/torch.nn.Linear.html,
 * https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
 */
export interface Layer {
  readonly weight: TensorLike
  /** `[out]`; none stands for zeros. */
  readonly bias?: Vector | null
  /** Of a convolution: output channel o reads the inputs of group `o * groups / out`. Default 1. */
  readonly groups?: number
  /** One number, or one for each axis of positions. Default 1. */
  readonly stride?: number | readonly number[]
  /** Zeros added at both ends of each axis. Default 0. */
  readonly padding?: number | readonly number[]
  /** Default 1. */
  readonly dilation?: number | readonly number[]
  /** A transposed convolution has its weight the other way round, and is refused. */
  readonly transposed?: boolean
}

/** A layer that was checked. */
export interface CheckedLayer {
  readonly name: string
  readonly weight: Float32Array
  readonly bias: Float32Array | null
  readonly outputs: number
  readonly inputs: number
  readonly groups: number
  /** Sizes of the kernel; none for a linear layer. */
  readonly kernel: Shape
  readonly stride: Shape
  readonly padding: Shape
  readonly dilation: Shape
}

/** @throws TypeError or RangeError that names what does not fit */
export function checkedLayer(name: string, layer: Layer): CheckedLayer {
  if (typeof layer !== 'object' || layer === null) throw invalidType(name, 'a layer { weight, bias }', layer)
  if (layer.transposed) {
    throw invalidType(
      `${name}.transposed`,
      'false',
      true,
      'swap the first two axes of the weight group by group, and fold by hand: a transposed convolution is not supported',
    )
  }
  const weight = float32Tensor(`${name}.weight`, layer.weight)
  const { shape } = layer.weight
  if (shape.length < 2 || shape.length > 5 || weight.length === 0) {
    throw invalidShape(`${name}.weight`, '[out, in] or [out, in / groups, ...kernel]', shape)
  }
  const [outputs, inputsOfGroup, ...kernel] = shape
  const groups = positiveInteger(`${name}.groups`, layer.groups ?? 1)
  if (outputs % groups !== 0 || (kernel.length === 0 && groups > 1)) {
    const expected = kernel.length === 0 ? '1 for a linear layer' : `a divisor of its ${outputs} outputs`
    throw invalidValue(`${name}.groups`, expected, groups)
  }
  const sizes = (option: 'stride' | 'padding' | 'dilation', otherwise: number, least: number): Shape => {
    const given = layer[option] ?? otherwise
    const all = typeof given === 'number' ? kernel.map(() => given) : given
    const fits = Array.isArray(all) && all.length === kernel.length
    if (!fits || !all.every((size) => Number.isSafeInteger(size) && size >= least)) {
      const expected = `an integer of at least ${least}, or ${kernel.length} of them`
      throw invalidValue(`${name}.${option}`, expected, given)
    }
    return all
  }
  return {
    name,
    weight,
    bias: float32Vector(`${name}.bias`, layer.bias, outputs),
    outputs,
    inputs: inputsOfGroup * groups,
    groups,
    kernel,
    stride: sizes('stride', 1, 1),
    padding: sizes('padding', 0, 0),
    dilation: sizes('dilation', 1, 1),
  }
}

/**
 * The same layer with other weights, rounded to float32 once.
 *
 * @throws RangeError that names the output channels whose numbers do not fit float32
 */
export function withWeights<Kind extends Layer>(
  layer: Kind,
  { name, outputs }: CheckedLayer,
  weight: Float64Array,
  bias: Float64Array,
): Kind & { readonly weight: Tensor; readonly bias: Tensor } {
  const rounded = Float32Array.from(weight)
  const roundedBias = Float32Array.from(bias)
  assertFinite(name, 'float32', rounded, roundedBias)
  return {
    ...layer,
    weight: new Tensor(rounded, [...layer.weight.shape]),
    bias: new Tensor(roundedBias, [outputs]),
  }
}

/**
 * Weight and bias that were rounded to `type`, checked.
 *
 * @throws RangeError that names the output channels whose numbers do not fit the type
 */
export function assertFinite(
  name: string,
  type: string,
  weight: Float32Array | Float64Array,
  bias: Float32Array | Float64Array,
): void {
  const size = weight.length / bias.length
  const isWrong = (out: number) =>
    !(Number.isFinite(bias[out]) && weight.subarray(out * size, (out + 1) * size).every(Number.isFinite))
  const wrong = Array.from(bias.keys()).filter(isWrong)
  if (wrong.length === 0) return
  throw new RangeError(
    `Expected new weights of ${name} that fit ${type} but received others in output channels ${describe(wrong)} ` +
      '(is a weight or a running statistic NaN or Infinity, or a running variance near 0 with a tiny eps?)',
  )
}

/** Values in float64 and their shape. */
export interface Float64Values {
  readonly data: Float64Array
  readonly shape: Shape
}

/** The probe that a caller gave, in float64. */
export function probeValues(name: string, probe: TensorLike): Float64Values {
  return { data: Float64Array.from(float32Tensor(name, probe)), shape: probe.shape }
}

/**
 * What a layer makes of `[N, in]` or `[N, in, ...positions]`, in float64, straight from the definition.
 *
 * @throws RangeError for an input that does not fit the layer
 */
export function applyLayer(layer: CheckedLayer, input: Float64Values): Float64Values {
  const { outputs, inputs, groups, kernel } = layer
  const [samples, channels, ...sizes] = input.shape
  const isLinear = kernel.length === 0
  if (channels !== inputs || sizes.length !== kernel.length) {
    const axes = ['', 'L', 'H, W', 'D, H, W'][kernel.length]
    throw invalidShape('probe', `[N, ${inputs}${isLinear ? '' : `, ${axes}`}]`, input.shape)
  }
  // One to three axes are seen as three.
  const three = (values: readonly number[], missing: number) => [
    ...Array<number>(3 - values.length).fill(missing),
    ...values,
  ]
  const [depth, height, width] = three(sizes, 1)
  const [kernelDepth, kernelHeight, kernelWidth] = three(kernel, 1)
  const stride = three(layer.stride, 1)
  const padding = three(layer.padding, 0)
  const dilation = three(layer.dilation, 1)
  const outSizes = three(sizes, 1).map((size, axis) => {
    const reach = dilation[axis] * (three(kernel, 1)[axis] - 1) + 1
    return Math.max(Math.floor((size + 2 * padding[axis] - reach) / stride[axis]) + 1, 0)
  })
  const [outDepth, outHeight, outWidth] = outSizes
  const inputsOfGroup = inputs / groups
  const outputsOfGroup = outputs / groups
  const data = new Float64Array(samples * outputs * outDepth * outHeight * outWidth)
  let at = 0
  for (let n = 0; n < samples; n++) {
    for (let out = 0; out < outputs; out++) {
      const firstInput = Math.floor(out / outputsOfGroup) * inputsOfGroup
      for (let d = 0; d < outDepth; d++) {
        for (let h = 0; h < outHeight; h++) {
          for (let w = 0; w < outWidth; w++) {
            let sum = layer.bias?.[out] ?? 0
            let weightAt = out * inputsOfGroup * kernelDepth * kernelHeight * kernelWidth
            for (let i = 0; i < inputsOfGroup; i++) {
              const plane = (n * inputs + firstInput + i) * depth
              for (let kd = 0; kd < kernelDepth; kd++) {
                const z = d * stride[0] - padding[0] + kd * dilation[0]
                for (let kh = 0; kh < kernelHeight; kh++) {
                  const y = h * stride[1] - padding[1] + kh * dilation[1]
                  for (let kw = 0; kw < kernelWidth; kw++, weightAt++) {
                    const x = w * stride[2] - padding[2] + kw * dilation[2]
                    if (z < 0 || z >= depth || y < 0 || y >= height || x < 0 || x >= width) continue
                    sum += layer.weight[weightAt] * input.data[((plane + z) * height + y) * width + x]
                  }
                }
              }
            }
            data[at++] = sum
          }
        }
      }
    }
  }
  return { data, shape: [samples, outputs, ...outSizes.slice(3 - sizes.length)] }
}
