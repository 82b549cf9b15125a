/**
 * Channels that the type of their values is too narrow for: where a square, a difference or the scale would
 * overflow or lose digits to underflow. They are rare, and computed one value after another in float64,
 * those of float64 in units of a power of two, so that the result is finite wherever the exact one is.
 */

import type { Extent } from '../backend.ts'
import { invstdOf } from '../moments.ts'
import type { Limits } from './arithmetic.ts'
import type { Floats } from './order.ts'

/** The moments of one channel, and its M2 once more in units in which it fits float64. */
interface WideMoments {
  readonly mean: number
  readonly meanLow: number
  /** Infinite where it does not fit float64. */
  readonly m2: number
  readonly unit: number
  /** M2 / unit^2. */
  readonly m2InUnits: number
}

/** Two passes over the values as multiples of the largest one's power of two, in compensated sums. */
export function widely(x: Floats, extent: Extent, channel: number): WideMoments {
  const count = extent.outer * extent.inner
  const largest = largestOf(x, extent, channel)
  if (!Number.isFinite(largest)) return nonFinite(x, extent, channel)
  const unit = powerOfTwo(largest)
  const total = new CompensatedSum()
  forEachValue(x, extent, channel, (value) => total.add(value / unit))
  const near = total.value / count
  const rest = new CompensatedSum()
  const squares = new CompensatedSum()
  forEachValue(x, extent, channel, (value) => {
    const difference = value / unit - near
    rest.add(difference)
    squares.add(difference * difference)
  })
  const shift = rest.value / count
  const mean = near + shift
  const ofShift = mean - near
  const meanLow = near - (mean - ofShift) + (shift - ofShift)
  const m2InUnits = Math.max(squares.value - rest.value * shift, 0)
  // Not 0 where the values differ: that would pass for a constant channel.
  const m2 = m2InUnits > 0 ? Math.max(m2InUnits * unit * unit, Number.MIN_VALUE) : 0
  return { mean: mean * unit, meanLow: meanLow * unit, m2, unit, m2InUnits }
}

/**
 * A channel that holds NaN or Inf has no M2, and the mean that plain addition gives: Inf where all
 * infinite values have one sign, as in PyTorch, otherwise NaN.
 */
function nonFinite(x: Floats, extent: Extent, channel: number): WideMoments {
  let sum = 0
  forEachValue(x, extent, channel, (value) => {
    sum += value
  })
  const none = Number.NaN
  return { mean: sum / (extent.outer * extent.inner), meanLow: 0, m2: none, unit: 1, m2InUnits: none }
}

/**
 * `invstd = 1 / sqrt(M2 / n + eps)`, and 0 for a constant channel with an eps of 0, as in PyTorch. Where M2
 * of finite values does not fit float64, it is taken from the values.
 */
export function invstdOfChannel(x: Floats, extent: Extent, channel: number, m2: number, eps: number): number {
  const count = extent.outer * extent.inner
  const isTiny = m2 > 0 && m2 < count * 2 ** -960
  if (m2 === Number.POSITIVE_INFINITY || isTiny) {
    const { unit, m2InUnits } = widely(x, extent, channel)
    return 1 / Math.sqrt(m2InUnits / count + eps / unit / unit) / unit
  }
  return invstdOf(m2, count, eps)
}

/** A number that the ordinary formulas may meet without overflow. NaN is one: it stays NaN. */
function isLarge(value: number, largest: number): boolean {
  return Math.abs(value) > largest
}

function isSmall(value: number, { smallestNormal }: Limits): boolean {
  return value !== 0 && Math.abs(value) < smallestNormal
}

/** Whether `normalize` has to go the long way for a channel. */
export function isWideChannel(limits: Limits, mean: number, scale: number, bias: number): boolean {
  const { largest } = limits
  return isLarge(mean, largest) || isLarge(bias, largest) || isLarge(scale, largest) || isSmall(scale, limits)
}

/** Whether the gradient of the input has to. `product` is the mean of gradient * xhat. */
export function isWideGradient(
  limits: Limits,
  by: {
    readonly mean: number
    readonly offset: number
    readonly product: number
    readonly slope: number
    readonly scale: number
  },
): boolean {
  const { largest } = limits
  return (
    isLarge(by.mean, largest) ||
    isLarge(by.offset, largest) ||
    // xhat is at most sqrt(n), 2^20 for as many values as there may be.
    isLarge(by.product, largest * 2 ** -20) ||
    isLarge(by.slope, largest) ||
    isSmall(by.slope, limits) ||
    isLarge(by.scale, largest) ||
    isSmall(by.scale, limits)
  )
}

/** What a wide channel is normalized with. */
export interface WideTransform {
  readonly mean: number
  readonly meanLow: number
  readonly invstd: number
  readonly weight: number
  readonly bias: number
}

/** `y = (x - mean) * invstd * weight + bias`, in parts so small that nothing overflows. */
export function normalizeWidely(
  x: Floats,
  extent: Extent,
  channel: number,
  { mean, meanLow, invstd, weight, bias }: WideTransform,
  y: Floats,
): void {
  const unit = unitOf(mean, invstd)
  const part = partOf(weight, bias)
  const factor = weight * part
  const shift = bias * part * unit
  const whole = 1 / part / unit
  forEachIndex(extent, channel, (index) => {
    const difference = x[index] * unit - mean * unit - meanLow * unit
    y[index] = (difference * invstd * factor + shift) * whole
  })
}

