/**
 * The order of additions. It is part of the definition of every sum here, not of its
 * implementation: every backend, instruction set and thread count adds in this order, and so gets
 * the same bits.
 *
 * The values of a batch are read as *rows* of *columns*. Each column is a *lane* of its channel, so a
 * vector of any width may add several columns at once. The rounding error grows with the number of terms,
 * so sums in the type of the values stay short: each column of a *group* of 8 rows is summed on its own.
 * Its sum is added to the lane in float64; after a *chunk* the lanes of a channel are added
 * (`totalOfLanes`), and chunks are merged one after another into a *segment* of 16. Segments are added in
 * pairs (`inPairs`). Threads share out segments and channels.
 *
 * - `inner < 64`, channels together: a row holds 2^k whole samples, k as small as makes
 *   `columns = 2^k * channels * inner` at least 64. Each column is a lane. Chunk: 128 rows, the samples that
 *   do not fill a row as a block of its own.
 * - `inner >= 64`, channel by channel: a row holds 16 neighbouring positions, and the last row of a sample
 *   what remains. Column i and column i + 8 of a group are added before they go into lane i. Chunk: the
 *   floor(2048 / inner) samples that make at most 2048 values, or a part of one long sample: 2048 positions,
 *   the last part with what remains.
 */
import type { Extent } from '../backend.ts'

export type Floats = Float32Array | Float64Array

/** Neighbouring values, read as rows of columns; the last row may be short. */
export interface Block {
  readonly offset: number
  readonly length: number
}

/** Rows of a chunk where a row holds whole samples, and the fewest columns of such a row. */
const ROWS = 128
const COLUMNS = 64

/** Rows that are summed on their own. */
export const ROWS_PER_GROUP = 8

/** The fewest positions of a channel that is walked alone, and the columns of its rows. */
const SHORTEST_RUN = 64
const RUN_COLUMNS = 16

/** Values of a chunk of whole samples, and of a part of a long one, where a channel stands alone. */
const RUN_CHUNK = 2048
const RUN_PART = 2048

export const CHUNKS_PER_SEGMENT = 16

/** The most rows, and the fewest values of a channel, that the pivot of a segment's first chunk is taken from. */
const MOST_PIVOT_ROWS = 16
const FEWEST_PIVOT_VALUES = 16

export interface Order {
  /** Channels are walked in groups: all of them together, or each alone. */
  readonly groups: number
  readonly channelsPerGroup: number
  /** Columns of a full row; `columnOf` tells which are those of a channel. */
  readonly columns: number
  readonly columnsPerChannel: number
  /** How many columns, half of a channel's apart, share a lane. */
  readonly columnsPerLane: 1 | 2
  /** Neighbouring columns of one channel. */
  readonly run: number
  readonly chunks: number
  /** The values of chunk `chunk` of group `group`, in order. */
  blocks(group: number, chunk: number): Block[]
  /** How many values chunk `chunk` has of each channel. */
  count(chunk: number): number
}

export function orderOf(extent: Extent): Order {
  return extent.inner < SHORTEST_RUN ? channelsTogether(extent) : channelByChannel(extent)
}

function channelsTogether({ outer, channels, inner }: Extent): Order {
  const sample = channels * inner
  let samplesPerRow = 1
  while (samplesPerRow * sample < COLUMNS) samplesPerRow *= 2
  const columns = samplesPerRow * sample
  const samplesPerChunk = samplesPerRow * ROWS

  return {
    groups: 1,
    channelsPerGroup: channels,
    columns,
    columnsPerChannel: samplesPerRow * inner,
    columnsPerLane: 1,
    run: inner,
    chunks: Math.ceil(outer / samplesPerChunk),
    blocks(_group, chunk) {
      const first = chunk * samplesPerChunk
      const values = Math.min(samplesPerChunk, outer - first) * sample
      const rest = values % columns
      const offset = first * sample
      return [
        { offset, length: values - rest },
        { offset: offset + values - rest, length: rest },
      ].filter((block) => block.length > 0)
    },
    count(chunk) {
      return Math.min(samplesPerChunk, outer - chunk * samplesPerChunk) * inner
    },
  }
}

