/**
 * What is done in the type of the values: the inner loops of every operation. All the rest - the order
 * of additions, the merging of chunks, what is computed once a channel - is float64 and the same for all.
 */
import type { Block, Floats, Order } from './order.ts'

/** For each channel, or for each value that a sample has: what `normalize` takes. */
interface Transform {
  readonly mean: Floats
  readonly scale: Floats
  readonly shift: Floats
}

/** Likewise, what the gradient of the input takes. */
interface GradientTransform {
  readonly mean: Floats
  readonly slope: Floats
  readonly offset: Floats
  readonly scale: Floats
  readonly shift: Floats
}

/** What the sums of gradients take, by column. */
interface GradientColumns {
  readonly pivot: Floats
  readonly mean: Floats
  /** A power of two near invstd. */
  readonly unit: Floats
}

export interface Arithmetic {
  array(length: number): Floats
  round(value: number): number
  /** Rounds numbers of float64. */
  from(values: Float64Array): Floats
  /** The limits of the type; `wide.ts` tells what is done beyond them. */
  readonly limits: Limits

  /**
   * Adds d = x - pivot and d * d of each column of a block to the sums of its lane: groups of rows are
   * summed in the type of the values, and the groups in float64.
   */
  accumulateMoments(
    x: Floats,
    block: Block,
    order: Order,
    pivots: Floats,
    sums: Float64Array,
    squares: Float64Array,
  ): void
  /** Likewise d = gradient - pivot, and d * ((x - mean) * unit). */
  accumulateGradients(
    gradient: Floats,
    x: Floats,
    block: Block,
    order: Order,
    by: GradientColumns,
    gradientSums: Float64Array,
    productSums: Float64Array,
  ): void

  /** `y = (x - mean) * scale + shift`, by value of a sample. */
  normalize(x: Floats, samples: number, by: Transform, y: Floats): void
  /** `gradInput = ((gradient - offset) - (x - mean) * slope) * scale + shift`, by value of a sample. */
  trainingGradient(gradient: Floats, x: Floats, samples: number, by: GradientTransform, to: Floats): void
  /** `gradInput = gradient * scale`, by value of a sample. */
  evalGradient(gradient: Floats, samples: number, scale: Floats, to: Floats): void
}

export interface Limits {
  /** Below it, a number has lost digits to underflow. */
  readonly smallestNormal: number
  /** So large that a sum or a difference with a value of the type cannot overflow: less than half a unit in the last place of the largest. */
  readonly largest: number
  /** A variance below it has lost digits to the underflow of squares. */
  readonly smallestVariance: number
  /** Where a pivot is at least so large, the square of a difference from it does not underflow to 0. */
  readonly smallestPivot: number
}