/** What the gradient of a wide channel's input takes. */
interface WideGradient {
  readonly mean: number
  readonly meanLow: number
  readonly invstd: number
  readonly weight: number
  /** The mean of the gradient, and that of gradient * xhat. */
  readonly offset: number
  readonly product: number
}

/** `gradInput = (gradient - offset - xhat * product) * weight * invstd`, likewise. */
export function gradientWidely(
  gradient: Floats,
  x: Floats,
  extent: Extent,
  channel: number,
  { mean, meanLow, invstd, weight, offset, product }: WideGradient,
  to: Floats,
): void {
  const unit = unitOf(mean, invstd)
  const part = partOf(offset, product)
  const slope = (product * part) / unit
  const whole = 1 / part
  forEachIndex(extent, channel, (index) => {
    const difference = x[index] * unit - mean * unit - meanLow * unit
    const rest = gradient[index] * part - offset * part - difference * invstd * slope
    to[index] = scaledWidely(rest, weight, invstd) * whole
  })
}

/** `gradInput = gradient * weight * invstd`. */
export function evalGradientWidely(
  gradient: Floats,
  extent: Extent,
  channel: number,
  weight: number,
  invstd: number,
  to: Floats,
): void {
  forEachIndex(extent, channel, (index) => {
    to[index] = scaledWidely(gradient[index], weight, invstd)
  })
}

/** `value * weight * invstd`, in the order in which no product is beyond what the result is. */
function scaledWidely(value: number, weight: number, invstd: number): number {
  const scale = Math.abs(weight * invstd)
  if (scale >= 2 ** -1022 && scale <= Number.MAX_VALUE) return value * (weight * invstd)
  const [smaller, larger] = Math.abs(weight) < invstd ? [weight, invstd] : [invstd, weight]
  return scale < 1 ? value * larger * smaller : value * smaller * larger
}

/** What values and mean are multiplied with, so that their difference does not overflow. */
function unitOf(mean: number, invstd: number): number {
  return Math.abs(mean) > 2 ** 900 || invstd < 2 ** -900 ? 0.25 : 1
}

/** What the terms of a sum are multiplied with, so that it does not overflow; small ones would lose digits. */
function partOf(one: number, other: number): number {
  return Math.abs(one) >= 1 || Math.abs(other) >= 1 ? 0.25 : 1
}

/** The sums of the gradient and of gradient * xhat over a channel, and their means, which may be finite where a sum is not. */
interface WideSums {
  readonly gradient: number
  readonly product: number
  readonly offset: number
  readonly meanProduct: number
}

export function sumsWidely(
  gradient: Floats,
  x: Floats,
  extent: Extent,
  channel: number,
  { mean, meanLow, invstd }: Pick<WideGradient, 'mean' | 'meanLow' | 'invstd'>,
): WideSums {
  const count = extent.outer * extent.inner
  const unit = unitOf(mean, invstd)
  const gradientUnit = powerOfTwo(largestOf(gradient, extent, channel))
  const gradients = new CompensatedSum()
  const products = new CompensatedSum()
  forEachIndex(extent, channel, (index) => {
    const value = gradient[index] / gradientUnit
    const difference = x[index] * unit - mean * unit - meanLow * unit
    gradients.add(value)
    products.add(value * ((difference * invstd) / unit))
  })
  return {
    gradient: gradients.value * gradientUnit,
    product: products.value * gradientUnit,
    offset: (gradients.value / count) * gradientUnit,
    meanProduct: (products.value / count) * gradientUnit,
  }
}

/** The largest power of two that is not above a number; 1 for 0, Infinity for what is not finite. */
export function powerOfTwo(value: number): number {
  if (value === 0) return 1
  const isSubnormal = value < 2 ** -1022
  number[0] = isSubnormal ? value * 2 ** 60 : value
  words[0] = 0
  words[1] &= 0x7ff00000
  return isSubnormal ? number[0] * 2 ** -60 : number[0]
}

const number = new Float64Array(1)
/** Its lower and its upper half: every machine that Node runs on keeps the lower one first. */
const words = new Uint32Array(number.buffer)

/** A sum that keeps what each addition loses (Knuth's TwoSum). */
class CompensatedSum {
  #sum = 0
  #low = 0

  add(value: number): void {
    const sum = this.#sum + value
    const ofValue = sum - this.#sum
    this.#low += this.#sum - (sum - ofValue) + (value - ofValue)
    this.#sum = sum
  }

  get value(): number {
    return this.#sum + this.#low
  }
}

function largestOf(x: Floats, extent: Extent, channel: number): number {
  let largest = 0
  forEachValue(x, extent, channel, (value) => {
    largest = Math.max(largest, Math.abs(value))
  })
  return largest
}

function forEachValue(x: Floats, extent: Extent, channel: number, visit: (value: number) => void): void {
  forEachIndex(extent, channel, (index) => visit(x[index]))
}

function forEachIndex(
  { outer, channels, inner }: Extent,
  channel: number,
  visit: (index: number) => void,
): void {
  for (let sample = 0; sample < outer; sample++) {
    const start = (sample * channels + channel) * inner
    for (let position = 0; position < inner; position++) visit(start + position)
  }
}
