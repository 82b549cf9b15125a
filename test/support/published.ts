/** The batch norm that Keras and Flax publish, written down in float64; a module of ours made of it, and said in their words. */
import { expect } from 'vitest'
import {
  type AnyBatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  type Conventions,
  fromConvention,
  type Tensor,
  tensor,
  toConvention,
} from '../../lib/index.ts'
import type { ParameterType } from '../../lib/tensor/data-type.ts'
import { product } from '../../lib/tensor/shape.ts'
import { normal } from './module.ts'

export type Framework = 'keras' | 'flax'
export type Floats = Tensor<Float32Array | Float64Array>
export type Module = AnyBatchNorm

export function filled(length: number, value: number): number[] {
  return new Array<number>(length).fill(value)
}

/** That of docs/accuracy.md; in float64 it leaves room for the roundings of what is written down here. */
export const promise = { float32: 1e-6, float64: 1e-13 }

/** A layer in the words of the formula. */
export interface Layer {
  readonly epsilon: number
  /** The weight of the old statistic. */
  readonly momentum: number
  readonly gamma: number[]
  readonly beta: number[]
  readonly mean: number[]
  readonly variance: number[]
}

/** A layer of n channels; what is not said is as both have it at first. */
export function layerOf(channels: number, said: Partial<Layer> = {}): Layer {
  const [zeros, ones] = [0, 1].map((value) => filled(channels, value))
  const start = { gamma: ones, beta: zeros, mean: zeros, variance: ones }
  return { epsilon: 1e-3, momentum: 0.99, ...start, ...said }
}

export interface Batch {
  readonly x: Floats
  readonly axis: 1 | -1
  /** For each position, 1 where it counts; all of them without a mask. */
  readonly mask?: readonly number[]
}

/** The channel and the position, counted over the samples, of an element. */
export function placeOf({ x: { shape }, axis }: Batch, index: number): { channel: number; position: number } {
  const channels = shape.at(axis) as number
  const inner = axis === 1 ? product(shape.slice(2)) : 1
  const outer = Math.floor(index / (channels * inner))
  return { channel: Math.floor(index / inner) % channels, position: outer * inner + (index % inner) }
}

/** `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`; 0 where a mask leaves a position out, by our meaning. */
export function normalized({ gamma, beta, epsilon, mean, variance }: Layer, batch: Batch): number[] {
  return Array.from(batch.x.data, (value, index) => {
    const { channel: c, position } = placeOf(batch, index)
    if (batch.mask?.[position] === 0) return 0
    return (gamma[c] * (value - mean[c])) / Math.sqrt(variance[c] + epsilon) + beta[c]
  })
}

/** The layer with the statistics of a batch: over the values that count, the variance divided by their number. */
export function ofBatch(layer: Layer, batch: Batch): Layer {
  const values = layer.gamma.map((): number[] => [])
  for (const [index, value] of batch.x.data.entries()) {
    const { channel, position } = placeOf(batch, index)
    if (batch.mask?.[position] !== 0) values[channel].push(value)
  }
  const average = (numbers: number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length
  const mean = values.map(average)
  const variance = values.map((numbers, c) => average(numbers.map((value) => (value - mean[c]) ** 2)))
  return { ...layer, mean, variance }
}

/** `moving = momentum * moving + (1 - momentum) * batch` */
export function moved(layer: Layer, batch: Layer): Layer {
  const { momentum } = layer
  const mix = (old: number[], now: number[]) =>
    old.map((value, c) => momentum * value + (1 - momentum) * now[c])
  return { ...layer, mean: mix(layer.mean, batch.mean), variance: mix(layer.variance, batch.variance) }
}

/** The layer in the words of a framework. */
export function said(framework: Framework, layer: Layer, axis: 1 | -1): Conventions[Framework] {
  const { momentum, epsilon, gamma, beta, mean, variance } = layer
  return framework === 'keras'
    ? { axis, momentum, epsilon, gamma, beta, moving_mean: mean, moving_variance: variance }
    : { axis, momentum, epsilon, params: { scale: gamma, bias: beta }, batch_stats: { mean, var: variance } }
}

/** A module of ours; `count` values a channel make its running variance unbiased. */
export function moduleOf(
  framework: Framework,
  layer: Layer,
  { axis, x }: Pick<Batch, 'axis' | 'x'>,
  count?: number,
): Module {
  const dtype = x.dtype as ParameterType
  const options = { dtype, ...(count && { valuesPerChannel: count }) }
  const converted = fromConvention(framework, said(framework, layer, axis), options)
  const Module = x.shape.length === 4 ? BatchNorm2d : BatchNorm1d
  const module = new Module(converted.numFeatures, converted.options)
  module.loadStateDict(converted.state)
  return module
}

/** The moving statistics in the words of a framework, the variance biased again. */
export function movingOf(framework: Framework, module: Module, count: number) {
  const { parameters } = toConvention(framework, module, { valuesPerChannel: count })
  if ('batch_stats' in parameters) {
    const { mean, var: variance } = parameters.batch_stats
    return { mean: [...mean], variance: [...variance] }
  }
  const { moving_mean, moving_variance } = parameters as Conventions['keras']
  return { mean: [...(moving_mean as number[])], variance: [...(moving_variance as number[])] }
}

/** That numbers are as near as the promise has it, each beside its own size, or beside 1; NaN is none. */
export function expectNear(actual: ArrayLike<number>, expected: readonly number[], limit: number): void {
  expect(actual.length).toBe(expected.length)
  const shares = expected.map((value, at) => Math.abs(actual[at] - value) / Math.max(1, Math.abs(value)))
  expect(Math.max(...shares)).toBeLessThanOrEqual(limit)
}

/** About the mean 5, with a standard deviation of 10. */
export function spread(shape: number[], dtype: ParameterType, seed = 5): Floats {
  return tensor(
    Float64Array.from(normal(shape, seed).data, (value) => Math.fround(10 * value + 5)),
    shape,
    { dtype },
  )
}
