import type { Extent, Moments } from '../backend.ts'
import { merge } from './moments.ts'
import {
  type Block,
  CHUNKS_PER_SEGMENT,
  columnOf,
  type Order,
  orderOf,
  PIVOT_ROWS,
  ROWS_PER_GROUP,
  spreadOverColumns,
  totalOfLanes,
} from './order.ts'

/** Below it, a float32 sum of squares may have lost bits to underflow: 2^-96. */
const SMALLEST_SAFE_SQUARE = 2 ** -96

/**
 * Count, mean and M2 of each channel, centred so that they are accurate whatever the offset: every
 * chunk sums d = x - pivot and d * d in float32, where the pivot is the mean of its segment so far.
 * Then the part of sum(d * d) that cancels is never much larger than M2 itself, and the error of M2
 * is a small multiple of float32's eps. `order.ts` has the order of the additions.
 */
export function statistics(x: Float32Array, extent: Extent, moments: Moments): void {
  const order = orderOf(extent)
  const { channelsPerGroup } = order
  for (let group = 0; group < order.groups; group++) {
    const first = group * channelsPerGroup
    const total: Moments = {
      count: 0,
      mean: moments.mean.subarray(first, first + channelsPerGroup),
      m2: moments.m2.subarray(first, first + channelsPerGroup),
    }
    for (let chunk = 0; chunk < order.chunks; chunk += CHUNKS_PER_SEGMENT) {
      merge(total, segment(x, order, group, chunk, Math.min(chunk + CHUNKS_PER_SEGMENT, order.chunks)))
    }
  }
  moments.count = extent.outer * extent.inner
  settleNonFinite(x, extent, moments)
}

/** The moments of chunks `begin` to `end`. */
function segment(x: Float32Array, order: Order, group: number, begin: number, end: number): Moments {
  const { channelsPerGroup, columns } = order
  const moments = emptyMoments(channelsPerGroup)
  const ofChunk = emptyMoments(channelsPerGroup)
  const pivots = new Float32Array(columns)
  const sums = new Float32Array(columns)
  const squares = new Float32Array(columns)
  const lanes = new Float64Array(order.lanesPerChannel)

  for (let chunk = begin; chunk < end; chunk++) {
    const blocks = order.blocks(group, chunk)
    const count = order.count(chunk)
    const inverseCount = 1 / count
    const pivot = usable(chunk === begin ? firstPivot(x, order, blocks[0]) : Float32Array.from(moments.mean))
    spreadOverColumns(order, pivot, 0, pivots)
    sums.fill(0)
    squares.fill(0)
    for (const block of blocks) accumulate(x, block, pivots, sums, squares)

    ofChunk.count = count
    for (let channel = 0; channel < channelsPerGroup; channel++) {
      let sum = totalOfLanes(order, channel, sums, lanes)
      let square = totalOfLanes(order, channel, squares, lanes)
      if (!isSafe(sum, square)) [sum, square] = sumInFloat64(x, order, channel, blocks, pivot[channel])
      const shift = sum * inverseCount
      const m2 = square - sum * shift
      ofChunk.mean[channel] = pivot[channel] + shift
      ofChunk.m2[channel] = Math.max(m2, 0)
    }
    merge(moments, ofChunk)
  }
  return moments
}

/** Adds d = x - pivot and d * d of each column of a block, in float32, group by group of rows. */
function accumulate(
  x: Float32Array,
  { offset, rows, columns, stride }: Block,
  pivots: Float32Array,
  sums: Float32Array,
  squares: Float32Array,
): void {
  for (let row = 0; row < rows; row += ROWS_PER_GROUP) {
    const start = offset + row * stride
    const end = offset + Math.min(row + ROWS_PER_GROUP, rows) * stride
    for (let column = 0; column < columns; column++) {
      const pivot = pivots[column]
      let sum = 0
      let square = 0
      for (let index = start + column; index < end; index += stride) {
        const difference = Math.fround(x[index] - pivot)
        sum = Math.fround(sum + difference)
        square = Math.fround(square + Math.fround(difference * difference))
      }
      sums[column] += sum
      squares[column] += square
    }
  }
}

/**
 * The pivot of a segment's first chunk: the mean of a few rows spread over its first block, summed
 * as differences from their first value, so that its error is small beside their spread.
 */
function firstPivot(x: Float32Array, order: Order, block: Block): Float32Array {
  const { channelsPerGroup, columns } = order
  const rows = Math.min(block.rows, PIVOT_ROWS)
  const stride = block.stride * Math.floor(block.rows / rows)
  const origins = new Float32Array(columns)
  const origin = Float32Array.from(
    { length: channelsPerGroup },
    (_, channel) => x[block.offset + channel * order.run],
  )
  spreadOverColumns(order, origin, 0, origins)
  const sums = new Float32Array(columns)
  accumulate(x, { ...block, rows, stride }, origins, sums, new Float32Array(columns))

  const lanes = new Float64Array(order.lanesPerChannel)
  const inverseCount = 1 / ((rows * block.columns) / channelsPerGroup)
  return origin.map((value, channel) => value + totalOfLanes(order, channel, sums, lanes) * inverseCount)
}

/** A pivot that is not finite would spoil the chunk; zero stands in, and `sumInFloat64` helps. */
function usable(pivot: Float32Array): Float32Array {
  return pivot.map((value) => (Number.isFinite(value) ? value : 0))
}

/**
 * Whether float32 was enough: no overflow (values around 1e20 and beyond), no underflow (around
 * 1e-15 and below). Both sums are zero where a channel is constant, which is safe and common.
 */
function isSafe(sum: number, square: number): boolean {
  return Number.isFinite(square) && (square >= SMALLEST_SAFE_SQUARE || (square === 0 && sum === 0))
}

/** The two sums of one channel of a chunk, again, in float64, one value after another. */
function sumInFloat64(
  x: Float32Array,
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
function settleNonFinite(x: Float32Array, { outer, channels, inner }: Extent, moments: Moments): void {
  for (let channel = 0; channel < channels; channel++) {
    if (Number.isFinite(moments.mean[channel])) continue
    let sum = 0
    for (let sample = 0; sample < outer; sample++) {
      const start = (sample * channels + channel) * inner
      for (let position = 0; position < inner; position++) sum += x[start + position]
    }
    moments.mean[channel] = sum / moments.count
    moments.m2[channel] = Number.NaN
  }
}

function emptyMoments(channels: number): Moments {
  return { count: 0, mean: new Float64Array(channels), m2: new Float64Array(channels) }
}