function channelByChannel({ outer, channels, inner }: Extent): Order {
  const samplesPerChunk = Math.max(1, Math.floor(RUN_CHUNK / inner))
  const partsPerSample = Math.max(1, Math.floor(inner / RUN_PART))
  const part = partsPerSample === 1 ? inner : RUN_PART

  /** The samples of a chunk, and the positions that it takes of each. */
  function span(chunk: number) {
    const firstSample = Math.floor(chunk / partsPerSample) * samplesPerChunk
    const index = chunk % partsPerSample
    const first = index * part
    return {
      firstSample,
      samples: Math.min(samplesPerChunk, outer - firstSample),
      first,
      positions: index === partsPerSample - 1 ? inner - first : part,
    }
  }

  return {
    groups: channels,
    channelsPerGroup: 1,
    columns: RUN_COLUMNS,
    columnsPerChannel: RUN_COLUMNS,
    columnsPerLane: 2,
    run: RUN_COLUMNS,
    chunks: Math.ceil(outer / samplesPerChunk) * partsPerSample,
    blocks(group, chunk) {
      const { firstSample, samples, first, positions } = span(chunk)
      return Array.from({ length: samples }, (_, sample) => ({
        offset: ((firstSample + sample) * channels + group) * inner + first,
        length: positions,
      }))
    },
    count(chunk) {
      const { samples, positions } = span(chunk)
      return samples * positions
    },
  }
}

/**
 * Where the rows begin that the pivot of a chunk of `count` values a channel is taken from: full rows of its
 * first block, evenly spread, as many as hold an eighth of the values. Where there is no full row, none.
 */
export function pivotRows({ columns, columnsPerChannel }: Order, first: Block, count: number): number[] {
  const rows = Math.floor(first.length / columns)
  const values = Math.max(Math.floor(count / 8), FEWEST_PIVOT_VALUES)
  const picked = Math.min(Math.ceil(values / columnsPerChannel), rows, MOST_PIVOT_ROWS)
  const step = Math.floor(rows / picked)
  return Array.from({ length: picked }, (_, index) => first.offset + index * step * columns)
}

/** The place in a row of column `index` of channel `channel` of a group. Lanes have the same places. */
export function columnOf({ run, channelsPerGroup }: Order, channel: number, index: number): number {
  return (Math.floor(index / run) * channelsPerGroup + channel) * run + (index % run)
}

/** Writes `values[channel]` into all columns of each channel. */
export function spreadOverColumns(
  order: Order,
  values: ArrayLike<number>,
  first: number,
  columns: Floats,
): void {
  for (let channel = 0; channel < order.channelsPerGroup; channel++) {
    for (let index = 0; index < order.columnsPerChannel; index++) {
      columns[columnOf(order, channel, index)] = values[first + channel]
    }
  }
}

/**
 * The total of the lanes of a channel. Samples of a row are added by halving: with 2^k of them, sample i
 * takes sample i + 2^(k - 1), until one is left. Then lane i takes lane i + h, with h the largest power of
 * two below the number of lanes, until one is left: whole vectors of any width.
 */
export function totalOfLanes(order: Order, channel: number, lanes: Float64Array): number {
  let count = order.columnsPerChannel / order.columnsPerLane
  const values = new Float64Array(count)
  for (let lane = 0; lane < count; lane++) values[lane] = lanes[columnOf(order, channel, lane)]
  while (count > 1) {
    const half = count > order.run ? count / 2 : largestPowerOfTwoBelow(count)
    for (let lane = 0; lane + half < count; lane++) values[lane] += values[lane + half]
    count = half
  }
  return values[0]
}

function largestPowerOfTwoBelow(count: number): number {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}

/** Adds the columns of a group, each summed on its own, to their lanes. */
export function addToLanes(
  { columns, columnsPerLane }: Pick<Order, 'columns' | 'columnsPerLane'>,
  group: Floats,
  lanes: Float64Array,
): void {
  const count = columns / columnsPerLane
  if (columnsPerLane === 2) {
    for (let lane = 0; lane < count; lane++) group[lane] += group[lane + count]
  }
  for (let lane = 0; lane < count; lane++) lanes[lane] += group[lane]
}

/** Calls `add(into, from)` for neighbours, and again for the pairs, until everything is in number 0. */
export function inPairs(count: number, add: (into: number, from: number) => void): void {
  for (let step = 1; step < count; step *= 2) {
    for (let index = 0; index + step < count; index += 2 * step) add(index, index + step)
  }
}
