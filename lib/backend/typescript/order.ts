/**
 * The order of additions. It is part of the definition of every sum here, not of its
 * implementation: every backend, instruction set and thread count adds in this order, and so gets
 * the same bits.
 *
 * The values of a batch are read as *rows* of *columns*. Each column is a *lane* of its channel, so a
 * vector of any width may add several columns at once. The rounding error grows with the number of terms,
 * so sums in the type of the values stay short: each column of a *group* of 8 rows is summed on its own.
 * Its sum is added to the lane in float64; after a *chunk* the lanes of a channel are added
 * (`totalOfLanes`), and chunks are merged one after another into a *segment* of 16. Segments are added by
 * halving, as lanes are. Threads share out segments and channels.
 *
 * - `inner < 64`, channels together: a row holds 2^k whole samples, k as small as makes
 *   `columns = 2^k * channels * inner` at least 64. Each column is a lane. Chunk: 64 rows, the samples that
 *   do not fill a row as a block of its own.
 * - `inner >= 64`, channel by channel: a row holds 16 neighbouring positions, and the last row of a sample
 *   what remains. Column i and column i + 8 of a group are added before they go into lane i. Chunk: the
 *   floor(2048 / inner) samples that make at most 2048 values, or a part of one long sample: 4096 positions,
 *   the last part with what remains.
 */
import type { Extent } from '../backend.ts'
import type { Block, Floats } from './arithmetic.ts'

/** Rows of a chunk where a row holds whole samples, and the fewest columns of such a row. */
const ROWS = 64
const COLUMNS = 64

/** Rows that are summed on their own. */
export const ROWS_PER_GROUP = 8

/** From so many positions on a channel stands alone, and columns of its rows. */
const SHORTEST_RUN = 64
const RUN_COLUMNS = 16

/** Values of a chunk of whole samples, and of a part of a long one, where a channel stands alone. */
const RUN_CHUNK = 2048
const RUN_PART = 4096

export const CHUNKS_PER_SEGMENT = 16

/** The first chunk of a segment takes its pivot from at most so many rows. */
const PIVOT_ROWS = 16

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
 * Where the rows of a chunk begin that its pivot is taken from: at most 16 of its full rows, evenly
 * spread; where there is no full row, none.
 */
export function pivotRows({ columns }: Order, blocks: readonly Block[]): number[] {
  const rowsOf = (block: Block) => Math.floor(block.length / columns)
  const rows = blocks.reduce((total, block) => total + rowsOf(block), 0)
  const step = Math.max(1, Math.floor(rows / PIVOT_ROWS))
  return Array.from({ length: Math.min(rows, PIVOT_ROWS) }, (_, index) => {
    // All blocks but the last have as many rows as the first.
    const row = index * step
    const block = blocks[Math.floor(row / rowsOf(blocks[0]))]
    return block.offset + (row % rowsOf(blocks[0])) * columns
  })
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
 * The lanes of a channel added by halving: with n lanes, lane i takes lane i + ceil(n / 2), until one is
 * left.
 */
export function totalOfLanes(order: Order, channel: number, lanes: Float64Array): number {
  let count = order.columnsPerChannel / order.columnsPerLane
  const values = new Float64Array(count)
  for (let lane = 0; lane < count; lane++) values[lane] = lanes[columnOf(order, channel, lane)]
  while (count > 1) {
    const half = Math.ceil(count / 2)
    for (let lane = 0; lane + half < count; lane++) values[lane] += values[lane + half]
    count = half
  }
  return values[0]
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

/** Calls `add(into, from)` until everything is in number 0 of `count`. */
export function byHalving(count: number, add: (into: number, from: number) => void): void {
  for (let left = count; left > 1; left = Math.ceil(left / 2)) {
    const half = Math.ceil(left / 2)
    for (let index = 0; index + half < left; index++) add(index, index + half)
  }
}
