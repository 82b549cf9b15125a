/**
 * The judge of the promise of accuracy. Values are whole numbers times a power of two, so that sums,
 * differences and products are exact whatever the range, from 2^-1074 to 2^1024 in one channel; only
 * invstd, a square root, is rounded: to 128 bits, where float64's promise asks for 47.
 *
 * Each result is compared with the exact one, and the error is told as a share of what is promised:
 * 1 is the largest that may be.
 */
import type { FloatType } from '../../lib/tensor/data-type.ts'

type Numbers = ArrayLike<number>

interface Format {
  /** An error of 1 / parts of the denominator is promised. */
  readonly parts: bigint
  /** How many digits follow the first. */
  readonly fraction: number
  /** The smallest number is 2^smallest, and there is none from 2^overflow on. */
  readonly smallest: number
  readonly overflow: number
}

/** The halves' own promise is 0.51 ulp; where terms cancel, what is left has float32's. */
const formats: Readonly<Record<FloatType, Format>> = {
  float32: { parts: 10n ** 6n, fraction: 23, smallest: -149, overflow: 128 },
  float64: { parts: 10n ** 14n, fraction: 52, smallest: -1074, overflow: 1024 },
  bfloat16: { parts: 10n ** 6n, fraction: 7, smallest: -133, overflow: 128 },
  float16: { parts: 10n ** 6n, fraction: 10, smallest: -24, overflow: 16 },
}

/** `whole * 2^exponent` */
interface Exact {
  readonly whole: bigint
  readonly exponent: number
}

const words = new Uint32Array(2)
const double = new Float64Array(words.buffer)

/** A finite number as a whole one of 53 bits at most, and the exponent that goes with it. */
function split(value: number): { whole: number; exponent: number } {
  double[0] = value
  const field = (words[1] >>> 20) & 0x7ff
  const whole = ((words[1] & 0xfffff) + (field > 0 ? 2 ** 20 : 0)) * 2 ** 32 + words[0]
  return { whole: value < 0 ? -whole : whole, exponent: Math.max(field, 1) - 1075 }
}

function exactly(value: number): Exact {
  if (value === 0) return { whole: 0n, exponent: 0 }
  const { whole, exponent } = split(value)
  return { whole: BigInt(whole), exponent }
}

/** All of them as whole numbers with one exponent; Infinity is the first number that is too large. */
function wholesOf(values: Numbers, overflow = 1024): { wholes: bigint[]; exponent: number } {
  let exponent = overflow
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== 0 && Number.isFinite(values[i]))
      exponent = Math.min(exponent, split(values[i]).exponent)
  }
  const wholes = Array.from(values, (value) => {
    if (Number.isFinite(value)) {
      const parts = split(value)
      return parts.whole === 0 ? 0n : BigInt(parts.whole) << BigInt(parts.exponent - exponent)
    }
    const infinity = 1n << BigInt(overflow - exponent)
    return value < 0 ? -infinity : infinity
  })
  return { wholes, exponent }
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value
}

function largestOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function bitsOf(value: bigint): number {
  return value.toString(2).length
}

/** a / b of numbers that are not below 0; Infinity where b is 0 and a is not. */
function quotient(a: bigint, b: bigint): number {
  if (a === 0n) return 0
  if (b === 0n) return Number.POSITIVE_INFINITY
  const [x, y] = [Number(a), Number(b)]
  if (Number.isFinite(x) && Number.isFinite(y)) return x / y
  const excess = BigInt(Math.max(bitsOf(a), bitsOf(b)) - 1000)
  return Number(a >> excess) / Number(b >> excess)
}

/** `value * 2^by`, where nothing is lost or what is lost is below a unit. */
function shifted(value: bigint, by: number): bigint {
  return by >= 0 ? value << BigInt(by) : value >> BigInt(-by)
}

