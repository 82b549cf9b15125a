/** What several seeds say together. */
import { decimal, percent } from '../training/format.ts'

interface Spread {
  readonly mean: number
  /** The unbiased standard deviation: divides by n - 1. */
  readonly deviation: number
}

export function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) }
}

/** Student's t, the quantile 0.975, by degrees of freedom; the first is for 1. */
const T_975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]

export interface Difference {
  readonly mean: number
  /** Where the true mean lies with a confidence of 95 %. */
  readonly interval: readonly [from: number, to: number]
  /** Whether the interval has 0 in it: these seeds do not tell the two apart. */
  readonly mayBeZero: boolean
}

/** The mean of `after - before`, pair by pair, and Student's 95 % interval around it; 2 to 10 pairs. */
export function pairedDifference(before: readonly number[], after: readonly number[]): Difference {
  const { mean, deviation } = spreadOf(after.map((value, index) => value - before[index]))
  const reach = (T_975[before.length - 2] * deviation) / Math.sqrt(before.length)
  return { mean, interval: [mean - reach, mean + reach], mayBeZero: Math.abs(mean) <= reach }
}

/** Shares as `95.10 ± 0.36 %`: mean and standard deviation. */
export function spreadText(shares: readonly number[]): string {
  const { mean, deviation } = spreadOf(shares)
  return `${(mean * 100).toFixed(2)} ± ${percent(deviation)}`
}

/** A difference of shares as `+0.12 points (−0.30 to +0.54)`. */
export function differenceText({ mean, interval: [from, to] }: Difference): string {
  const points = (share: number) => `${share > 0 ? '+' : ''}${decimal(share * 100)}`
  return `${points(mean)} points (${points(from)} to ${points(to)})`
}
