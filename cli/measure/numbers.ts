/** What becomes of many measurements, and how a number is printed. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which `share` of the values lie, between two neighbours in proportion. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const below = Math.floor(place)
  const above = Math.ceil(place)
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

/** Three significant digits, and no exponent: `0.912`, `20.4`, `1306`. */
export function threeDigits(value: number): string {
  if (value >= 1000) return value.toFixed(0)
  return value.toPrecision(3)
}

/** A ratio: `1.24`, `18.3`. */
export function ratio(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1)
}
