/**
 * A batch of which masked values have no part in the statistics, though they are normalized with them, as in
 * Keras: so they are in gamma's and beta's gradients, and what they pass back through the statistics goes to
 * the values that made those.
 */
import type { Extent, Statistics } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { emptyMoments, invstdOfMoments } from '../../backend/moments.ts'
import type { Rows } from './mask.ts'

/** What a batch has of each channel: how many values, their mean, their biased variance. */
export interface BatchStatistics {
  readonly counts: Float64Array
  readonly mean: Float64Array
  readonly variance: Float64Array
}

/** A channel without values has the mean 0 and the variance 0, as in Keras. */
export function statisticsOfRows(
  x: Float32Array,
  channels: number,
  unmasked: readonly Rows[],
  epsilon: number,
): BatchStatistics & Required<Omit<Statistics, 'numbers'>> {
  const array = () => new Float64Array(channels)
  const all = { counts: array(), mean: array(), meanLow: array(), variance: array(), invstd: array() }
  for (const rows of unmasked) {
    const moments = emptyMoments(rows.channels)
    const count = rows.starts.length
    if (count > 0) currentBackend().statistics(gathered(x, rows), extentOfRows(rows), moments)
    const values = Math.max(count, 1)
    all.counts.fill(count, rows.firstChannel, rows.firstChannel + rows.channels)
    all.mean.set(moments.mean, rows.firstChannel)
    all.meanLow.set(moments.meanLow, rows.firstChannel)
    all.variance.set(
      moments.m2.map((m2) => m2 / values),
      rows.firstChannel,
    )
    all.invstd.set(invstdOfMoments({ count: values, m2: moments.m2 }, epsilon), rows.firstChannel)
  }
  return all
}

/** Of the values that made the statistics, in place of the gradient that took those for constants. */
export function setGradientOfRows(
  gradInput: Float32Array,
  gradOutput: Float32Array,
  x: Float32Array,
  extent: Extent,
  statistics: Statistics,
  weight: Float32Array | null,
  unmasked: readonly Rows[],
): void {
  const sums = { gradient: new Float64Array(extent.channels), product: new Float64Array(extent.channels) }
  currentBackend().gradientSums(gradOutput, x, extent, statistics, sums)
  for (const rows of unmasked) {
    const count = rows.starts.length
    if (count === 0) continue
    const own = <Numbers extends Float32Array | Float64Array>(numbers: Numbers) =>
      numbers.slice(rows.firstChannel, rows.firstChannel + rows.channels) as Numbers
    const input = new Float32Array(count * rows.channels)
    currentBackend().inputGradient(
      gathered(gradOutput, rows),
      gathered(x, rows),
      extentOfRows(rows),
      {
        mean: own(statistics.mean),
        invstd: own(statistics.invstd),
        ...(statistics.meanLow && { meanLow: own(statistics.meanLow) }),
      },
      weight && own(weight),
      { gradient: own(sums.gradient), product: own(sums.product) },
      count,
      { input },
    )
    let index = 0
    for (const start of rows.starts) {
      for (let to = start; to < start + rows.channels; to++) gradInput[to] = input[index++]
    }
  }
}

function extentOfRows({ starts, channels }: Rows): Extent {
  return { outer: starts.length, channels, inner: 1 }
}

function gathered(array: Float32Array, { starts, channels }: Rows): Float32Array {
  const values = new Float32Array(starts.length * channels)
  let index = 0
  for (const start of starts) {
    for (let from = start; from < start + channels; from++) values[index++] = array[from]
  }
  return values
}
