/** Layers evaluated in float64 in another way than the library does: by scattering each input to the outputs it reaches. */
import type { Activation, BatchNorm, Layer } from '../../lib/index.ts'

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

export function evaluate(layer: Layer, { data, shape }: Values): Evaluated {
  const [outputs, inputsOfGroup, ...kernel] = layer.weight.shape
  const [samples, inputs, ...sizes] = shape
  const axes = kernel.length
  const [stride, padding, dilation] = [
    spread(layer.stride, axes, 1),
    spread(layer.padding, axes, 0),
    spread(layer.dilation, axes, 1),
  ]
  const outSizes = sizes.map(
    (size, axis) =>
      Math.floor((size + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1,
  )
  const bias = layer.bias && ('data' in layer.bias ? layer.bias.data : layer.bias)
  const perOutput = outSizes.reduce((count, size) => count * size, 1)
  const result = Float64Array.from(
    { length: samples * outputs * perOutput },
    (_, at) => bias?.[Math.floor(at / perOutput) % outputs] ?? 0,
  )
  const magnitude = result.map(Math.abs)
  const outputsOfGroup = outputs / (layer.groups ?? 1)
  for (let n = 0; n < samples; n++) {
    for (let input = 0; input < inputs; input++) {
      const group = Math.floor(input / inputsOfGroup)
      for (const position of positionsOf(sizes)) {
        const value = data[flat([n, input, ...position], [samples, inputs, ...sizes])]
        for (const tap of positionsOf(kernel)) {
          const target = position.map((each, axis) => each + padding[axis] - tap[axis] * dilation[axis])
          if (!target.every((each, axis) => each % stride[axis] === 0)) continue
          const out = target.map((each, axis) => each / stride[axis])
          if (!out.every((each, axis) => each >= 0 && each < outSizes[axis])) continue
          for (let output = group * outputsOfGroup; output < (group + 1) * outputsOfGroup; output++) {
            const tapAt = flat([output, input % inputsOfGroup, ...tap], [outputs, inputsOfGroup, ...kernel])
            const at = flat([n, output, ...out], [samples, outputs, ...outSizes])
            result[at] += layer.weight.data[tapAt] * value
            magnitude[at] += Math.abs(layer.weight.data[tapAt] * value)
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
