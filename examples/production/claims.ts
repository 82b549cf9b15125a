/** What seeds say together of a claim, and their figures in words. */
import { percent } from '../../cli/training/format.ts'
import { differenceText, holdsFor, pairedDifference, spreadText } from '../../cli/training/statistics.ts'

/** Of what is so or not with each seed: true if it is with all, false if with none, otherwise not decided. */
export function inEverySeed(holds: readonly boolean[]): boolean | null {
  if (holds.every((holds) => holds)) return true
  return holds.some((holds) => holds) ? null : false
}

/** Of shares, by the interval of their difference; one seed decides nothing. */
export function decided(
  claim: Parameters<typeof holdsFor>[0],
  before: readonly number[],
  after: readonly number[],
): boolean | null {
  return before.length === 1 ? null : holdsFor(claim, pairedDifference(before, after))
}

/** `91.00 % instead of 13.50 %: +77.50 points (+70.10 to +84.90)`; means, where there are several seeds. */
export function changeText(before: readonly number[], after: readonly number[]): string {
  const means = `${percent(meanOf(after))} instead of ${percent(meanOf(before))}`
  return before.length === 1 ? means : `${means}: ${differenceText(pairedDifference(before, after))}`
}

export function meanText(shares: readonly number[]): string {
  return shares.length === 1 ? percent(shares[0]) : spreadText(shares)
}

/** A figure of each seed, in their order; once, where they are the same. */
export function eachText<Value>(values: readonly Value[], text: (value: Value) => string): string {
  const texts = values.map(text)
  return texts.every((each) => each === texts[0]) ? texts[0] : texts.join(' / ')
}

/** A difference of shares in points. */
export function points(difference: number): string {
  return (difference * 100).toFixed(1).replace('-', '\u2212')
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
