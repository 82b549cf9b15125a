/** What several seeds say together, and what one test set says alone. */
import { decimal, percent } from './format.ts'

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

/** Where a true value lies with a confidence of 95 %. */
type ConfidenceInterval = readonly [from: number, to: number]

/** Student's t, the quantile 0.975, by degrees of freedom; the first is for 1. */
const T_975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]

/** Seeds that an interval is known for. */
export const MOST_SEEDS = T_975.length + 1

/** A difference of shares, such as accuracies. */
export interface Difference {
  readonly mean: number
  readonly interval: ConfidenceInterval
}

/** The mean of `after - before`, pair by pair, and Student's interval around it; 2 to `MOST_SEEDS` pairs. */
export function pairedDifference(before: readonly number[], after: readonly number[]): Difference {
  const { mean, deviation } = spreadOf(after.map((value, index) => value - before[index]))
  const reach = (T_975[before.length - 2] * deviation) / Math.sqrt(before.length)
  return { mean, interval: [mean - reach, mean + reach] }
}

/** Accuracies that are no further apart than this are the same for all that a user would do. */
const MARGIN = 0.01

export const MARGIN_TEXT = `${MARGIN * 100} point`

/** What can be claimed of a difference, as where it lies. */
const CLAIMS = {
  same: [-MARGIN, MARGIN],
  'no more': [Number.NEGATIVE_INFINITY, MARGIN],
  more: [MARGIN, Number.POSITIVE_INFINITY],
} as const

/**
 * The one rule for every claim about a difference: true if the whole interval lies where the claim says, false if
 * none of it does, `null` otherwise: so few seeds do not decide it. That an interval has 0 in it shows no
 * equality: a wider one, of fewer seeds, has it all the more.
 */
export function holdsFor(claim: keyof typeof CLAIMS, { interval: [from, to] }: Difference): boolean | null {
  const [least, most] = CLAIMS[claim]
  if (from >= least && to <= most) return true
  return to < least || from > most ? false : null
}

/** That rule, in words. */
export function relationText(difference: Difference): string {
  const isSame = holdsFor('same', difference)
  if (isSame === null) return `not decided: the interval lies on both sides of a difference of ${MARGIN_TEXT}`
  return isSame
    ? `equivalent: the whole interval is within ±${MARGIN_TEXT}`
    : `different: the whole interval is beyond ±${MARGIN_TEXT}`
}

/** The normal distribution's quantile 0.975. */
const Z_975 = 1.959964

/** Wilson's interval for a share of which `successes` in `count` are a sample; it never leaves 0 to 1. */
export function wilsonInterval(successes: number, count: number): ConfidenceInterval {
  const share = successes / count
  const spread = Z_975 ** 2 / count
  const middle = (share + spread / 2) / (1 + spread)
  const reach = (Z_975 * Math.sqrt((share * (1 - share)) / count + spread / (4 * count))) / (1 + spread)
  return [Math.max(0, middle - reach), Math.min(1, middle + reach)]
}

/** Shares as `95.10 % ± 0.36 points`: mean and standard deviation. */
export function spreadText(shares: readonly number[]): string {
  const { mean, deviation } = spreadOf(shares)
  return `${percent(mean)} ± ${decimal(deviation * 100)} points`
}

/** A difference of shares as `+0.12 points (−0.30 to +0.54)`. */
export function differenceText({ mean, interval: [from, to] }: Difference): string {
  const points = (share: number) => `${share > 0 ? '+' : ''}${decimal(share * 100)}`
  return `${points(mean)} points (${points(from)} to ${points(to)})`
}
