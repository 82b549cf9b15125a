/** What the tests of the public face share. */
import { type BatchNorm, BatchNorm1d, type BatchNormOptions, type Tensor, tensor } from '../../lib/index.ts'
import { Random } from './random.ts'

/** A tensor of N(0, 1); the same seed gives the same values. */
export function normal(shape: number[], seed: number): Tensor {
  const random = new Random(seed)
  const length = shape.reduce((count, size) => count * size, 1)
  return tensor(
    Float32Array.from({ length }, () => random.normal()),
    shape,
  )
}

/** A module whose parameters and running statistics are not the initial ones. */
export function trained(channels: number, options: BatchNormOptions = {}): BatchNorm1d {
  const bn = new BatchNorm1d(channels, options)
  bn.weight?.data.set(normal([channels], 1).data)
  bn.bias?.data.set(normal([channels], 2).data)
  bn.forward(normal([9, channels], 3))
  return bn
}

/** A copy of every array of a module, to show later that nothing has changed. */
export function snapshot(module: BatchNorm) {
  return {
    state: Object.fromEntries(
      Object.entries(module.stateDict()).map(([key, { data }]) => [key, data.slice()]),
    ),
    gradients: module.parameters().map(({ grad }) => grad.slice()),
  }
}
