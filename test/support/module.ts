/** What the tests of the public face share. */
import { expect } from 'vitest'
import type { Values } from '../../lib/backend/backend.ts'
import {
  type AnyBatchNorm,
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  type Tensor,
  type TensorData,
  tensor,
} from '../../lib/index.ts'
import { product } from '../../lib/tensor/shape.ts'
import { difference } from './bits.ts'
import { Random } from './random.ts'

/** A tensor of N(0, 1); the same seed gives the same values. */
export function normal(shape: number[], seed: number): Tensor {
  const data = new Float32Array(product(shape))
  fillNormal(data, seed)
  return tensor(data, shape)
}

/** The same in float64, of which float32 would round off digits. */
export function normal64(shape: number[], seed: number): Tensor<Float64Array> {
  const data = new Float64Array(product(shape))
  fillNormal(data, seed)
  return tensor(data, shape)
}

/** By a loop: TypedArray.from takes several times as long. */
function fillNormal(data: Float32Array | Float64Array, seed: number): void {
  const random = new Random(seed)
  for (let index = 0; index < data.length; index++) data[index] = random.normal()
}

/** A module whose parameters and running statistics are not the initial ones. */
export function trained(channels: number, options: BatchNormOptions = {}): BatchNorm {
  const bn = new BatchNorm1d(channels, options)
  bn.weight?.data.set(normal([channels], 1).data)
  bn.bias?.data.set(normal([channels], 2).data)
  bn.forward(normal([9, channels], 3))
  return bn
}

/** Gives a module parameters and running statistics that are not the initial ones. */
export function filled<Module extends AnyBatchNorm>(bn: Module): Module {
  bn.namedParameters().forEach(([, { data }], index) => {
    data.set(normal([data.length], 21 + index).data)
  })
  bn.runningMean?.data.forEach((_, channel, mean) => {
    mean[channel] = channel % 2 === 0 ? 0.25 : -0.125
  })
  bn.runningVar?.data.forEach((_, channel, variance) => {
    variance[channel] = 0.5 + 1.5 * channel
  })
  bn.numBatchesTracked?.data.fill(3n)
  bn.renormSteps?.data.fill(3n)
  return bn
}

/** The state of a module with keys below a prefix, as a file of a whole model has it. */
export function below(prefix: string, module: AnyBatchNorm): [key: string, value: Tensor<TensorData>][] {
  return Object.entries(module.stateDict()).map(([key, value]) => [`${prefix}.${key}`, value])
}

/** Samples `begin` to `end`. */
export function samplesOf({ data, shape: [, ...rest] }: Tensor, begin: number, end: number): Tensor {
  const size = product(rest)
  return tensor(data.slice(begin * size, end * size), [end - begin, ...rest])
}

/** The values of tensors, one after another. */
export function joined(parts: readonly Tensor[]): Float32Array {
  const whole = new Float32Array(parts.reduce((length, { data }) => length + data.length, 0))
  let begin = 0
  for (const { data } of parts) {
    whole.set(data as Float32Array, begin)
    begin += data.length
  }
  return whole
}

/** A copy of every array of a module, to show later that nothing has changed. */
export function snapshot(module: AnyBatchNorm) {
  return {
    state: Object.fromEntries(
      Object.entries(module.stateDict()).map(([key, { data }]) => [key, data.slice()]),
    ),
    gradients: module.parameters().map(({ grad }) => grad.slice()),
  }
}

/** Two tensors of the same type, shape and bits. */
export function expectSameBits(actual: Tensor<Values>, expected: Tensor<Values>): void {
  expect(actual.shape).toEqual(expected.shape)
  expect(actual.dtype).toBe(expected.dtype)
  expect(difference(actual.data, expected.data)).toBeNull()
}
