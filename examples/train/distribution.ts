import {
  type Distribution,
  distributionOf,
  type Interval,
  momentsOf,
} from '../../cli/training/distribution.ts'
import type { Activations } from './activations.ts'

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

const BINS = 80
const UNIT_BINS = 32
/** What of each distribution the interval shows at least: the mean plus and minus this many deviations. */
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
