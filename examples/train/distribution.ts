import type { Activations } from './activations.ts'

/** How values are spread: mean, standard deviation, and a histogram scaled to an area of 1. */
export interface Distribution {
  readonly mean: number
  readonly deviation: number
  readonly density: { readonly x: number; readonly y: number }[]
}

/** The distribution of a layer's values: of all units together, and of each of them. */
export interface LayerDistribution {
  readonly all: Distribution
  readonly units: Distribution[]
}

/** What batch norm did to a layer. Both histograms are over the same interval. */
export interface Normalization {
  readonly before: LayerDistribution
  readonly after: LayerDistribution
}

type Interval = readonly [from: number, to: number]

const BINS = 80
const UNIT_BINS = 32
/** What of each distribution the interval shows at least: the mean +- so many deviations. */
const DEVIATIONS_SHOWN = 4

export function normalizationOf({ units, before, after }: Activations): Normalization {
  const moments = [momentsOf(before), momentsOf(after)]
  const interval: Interval = [
    Math.min(...moments.map(({ mean, deviation }) => mean - DEVIATIONS_SHOWN * deviation)),
    Math.max(...moments.map(({ mean, deviation }) => mean + DEVIATIONS_SHOWN * deviation)),
  ]
  return {
    before: layerDistributionOf(before, units, interval),
    after: layerDistributionOf(after, units, interval),
  }
}

function layerDistributionOf(values: Float32Array, units: number, interval: Interval): LayerDistribution {
  const valuesOf = (unit: number) =>
    Float32Array.from({ length: values.length / units }, (_, digit) => values[digit * units + unit])
  return {
    all: distributionOf(values, interval, BINS),
    units: Array.from({ length: units }, (_, unit) => distributionOf(valuesOf(unit), interval, UNIT_BINS)),
  }
}

function distributionOf(values: Float32Array, [from, to]: Interval, bins: number): Distribution {
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

function momentsOf(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / values.length) }
}
