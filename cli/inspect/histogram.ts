/** Values over channels in bins of equal width on a logarithmic axis: all places are powers of ten. */
export interface LogHistogram {
  /** The part of the axis that is drawn. */
  readonly domain: readonly [number, number]
  /** The part of it where there are positive values. */
  readonly positive: readonly [number, number]
  readonly bins: readonly Bin[]
  /** Where zeros stand, left of all others; `null` without any. */
  readonly zero: number | null
}

export interface Bin {
  readonly from: number
  readonly middle: number
  readonly to: number
  readonly count: number
  /** How many of them are marked. */
  readonly marked: number
}

/** Bins between the smallest and the largest positive value. */
const binCount = 24
/** The bin of the zeros: how many bins left of the first it stands. */
const zeroBin = -3
/** Values that are nearly equal are not spread over the whole picture: it spans a factor of two at least. */
const leastSpan = Math.log10(2)

/**
 * @param values - finite, at least 0
 * @param isMarked - of each of them
 * @param shown - values that the axis must reach too
 */
export function logHistogram(
  values: readonly number[],
  isMarked: readonly boolean[],
  shown: readonly number[],
): LogHistogram {
  const exponents = [...values, ...shown].filter((value) => value > 0).map(Math.log10)
  const least = exponents.length > 0 ? exponents.reduce((a, b) => Math.min(a, b)) : 0
  const most = exponents.length > 0 ? exponents.reduce((a, b) => Math.max(a, b)) : 0
  const room = Math.max(0.04 * (most - least), (leastSpan - (most - least)) / 2)
  const start = least - room
  const width = (most + room - start) / binCount
  const edge = (bin: number) => start + bin * width
  const binOf = (value: number) =>
    value === 0 ? zeroBin : Math.min(Math.floor((Math.log10(value) - start) / width), binCount - 1)
  const counts = new Map<number, { count: number; marked: number }>()
  values.forEach((value, index) => {
    const bin = binOf(value)
    const { count, marked } = counts.get(bin) ?? { count: 0, marked: 0 }
    counts.set(bin, { count: count + 1, marked: marked + (isMarked[index] ? 1 : 0) })
  })
  const hasZero = counts.has(zeroBin)
  return {
    domain: [edge(hasZero ? zeroBin - 1 : 0), edge(binCount)],
    positive: [edge(0), edge(binCount)],
    bins: [...counts].map(([bin, numbers]) => ({
      from: edge(bin),
      middle: edge(bin + 0.5),
      to: edge(bin + 1),
      ...numbers,
    })),
    zero: hasZero ? edge(zeroBin + 0.5) : null,
  }
}
