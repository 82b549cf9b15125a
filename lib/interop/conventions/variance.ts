/** The running variance: biased (divides by n) in most frameworks, unbiased (n - 1) in PyTorch and here. */
import { invalidValue } from '../../checks/errors.ts'
import { positiveInteger } from '../../checks/scalars.ts'
import type { Vector } from './values.ts'

/** n / (n - 1), which makes a biased variance unbiased; `null` where n is not known. */
export function besselFactor(valuesPerChannel: number | undefined): number | null {
  if (valuesPerChannel === undefined) return null
  const n = positiveInteger('valuesPerChannel', valuesPerChannel)
  if (n === 1) {
    throw invalidValue('valuesPerChannel', 'at least 2', n, 'one value has no unbiased variance')
  }
  return n / (n - 1)
}

/** In float64; a float32 vector is rounded once, and stays one. */
export function scaled(vector: Vector, factor: number): Vector {
  return vector.map((value) => value * factor) as Vector
}
