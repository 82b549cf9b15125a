import type { ChannelMoments, Extent } from '../backend.ts'
import { emptyMoments } from '../moments.ts'
import type { Arithmetic } from './arithmetic.ts'
import { arithmeticOf } from './arithmetic-of.ts'
import { merge, setMean } from './moments.ts'
import {
  type Block,
  CHUNKS_PER_SEGMENT,
  columnOf,
  type Floats,
  inPairs,
  type Order,
  orderOf,
  pivotRows,
  spreadOverColumns,
  totalOfLanes,
} from './order.ts'
import { widely } from './wide.ts'

/**
 * Count, mean and M2 of each channel, centred so that they are accurate whatever the offset: every
 * chunk sums d = x - pivot and d * d, where the pivot is the mean of its segment so far. Then
 * sum(d * d) is at most twice what the chunk adds to M2, and the error of M2 is a small multiple of
 * the eps of the values' type. `order.ts` has the order of the additions.
 */
export function statistics(x: Floats, extent: Extent, moments: ChannelMoments): void {
  const order = orderOf(extent)
  const arithmetic = arithmeticOf(x)
  const { channelsPerGroup } = order
  for (let group = 0; group < order.groups; group++) {
    const segments: ReturnType<typeof emptyMoments>[] = []
    for (let chunk = 0; chunk < order.chunks; chunk += CHUNKS_PER_SEGMENT) {
      const end = Math.min(chunk + CHUNKS_PER_SEGMENT, order.chunks)
      segments.push(segment(x, arithmetic, order, group, chunk, end))
    }
    inPairs(segments.length, (into, from) => merge(segments[into], segments[from]))
    const first = group * channelsPerGroup
    moments.mean.set(segments[0].mean, first)
    moments.m2.set(segments[0].m2, first)
    moments.meanLow?.set(segments[0].meanLow, first)
  }
  moments.count = extent.outer * extent.inner
  correctDoubtful(x, extent, moments, arithmetic)
}

/** The moments of chunks `begin` to `end`. */
function segment(
  x: Floats,
  arithmetic: Arithmetic,
  order: Order,
  group: number,
  begin: number,
  end: number,
): ReturnType<typeof emptyMoments> {
  const { channelsPerGroup } = order
  const moments = emptyMoments(channelsPerGroup)
  const ofChunk = emptyMoments(channelsPerGroup)

  for (let chunk = begin; chunk < end; chunk++) {
    const blocks = order.blocks(group, chunk)
    const count = order.count(chunk)
    const inverseCount = 1 / count
    const isFirst = chunk === begin
    let pivot = usable(
      isFirst ? firstPivot(x, arithmetic, order, blocks, count) : arithmetic.from(moments.mean),
    )
    let { sums, squares } = chunkSums(x, arithmetic, order, blocks, pivot)
    // Where the mean lies more than a standard deviation from the first pivot: again, around the mean.
    const isFar = (channel: number) => 2 * sums[channel] * sums[channel] > count * squares[channel]
    if (isFirst && pivot.some((_, channel) => isFar(channel))) {
      pivot = usable(
        pivot.map((value, channel) => (isFar(channel) ? value + sums[channel] * inverseCount : value)),
      )
      ;({ sums, squares } = chunkSums(x, arithmetic, order, blocks, pivot))
    }
    ofChunk.count = count
    for (let channel = 0; channel < channelsPerGroup; channel++) {
      const shift = sums[channel] * inverseCount
      const m2 = squares[channel] - sums[channel] * shift
      setMean(ofChunk, channel, pivot[channel], shift)
      ofChunk.m2[channel] = squares[channel] === 0 && vanishes(channel) ? Number.NaN : Math.max(m2, 0)

      /** Whether squares of 0 come from differences that are not 0: `correctDoubtful` puts it right. */
      function vanishes(channel: number): boolean {
        if (sums[channel] !== 0) return true
        if (Math.abs(pivot[channel]) >= arithmetic.limits.smallestPivot) return false
        return !isConstant(x, order, channel, blocks)
      }
    }
    merge(moments, ofChunk)
  }
  return moments
}

/** The sums of d and of d * d over a chunk, of each channel. */
function chunkSums(
  x: Floats,
  arithmetic: Arithmetic,
  order: Order,
  blocks: readonly Block[],
  pivot: Floats,
): { sums: Float64Array; squares: Float64Array } {
  const { channelsPerGroup, columns } = order
  const pivots = arithmetic.array(columns)
  spreadOverColumns(order, pivot, 0, pivots)
  const laneSums = new Float64Array(columns)
  const laneSquares = new Float64Array(columns)
  for (const block of blocks) {
    arithmetic.accumulateMoments(x, block, order, pivots, laneSums, laneSquares)
  }
  const totals = (lanes: Float64Array) =>
    new Float64Array(channelsPerGroup).map((_, channel) => totalOfLanes(order, channel, lanes))
  return { sums: totals(laneSums), squares: totals(laneSquares) }
}

/**
 * The pivot of a segment's first chunk: the mean of a few rows spread over it, summed as differences from
 * its first value, so that its error is small beside their spread. Where no row is full, the first value.
 */
function firstPivot(
  x: Floats,
  arithmetic: Arithmetic,
  order: Order,
  [first]: readonly Block[],
  count: number,
): Floats {
  const { channelsPerGroup, columns, columnsPerChannel } = order
  const origin = arithmetic.array(channelsPerGroup).map((_, channel) => x[first.offset + channel * order.run])
  const starts = pivotRows(order, first, count)
  if (starts.length === 0) return origin
  const rows = arithmetic.array(starts.length * columns)
  starts.forEach((start, row) => {
    rows.set(x.subarray(start, start + columns), row * columns)
  })
  const { sums } = chunkSums(rows, arithmetic, order, [{ offset: 0, length: rows.length }], origin)
  const inverseCount = 1 / (starts.length * columnsPerChannel)
  return origin.map((value, channel) => value + sums[channel] * inverseCount)
}

/** A pivot that is not finite would spoil the chunk; zero stands in. */
function usable(pivot: Floats): Floats {
  return pivot.map((value) => (Number.isFinite(value) ? value : 0))
}

/** Whether all values of a channel of a chunk are the same number. */
function isConstant(x: Floats, order: Order, channel: number, blocks: readonly Block[]): boolean {
  const { columns, columnsPerChannel } = order
  const first = x[blocks[0].offset + columnOf(order, channel, 0)]
  return blocks.every(({ offset, length }) => {
    for (let row = 0; row < length; row += columns) {
      for (let column = 0; column < columnsPerChannel; column++) {
        const index = row + columnOf(order, channel, column)
        if (index < length && x[offset + index] !== first) return false
      }
    }
    return true
  })
}

/**
 * What the sums could not tell: channels that hold NaN or Inf, and those whose squares overflowed or
 * underflowed, which are summed again.
 */
function correctDoubtful(x: Floats, extent: Extent, moments: ChannelMoments, { limits }: Arithmetic): void {
  const { mean, m2, meanLow, count } = moments
  for (let channel = 0; channel < extent.channels; channel++) {
    const isSafe = m2[channel] === 0 || m2[channel] >= count * limits.smallestVariance
    if (isSafe && Number.isFinite(mean[channel]) && Number.isFinite(m2[channel])) continue
    const exact = widely(x, extent, channel)
    mean[channel] = exact.mean
    m2[channel] = exact.m2
    if (meanLow) meanLow[channel] = exact.meanLow
  }
}
