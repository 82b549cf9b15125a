import type { Extent, Moments } from '../backend.ts'
import { type Arithmetic, arithmeticOf, type Floats } from './arithmetic.ts'
import { emptyMoments, merge, setMean } from './moments.ts'
import {
  type Block,
  CHUNKS_PER_SEGMENT,
  columnOf,
  type Order,
  orderOf,
  PIVOT_ROWS,
  spreadOverColumns,
  totalOfLanes,
} from './order.ts'

/**
 * Count, mean and M2 of each channel, centred so that they are accurate whatever the offset: every
 * chunk sums d = x - pivot and d * d in the type of the values, where the pivot is the mean of its
 * segment so far. Then the part of sum(d * d) that cancels is never much larger than M2 itself, and the
 * error of M2 is a small multiple of that type's eps. `order.ts` has the order of the additions.
 */
export function statistics(x: Floats, extent: Extent, moments: Moments): void {
  const order = orderOf(extent)
  const arithmetic = arithmeticOf(x)
  const lost = arithmetic.keepsLost ? (moments.lost ?? new Float64Array(extent.channels)) : undefined
  const { channelsPerGroup } = order
  for (let group = 0; group < order.groups; group++) {
    const first = group * channelsPerGroup
    const total: Moments = {
      count: 0,
      mean: moments.mean.subarray(first, first + channelsPerGroup),
      m2: moments.m2.subarray(first, first + channelsPerGroup),
      lost: lost?.subarray(first, first + channelsPerGroup),
    }
    for (let chunk = 0; chunk < order.chunks; chunk += CHUNKS_PER_SEGMENT) {
      const end = Math.min(chunk + CHUNKS_PER_SEGMENT, order.chunks)
      merge(total, segment(x, arithmetic, order, group, chunk, end))
    }
  }
  moments.count = extent.outer * extent.inner
  settleNonFinite(x, extent, { ...moments, lost })
}

/** The moments of chunks `begin` to `end`. */
function segment(
  x: Floats,
  arithmetic: Arithmetic,
  order: Order,
  group: number,
  begin: number,
  end: number,
): Moments {
  const { channelsPerGroup, columns } = order
  const moments = emptyMoments(channelsPerGroup, arithmetic.keepsLost)
  const ofChunk = emptyMoments(channelsPerGroup, arithmetic.keepsLost)
  const pivots = arithmetic.array(columns)
  const sums = arithmetic.array(columns)
  const squares = arithmetic.array(columns)
  const lanes = new Float64Array(order.lanesPerChannel)

  for (let chunk = begin; chunk < end; chunk++) {
    const blocks = order.blocks(group, chunk)
    const count = order.count(chunk)
    const inverseCount = 1 / count
    const pivot = usable(
      chunk === begin ? firstPivot(x, arithmetic, order, blocks[0]) : arithmetic.from(moments.mean),
    )
    spreadOverColumns(order, pivot, 0, pivots)
    sums.fill(0)
    squares.fill(0)
    for (const block of blocks) arithmetic.accumulateMoments(x, block, pivots, sums, squares)

    ofChunk.count = count
    for (let channel = 0; channel < channelsPerGroup; channel++) {
      let sum = totalOfLanes(order, channel, sums, lanes)
      let square = totalOfLanes(order, channel, squares, lanes)
      if (!arithmetic.isSafe(sum, square)) {
        ;[sum, square] = sumInFloat64(x, order, channel, blocks, pivot[channel])
      }
      const shift = sum * inverseCount
      const m2 = square - sum * shift
      setMean(ofChunk, channel, pivot[channel], shift)
      ofChunk.m2[channel] = Math.max(m2, 0)
    }
    merge(moments, ofChunk)
  }
  return moments
}

/**
 * The pivot of a segment's first chunk: the mean of a few rows spread over its first block, summed
 * as differences from their first value, so that its error is small beside their spread.
 */
function firstPivot(x: Floats, arithmetic: Arithmetic, order: Order, block: Block): Floats {
  const { channelsPerGroup, columns } = order
  const rows = Math.min(block.rows, PIVOT_ROWS)
  const stride = block.stride * Math.floor(block.rows / rows)
  const origins = arithmetic.array(columns)
  const origin = arithmetic.array(channelsPerGroup).map((_, channel) => x[block.offset + channel * order.run])
  spreadOverColumns(order, origin, 0, origins)
  const sums = arithmetic.array(columns)
  arithmetic.accumulateMoments(x, { ...block, rows, stride }, origins, sums, arithmetic.array(columns))

  const lanes = new Float64Array(order.lanesPerChannel)
  const inverseCount = 1 / ((rows * block.columns) / channelsPerGroup)
  return origin.map((value, channel) => value + totalOfLanes(order, channel, sums, lanes) * inverseCount)
}

/** A pivot that is not finite would spoil the chunk; zero stands in, and `sumInFloat64` helps. */
function usable(pivot: Floats): Floats {
  return pivot.map((value) => (Number.isFinite(value) ? value : 0))
}

/** The two sums of one channel of a chunk, again, in float64, one value after another. */
function sumInFloat64(
  x: Floats,
  order: Order,
  channel: number,
  blocks: Block[],
  pivot: number,
): [sum: number, square: number] {
  let sum = 0
  let square = 0
  for (const { offset, rows, columns, stride } of blocks) {
    for (let row = 0; row < rows; row++) {
      for (let lane = 0; lane < order.lanesPerChannel; lane++) {
        const column = columnOf(order, channel, lane)
        if (column >= columns) break
        const difference = x[offset + row * stride + column] - pivot
        sum += difference
        square += difference * difference
      }
    }
  }
  return [sum, square]
}

/**
 * A channel that holds NaN or Inf has no M2, and the mean that plain addition gives: Inf where all
 * infinite values have one sign, as in PyTorch, otherwise NaN.
 */
function settleNonFinite(x: Floats, { outer, channels, inner }: Extent, moments: Moments): void {
  for (let channel = 0; channel < channels; channel++) {
    if (Number.isFinite(moments.mean[channel])) continue
    let sum = 0
    for (let sample = 0; sample < outer; sample++) {
      const start = (sample * channels + channel) * inner
      for (let position = 0; position < inner; position++) sum += x[start + position]
    }
    moments.mean[channel] = sum / moments.count
    moments.m2[channel] = Number.NaN
    if (moments.lost) moments.lost[channel] = 0
  }
}
