/**
 * How far a float32 result may lie from the exact one. All bounds are computed from `unit`, float32's
 * unit roundoff; from `terms`, how many numbers are added in float32 before float64 takes over; and
 * from magnitudes. They are first order: products of two roundings are left out.
 *
 * The statistics sum d = x - pivot, where the pivot keeps the mean of d^2 below 4 variances, and so
 * the mean of |d| below 2 standard deviations. Adding n terms one after another errs by at most
 * (n - 1) * unit times the sum of their absolute values; a term errs by one unit more for each
 * rounding before it is added.
 */

import type { HalfType } from '../../lib/tensor/half.ts'

/** Half the distance from 1 to the next float32. */
export const unit = 2 ** -24

/** The same for float64. */
export const unit64 = 2 ** -53

const halves = {
  bfloat16: { unit: 2 ** -8, smallest: 2 ** -133 },
  float16: { unit: 2 ** -11, smallest: 2 ** -24 },
}

/** How far a number of this magnitude may be moved where it is rounded to a half. */
export function halfRounding(magnitude: number, half: HalfType): number {
  return Math.max(halves[half].unit * magnitude, halves[half].smallest / 2)
}

/** No chunk gives a lane more rows than this; `lib/backend/typescript/order.ts`. */
const largestChunk = 128

/** How many numbers are added in float32 where a channel has `count`. */
export function termsOf(count: number): number {
  return Math.min(count, largestChunk)
}

/** How wrong statistics may be: the mean in standard deviations, invstd in parts of itself. */
export interface Doubt {
  readonly mean: number
  readonly invstd: number
}

/** invstd goes with the square root of the variance: half of its relative error, and two roundings. */
export function doubtOfBatch(count: number): Doubt {
  const terms = termsOf(count)
  return { mean: 2 * (terms + 1) * unit, invstd: (relativeDoubtOfVariance(count) + 2 * unit) / 2 }
}

/**
 * Of statistics whose sums are taken plainly, as PyTorch takes them in float32: the sum of x errs with
 * the magnitude of x, of which `offset` is the mean, in standard deviations.
 */
export function doubtOfPlainSums(count: number, offset: number): Doubt {
  return { mean: (count + 1) * unit * offset, invstd: ((count + 2) * unit + 2 * unit) / 2 }
}

/** d is rounded once, squared and rounded again, and summed: 4 variances * (terms + 2). */
export function relativeDoubtOfVariance(count: number): number {
  return 4 * (termsOf(count) + 2) * unit
}

/**
 * The same for statistics that were merged from those of parts. The doubt of the parts' means moves the
 * squared distances between them by at most 2 * distance * doubt each, which by Cauchy and Schwarz comes
 * to 2 standard deviations times the doubt.
 */
export function relativeDoubtOfMergedVariance(count: number): number {
  return relativeDoubtOfVariance(count) + 2 * doubtOfBatch(count).mean
}

export function doubtOfMerged(count: number): Doubt {
  return { mean: doubtOfBatch(count).mean, invstd: (relativeDoubtOfMergedVariance(count) + 2 * unit) / 2 }
}

/**
 * Of `y = (x - mean) * scale + shift`: the doubt of the statistics, one rounding of the difference,
 * scale and product each, of the shift and of y, and one of the reference.
 */
export function outputTolerance(y: number, weight: number, bias: number, doubt: Doubt): number {
  const product = Math.abs(y - bias)
  return (
    Math.abs(weight) * doubt.mean +
    product * (doubt.invstd + 3 * unit) +
    (Math.abs(bias) + 2 * Math.abs(y)) * unit
  )
}

/**
 * What `y = x * scale + (bias - mean * scale)` is worse: each product is rounded, with its scale and with
 * the sums that it goes into.
 */
export function affineFormTolerance(x: number, mean: number, scale: number, bias: number): number {
  return 4 * unit * (Math.abs(x) + Math.abs(mean)) * Math.abs(scale) + unit * Math.abs(bias)
}

/** Of a sum of `count` gradients whose absolute values add up to `magnitude`. */
export function biasGradientTolerance(magnitude: number, count: number): number {
  return (termsOf(count) + 1) * unit * magnitude
}

/**
 * Of the sum of gradOutput * xhat, whose absolute values add up to `magnitude`: xhat is rounded
 * twice and multiplied once, and takes part in the doubt of invstd; that of the mean moves every
 * xhat alike, and so weighs with the sum of gradOutput.
 */
export function weightGradientTolerance(
  magnitude: number,
  gradBias: number,
  biasTolerance: number,
  count: number,
  doubt: Doubt,
): number {
  return (
    ((termsOf(count) + 4) * unit + doubt.invstd) * magnitude +
    doubt.mean * (Math.abs(gradBias) + biasTolerance)
  )
}

/** What goes into one element of gradInput = scale * (gradOutput - gradBias / n - xhat * gradWeight / n). */
export interface InputGradientTerms {
  readonly gradOutput: number
  readonly normalized: number
  readonly scale: number
  /** gradBias / n and gradWeight / n, zero in eval mode, and how wrong they may be. */
  readonly meanGradient: number
  readonly meanProduct: number
  readonly meanGradientTolerance: number
  readonly meanProductTolerance: number
}

/**
 * Of an element of gradInput: the doubt of the two sums and of the statistics, three roundings of
 * each term, and two of the result and its reference.
 */
export function inputGradientTolerance(terms: InputGradientTerms, doubt: Doubt): number {
  const normalized = Math.abs(terms.normalized)
  const meanProduct = Math.abs(terms.meanProduct)
  const magnitude = Math.abs(terms.gradOutput) + Math.abs(terms.meanGradient) + normalized * meanProduct
  const doubtOfSums = terms.meanGradientTolerance + normalized * terms.meanProductTolerance
  const doubtOfNormalized = meanProduct * (doubt.mean + normalized * doubt.invstd)
  return Math.abs(terms.scale) * (doubtOfSums + doubtOfNormalized + magnitude * (doubt.invstd + 5 * unit))
}
