/** Layers evaluated in float64 in another way than the library does: from each place to the step of the kernel. */
import { type Activation, type AnyLayer, type BatchNorm, Tensor } from '../../lib/index.ts'

export interface Evaluated {
  readonly data: Float64Array
  readonly shape: readonly number[]
  /** For each output, the sum of |terms|: what a relative error of each weight is multiplied by. */
  readonly magnitude: Float64Array
}

type Values = Pick<Evaluated, 'data' | 'shape'>

const spread = (option: number | readonly number[] | undefined, axes: number, otherwise: number) =>
  typeof option === 'object' ? option : Array<number>(axes).fill(option ?? otherwise)

/** Steps through all positions of a box. */
function* positionsOf(sizes: readonly number[]): Generator<number[]> {
  if (sizes.length === 0) {
    yield []
    return
  }
  for (let first = 0; first < sizes[0]; first++) {
    for (const rest of positionsOf(sizes.slice(1))) yield [first, ...rest]
  }
}

function flat(position: readonly number[], sizes: readonly number[]): number {
  return position.reduce((at, each, axis) => at * sizes[axis] + each, 0)
}

const numbersOf = (values: object): ArrayLike<number> =>
  (values instanceof Tensor ? values.numbers() : 'data' in values ? values.data : values) as Float64Array

/**
 * What a layer makes of `[N, in, ...]`. In a convolution each tap leads from a place to a step of the kernel,
 * in a transposed one from the step to the place; here the step is looked for at each place.
 */
export function evaluate(layer: AnyLayer, { data, shape }: Values): Evaluated {
  const { transposed = false, groups = 1 } = layer
  const [first, secondOfGroup, ...kernel] = layer.weight.shape
  const [samples, inputs, ...sizes] = shape
  const outputs = transposed ? secondOfGroup * groups : first
  const axes = kernel.length
  const [stride, padding, dilation, more] = [
    spread(layer.stride, axes, 1),
    spread(layer.padding, axes, 0),
    spread(layer.dilation, axes, 1),
    spread(layer.outputPadding, axes, 0),
  ]
  const outSizes = sizes.map((size, axis) => {
    const reach = dilation[axis] * (kernel[axis] - 1)
    return transposed
      ? (size - 1) * stride[axis] - 2 * padding[axis] + reach + more[axis] + 1
      : Math.floor((size + 2 * padding[axis] - reach - 1) / stride[axis]) + 1
  })
  const [places, steps] = transposed ? [outSizes, sizes] : [sizes, outSizes]
  const weight = numbersOf(layer.weight)
  const bias = layer.bias && numbersOf(layer.bias)
  const perOutput = outSizes.reduce((count, size) => count * size, 1)
  const result = Float64Array.from(
    { length: samples * outputs * perOutput },
    (_, at) => bias?.[Math.floor(at / perOutput) % outputs] ?? 0,
  )
  const magnitude = result.map(Math.abs)
  const [inputsOfGroup, outputsOfGroup] = [inputs / groups, outputs / groups]
  for (let n = 0; n < samples; n++) {
    for (const place of positionsOf(places)) {
      for (const tap of positionsOf(kernel)) {
        const target = place.map((each, axis) => each + padding[axis] - tap[axis] * dilation[axis])
        if (!target.every((each, axis) => each % stride[axis] === 0)) continue
        const step = target.map((each, axis) => each / stride[axis])
        if (!step.every((each, axis) => each >= 0 && each < steps[axis])) continue
        const [from, to] = transposed ? [step, place] : [place, step]
        for (let input = 0; input < inputs; input++) {
          const value = data[flat([n, input, ...from], [samples, inputs, ...sizes])]
          const group = Math.floor(input / inputsOfGroup)
          for (let output = group * outputsOfGroup; output < (group + 1) * outputsOfGroup; output++) {
            const channels = transposed ? [input, output % outputsOfGroup] : [output, input % inputsOfGroup]
            const term = weight[flat([...channels, ...tap], layer.weight.shape)] * value
            const at = flat([n, output, ...to], [samples, outputs, ...outSizes])
            result[at] += term
            magnitude[at] += Math.abs(term)
          }
        }
      }
    }
  }
  return { data: result, shape: [samples, outputs, ...outSizes], magnitude }
}

/** A batch norm in eval mode, from its definition. */
export function evaluateBatchNorm(module: BatchNorm, { data, shape }: Values): Values {
  const perChannel = shape.slice(2).reduce((count, size) => count * size, 1)
  return {
    shape,
    data: data.map((value, at) => {
      const c = Math.floor(at / perChannel) % shape[1]
      const [mean, variance] = [module.runningMean?.data[c] as number, module.runningVar?.data[c] as number]
      const normalized = (value - mean) / Math.sqrt(variance + module.eps)
      return normalized * (module.weight?.data[c] ?? 1) + (module.bias?.data[c] ?? 0)
    }),
  }
}

const functions: Record<string, (z: number) => number> = {
  identity: (z) => z,
  relu: (z) => Math.max(z, 0),
  abs: (z) => (z < 0 ? -z : z),
}

export function evaluateActivation(activation: Activation, { data, shape }: Values): Values {
  const perChannel = shape.slice(2).reduce((count, size) => count * size, 1)
  const settings = typeof activation === 'string' ? { name: activation } : activation
  return {
    shape,
    data: data.map((z, at) => {
      if (settings.name === 'leakyRelu')
        return z < 0 ? z * ((settings as { negativeSlope?: number }).negativeSlope ?? 0.01) : z
      if (settings.name === 'prelu') {
        const weight = (settings as { weight?: unknown }).weight ?? 0.25
        const slope =
          typeof weight === 'number'
            ? weight
            : (weight as Float32Array)[Math.floor(at / perChannel) % shape[1]]
        return z < 0 ? z * slope : z
      }
      return functions[settings.name](z)
    }),
  }
}