function squareRoot(value: bigint): bigint {
  if (value < 2n) return value
  let root = 1n << BigInt((bitsOf(value) + 1) >> 1)
  for (;;) {
    const next = (root + value / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

const digits = 128

/** 1 / sqrt(numerator * 2^exponent / denominator) to 128 bits; 0 for the root of 0. */
function inverseRoot(numerator: bigint, exponent: number, denominator: bigint): Exact {
  if (numerator === 0n) return { whole: 0n, exponent: 0 }
  // denominator / numerator with twice the digits, times an even power of two.
  let shift = 2 * digits + bitsOf(numerator) - bitsOf(denominator)
  if ((shift + exponent) % 2 !== 0) shift++
  const square = shifted(denominator, shift) / numerator
  return { whole: squareRoot(square), exponent: -(shift + exponent) / 2 }
}

/** The largest share of what is promised, and where it is. */
export interface Worst {
  readonly share: number
  readonly index: number
  readonly actual: number
  readonly exact: number
}

export const none: Worst = { share: 0, index: -1, actual: 0, exact: 0 }

export function worseOf(a: Worst, b: Worst): Worst {
  return b.share > a.share ? b : a
}

export interface ChannelOptions {
  readonly eps: number
  readonly weight: number
  readonly bias: number
  /** What normalizes in eval mode; `null` in training. */
  readonly running: { readonly mean: number; readonly variance: number } | null
}

/**
 * One channel of a batch, evaluated exactly. Where two values have the same x and
 * gradOutput they have the same results, so that such a pair is one entry, which counts several times:
 * ten million rows of a few values are judged as fast as a few rows.
 */
export class ExactChannel {
  readonly #training: boolean
  readonly #count: bigint
  readonly #entryOf: Uint32Array
  /** count * x - sum(x), and count * gradOutput - sum(gradOutput), of each entry. */
  readonly #deviations: bigint[]
  readonly #gradientDeviations: bigint[]
  readonly #gradients: bigint[]
  readonly #x: { readonly sum: bigint; readonly exponent: number; readonly squares: bigint }
  readonly #gradientExponent: number
  readonly #invstd: Exact
  /** xhat is one of these, times 2^xhatExponent / count. */
  readonly #xhat: bigint[]
  readonly #xhatExponent: number
  readonly #sums: {
    readonly gradient: bigint
    readonly product: bigint
    readonly gradientMagnitude: bigint
    readonly productMagnitude: bigint
    readonly deviationMagnitude: bigint
    readonly deviationProductMagnitude: bigint
  }
  readonly #weight: Exact
  readonly #bias: Exact

  constructor(x: Numbers, gradOutput: Numbers, { eps, weight, bias, running }: ChannelOptions) {
    const { entryOf, first, times } = entriesOf(x, gradOutput)
    const count = BigInt(x.length)
    const mean = running === null ? [] : [running.mean]
    const values = wholesOf([...mean, ...first.map((index) => x[index])])
    const [constant] = running === null ? [0n] : values.wholes.splice(0, 1)
    const gradients = wholesOf(first.map((index) => gradOutput[index]))
    const sum = running === null ? total(values.wholes, times) : count * constant
    const deviations = values.wholes.map((whole) => count * whole - sum)
    const squares = total(
      deviations.map((deviation) => deviation * deviation),
      times,
    )
    const cubed = count ** 3n
    const variance =
      running === null
        ? { whole: squares, exponent: 2 * values.exponent, divisor: cubed }
        : { ...exactly(running.variance), divisor: 1n }
    const added = exactly(eps)
    const lower = Math.min(variance.exponent, added.exponent)
    this.#invstd = inverseRoot(
      shifted(variance.whole, variance.exponent - lower) +
        shifted(added.whole * variance.divisor, added.exponent - lower),
      lower,
      variance.divisor,
    )
    this.#xhat = deviations.map((deviation) => deviation * this.#invstd.whole)
    this.#xhatExponent = values.exponent + this.#invstd.exponent

    const gradientSum = total(gradients.wholes, times)
    this.#gradientDeviations = gradients.wholes.map((whole) => count * whole - gradientSum)
    const products = (of: readonly bigint[]) => of.map((gradient, entry) => gradient * this.#xhat[entry])
    const magnitudes = (of: readonly bigint[]) => total(of.map(magnitude), times)
    this.#sums = {
      gradient: gradientSum,
      product: total(products(gradients.wholes), times),
      gradientMagnitude: magnitudes(gradients.wholes),
      productMagnitude: magnitudes(products(gradients.wholes)),
      deviationMagnitude: magnitudes(this.#gradientDeviations),
      deviationProductMagnitude: magnitudes(products(this.#gradientDeviations)),
    }
    this.#training = running === null
    this.#count = count
    this.#entryOf = entryOf
    this.#deviations = deviations
    this.#gradients = gradients.wholes
    this.#gradientExponent = gradients.exponent
    this.#x = { sum, exponent: values.exponent, squares }
    this.#weight = exactly(weight)
    this.#bias = exactly(bias)
  }

  /** y, within `max(|weight| * max(1, |xhat|), |bias|)`. */
  output(y: Numbers, type: FloatType): Worst {
    const [weight, bias, count] = [this.#weight, this.#bias, this.#count]
    const exponent = Math.min(weight.exponent + this.#xhatExponent, bias.exponent)
    const scale = shifted(weight.whole, weight.exponent + this.#xhatExponent - exponent)
    const shift = shifted(count * bias.whole, bias.exponent - exponent)
    const ofOne = largestOf(
      shifted(magnitude(count * weight.whole), weight.exponent - exponent),
      magnitude(shift),
    )
    return this.#judge(y, type, exponent, count, (entry) => {
      const product = this.#xhat[entry] * scale
      return { exact: product + shift, denominator: largestOf(ofOne, magnitude(product)) }
    })
  }

  /**
   * gradInput, within `|scale| * (|g| + mean|g| + |xhat| * mean|g * xhat|)`: with g gradOutput, and with
   * g less its mean, so that an offset costs no digits: of the mean itself 2^-60 takes part in the
   * denominator, which is 2^-106 of it, float64's precision squared, in float64's error. In eval within `|scale * g|`.
   */
  inputGradient(gradInput: Numbers, type: FloatType): Worst {
    return this.#training ? this.#inputGradient(gradInput, type) : this.#inputGradientInEval(gradInput, type)
  }

  #inputGradientInEval(gradInput: Numbers, type: FloatType): Worst {
    const scale = this.#weight.whole * this.#invstd.whole
    const exponent = this.#weight.exponent + this.#invstd.exponent + this.#gradientExponent
    return this.#judge(gradInput, type, exponent, 1n, (entry) => {
      const exact = scale * this.#gradients[entry]
      return { exact, denominator: magnitude(exact) }
    })
  }

  #inputGradient(gradInput: Numbers, type: FloatType): Worst {
    const [count, sums] = [this.#count, this.#sums]
    const [square, cubed] = [count ** 2n, count ** 3n]
    // All of it times count^4 / scale.
    const twice = 2 * this.#xhatExponent
    const [up, upProduct] = [Math.max(0, -twice), Math.max(0, twice)]
    const scale = this.#weight.whole * this.#invstd.whole
    const exponent =
      this.#weight.exponent + this.#invstd.exponent + this.#gradientExponent + Math.min(0, twice)
    const means = {
      gradient: shifted(cubed * sums.gradientMagnitude, up),
      deviation: shifted(square * sums.deviationMagnitude, up),
      floor: shifted(cubed * magnitude(sums.gradient), up) >> 60n,
    }
    return this.#judge(gradInput, type, exponent, count ** 4n, (entry) => {
      const [gradient, deviation] = [this.#gradients[entry], this.#gradientDeviations[entry]]
      const xhat = this.#xhat[entry]
      const ofXhat = magnitude(xhat)
      const direct = shifted(cubed * deviation, up)
      const whole = shifted(square * square * magnitude(gradient), up)
      const plain = whole + means.gradient + shifted(count * ofXhat * sums.productMagnitude, upProduct)
      const centred =
        magnitude(direct) + means.deviation + shifted(ofXhat * sums.deviationProductMagnitude, upProduct)
      return {
        exact: scale * (direct - shifted(count * xhat * sums.product, upProduct)),
        denominator: magnitude(scale) * ((plain < centred ? plain : centred) + means.floor),
      }
    })
  }

  /** gradWeight, within the sum of its terms' absolute values. */
  weightGradient(gradWeight: number, type: FloatType): Worst {
    const { product, productMagnitude } = this.#sums
    const exponent = this.#gradientExponent + this.#xhatExponent
    return judged([gradWeight], type, exponent, this.#count, () => ({
      exact: product,
      denominator: productMagnitude,
    }))
  }

  /** gradBias, within the sum of its terms' absolute values. */
  biasGradient(gradBias: number, type: FloatType): Worst {
    const { gradient, gradientMagnitude } = this.#sums
    return judged([gradBias], type, this.#gradientExponent, 1n, () => ({
      exact: gradient,
      denominator: gradientMagnitude,
    }))
  }

  /** The unbiased variance, within itself. */
  unbiasedVariance(variance: number, type: FloatType): Worst {
    const { squares, exponent } = this.#x
    return judged([variance], type, 2 * exponent, this.#count ** 2n * (this.#count - 1n), () => ({
      exact: squares,
      denominator: squares,
    }))
  }

  /** The mean, within a standard deviation, beside its rounding to the type. */
  mean(mean: number, type: FloatType): Worst {
    const { sum, exponent, squares } = this.#x
    const deviation = squareRoot(squares / this.#count)
    const { parts, fraction } = formats[type]
    return judged([mean], type, exponent, this.#count, () => ({
      exact: sum,
      denominator: deviation + (((parts * 102n * magnitude(sum)) / 100n) >> BigInt(fraction + 1)),
    }))
  }

  #judge(
    actual: Numbers,
    type: FloatType,
    exponent: number,
    divisor: bigint,
    exactOf: (entry: number) => { exact: bigint; denominator: bigint },
  ): Worst {
    // Equal results of one entry are judged once.
    const seen = new Float64Array(this.#deviations.length).fill(Number.NaN)
    const indices: number[] = []
    for (let index = 0; index < actual.length; index++) {
      const entry = this.#entryOf[index]
      if (Object.is(seen[entry], actual[index]) && !Number.isNaN(actual[index])) continue
      seen[entry] = actual[index]
      indices.push(index)
    }
    const results = indices.map((index) => actual[index])
    const worst = judged(results, type, exponent, divisor, (i) => exactOf(this.#entryOf[indices[i]]))
    return { ...worst, index: indices[worst.index] ?? -1 }
  }
}

/** Judges results whose exact values are `exact * 2^exponent / divisor`, as are the denominators. */
function judged(
  actual: Numbers,
  type: FloatType,
  exponent: number,
  divisor: bigint,
  exactOf: (index: number) => { exact: bigint; denominator: bigint },
): Worst {
  const { parts, fraction, smallest, overflow } = formats[type]
  const results = wholesOf(actual, overflow)
  // Whatever is compared becomes a multiple of 2^lowest / divisor.
  const lowest = Math.min(exponent, results.exponent)
  const raise = BigInt(exponent - lowest)
  const raiseActual = BigInt(results.exponent - lowest)
  const unit = (power: number) => shifted(divisor, power - lowest)
  const limit = unit(overflow)
  const half = fraction < 23
  // Subnormal results have been rounded more than once.
  const ofSmallest = 2n * parts * unit(smallest)
  let worst = none
  for (let index = 0; index < actual.length; index++) {
    const of = exactOf(index)
    const exact = of.exact << raise
    // What no number of the type reaches is Infinity on both sides.
    const reached = exact > limit ? limit : exact < -limit ? -limit : exact
    const error = magnitude((results.wholes[index] << raiseActual) * divisor - reached)
    let slack = ofSmallest
    if (half) {
      const power = exponentOf(magnitude(exact), divisor, lowest) - fraction
      slack = (51n * parts * unit(Math.max(power, smallest))) / 100n
    }
    const share = Number.isNaN(actual[index])
      ? Number.POSITIVE_INFINITY
      : quotient(error * parts, (of.denominator << raise) + slack)
    if (share > worst.share) {
      const sign = exact < 0n ? -1 : 1
      worst = {
        share,
        index,
        actual: actual[index],
        exact: sign * numberOf(magnitude(exact), lowest, divisor),
      }
    }
  }
  return worst
}

/** The exponent of the first digit of `value * 2^lowest / divisor`; far below all others for 0. */
function exponentOf(value: bigint, divisor: bigint, lowest: number): number {
  if (value === 0n) return -10_000
  const exponent = bitsOf(value) - bitsOf(divisor)
  const reached = exponent >= 0 ? value >= divisor << BigInt(exponent) : value << BigInt(-exponent) >= divisor
  return exponent + lowest - (reached ? 0 : 1)
}

/** For people: `value * 2^lowest / divisor` as a float64. */
function numberOf(value: bigint, lowest: number, divisor: bigint): number {
  if (value === 0n) return 0
  const power = exponentOf(value, divisor, lowest)
  const up = Math.max(-1074, power - 52)
  const moved = lowest - up
  return (
    Number(moved >= 0 ? (value << BigInt(moved)) / divisor : value / (divisor << BigInt(-moved))) * 2 ** up
  )
}

function total(values: readonly bigint[], times: readonly number[]): bigint {
  let sum = 0n
  for (let entry = 0; entry < values.length; entry++) {
    sum += times[entry] === 1 ? values[entry] : values[entry] * BigInt(times[entry])
  }
  return sum
}

/** The entry of each value, where each entry comes first, and how often it comes. */
function entriesOf(x: Numbers, gradOutput: Numbers) {
  const entries = new Map<number, Map<number, number>>()
  const entryOf = new Uint32Array(x.length)
  const first: number[] = []
  const times: number[] = []
  for (let index = 0; index < x.length; index++) {
    let ofX = entries.get(x[index])
    if (ofX === undefined) {
      ofX = new Map()
      entries.set(x[index], ofX)
    }
    let entry = ofX.get(gradOutput[index])
    if (entry === undefined) {
      entry = first.length
      ofX.set(gradOutput[index], entry)
      first.push(index)
      times.push(0)
    }
    entryOf[index] = entry
    times[entry]++
  }
  return { entryOf, first, times }
}
