/** How values are spread: mean, standard deviation, and a histogram scaled to an area of 1. */
export interface Distribution {
  readonly mean: number
  readonly deviation: number
  readonly density: { readonly x: number; readonly y: number }[]
}

export type Interval = readonly [from: number, to: number]

/** The histogram shows what lies in the interval; mean and deviation are of all values. */
export function distributionOf(values: Float32Array, [from, to]: Interval, bins: number): Distribution {
  const width = (to - from) / bins
  const counts = new Array<number>(bins).fill(0)
  for (const value of values) {
    const bin = Math.floor((value - from) / width)
    if (bin >= 0 && bin < bins) counts[bin]++
  }
  const density = counts.map((count, bin) => ({
    x: from + (bin + 0.5) * width,
    y: count / (values.length * width),
  }))
  return { ...momentsOf(values), density }
}

/** The mean and the biased standard deviation, which divides by n. */
export function momentsOf(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / values.length) }
}
