/**
 * What is done in the type of the values: the inner loops of every operation. All the rest - the order
 * of additions, the merging of chunks, what is computed once a channel - is float64 and the same for all.
 */
import type { Statistics, Values } from '../backend.ts'
import { float32 } from './float32.ts'
import { float64 } from './float64.ts'
import type { Block } from './order.ts'

export type Floats = Float32Array | Float64Array

/** For each channel, or for each value that a sample has: what `normalize` takes. */
export interface Transform {
  readonly mean: Floats
  readonly scale: Floats
  readonly shift: Floats
}

/** Likewise, what the gradient of the input takes. */
export interface GradientTransform {
  readonly mean: Floats
  readonly slope: Floats
  readonly offset: Floats
  readonly scale: Floats
}

/** The mean as the loops take it, and what it lost when it was rounded to that. */
export interface RoundedMean {
  readonly mean: Floats
  readonly lost: Float64Array
}

export interface Arithmetic {
  array(length: number): Floats
  round(value: number): number
  /** Rounds numbers of float64. */
  from(values: Float64Array): Floats
  roundedMean(statistics: Statistics): RoundedMean

  /** Whether the type's range was enough for the sum and the sum of squares of a chunk. */
  isSafe(sum: number, square: number): boolean
  /** Whether what a mean loses in float64 shows in this type. */
  readonly keepsLost: boolean

  /** Adds d = x - pivot and d * d of each column of a block, group by group of rows. */
  accumulateMoments(x: Floats, block: Block, pivots: Floats, sums: Floats, squares: Floats): void
  /** Adds the gradient and gradient * xhat of each column of a block, group by group of rows. */
  accumulateGradients(
    gradient: Floats,
    x: Floats,
    block: Block,
    means: Floats,
    invstds: Floats,
    gradientSums: Floats,
    productSums: Floats,
  ): void

  /** `y = (x - mean) * scale + shift`, by value of a sample. */
  normalize(x: Floats, samples: number, by: Transform, y: Floats): void
  /** `gradInput = ((gradient - offset) - (x - mean) * slope) * scale`, by value of a sample. */
  trainingGradient(gradient: Floats, x: Floats, samples: number, by: GradientTransform, to: Floats): void
  /** `gradInput = gradient * scale`, by value of a sample. */
  evalGradient(gradient: Floats, samples: number, scale: Floats, to: Floats): void
}

/** The arithmetic for float32 or float64 values. */
export function arithmeticOf(values: Values): Arithmetic {
  return values.BYTES_PER_ELEMENT === Float64Array.BYTES_PER_ELEMENT ? float64 : float32
}
