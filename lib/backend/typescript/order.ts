/**
 * The order of additions. It is part of the definition of every sum here, not of its
 * implementation: every backend, instruction set and thread count adds in this order, and so gets
 * the same bits.
 *
 * The values of a batch are read as *rows* of *columns*. Each column has an accumulator of its own (a
 * *lane* of its channel) in the type that is computed in, so a vector of any width may add several
 * columns at once. The rounding error grows with the number of terms, so sums stay short: a *group* of
 * 8 rows is summed on its own, then added to the lanes; after a *chunk* of about 64 rows the lanes of a
 * channel are added in float64 (`totalOfLanes`). Chunks are merged one after another into a *segment*
 * of 16 chunks, and segments one after another into the total, both in float64. Threads share out
 * segments and channels.
 *
 * - `inner < 512`, channels together: a row holds 2^k whole samples, k as small as makes
 *   `columns = 2^k * channels * inner` at least 64. Chunk: 64 rows.
 * - `inner >= 512`, channel by channel: a row holds 64 neighbouring positions. Chunk: the
 *   floor(64 / ceil(inner / 64)) samples that make at most 64 rows, or a part of one long sample:
 *   4096 positions, the last part with what remains.
 */
import type { Extent } from '../backend.ts'
import type { Floats } from './arithmetic.ts'

/** Rows of a chunk, and columns of a row where a channel stands alone. */
const ROWS = 64
const COLUMNS = 64

/** Rows that are summed on their own. */
export const ROWS_PER_GROUP = 8

/** Samples of fewer positions do not make a whole group where a channel stands alone. */
const SHORTEST_LONE_SAMPLE = ROWS_PER_GROUP * COLUMNS

export const CHUNKS_PER_SEGMENT = 16

/** The first chunk of a segment takes its pivot from at most so many rows. */
export const PIVOT_ROWS = 8

/** `rows` rows of `columns` neighbouring values, the first at `offset`, `stride` apart. */
export interface Block {
  readonly offset: number
  readonly rows: number
  readonly columns: number
  readonly stride: number
}

export interface Order {
  /** Channels are walked in groups: all of them together, or each alone. */
  readonly groups: number
  readonly channelsPerGroup: number
  /** Columns of a full row; column `(lane / inner, channel, lane % inner)` holds a lane of `channel`. */
  readonly columns: number
  readonly lanesPerChannel: number
  /** Neighbouring columns of one channel. */
  readonly run: number
  readonly chunks: number
  /** The values of chunk `chunk` of group `group`, in order. */
  blocks(group: number, chunk: number): Block[]
  /** How many values chunk `chunk` has of each channel. */
  count(chunk: number): number
}

export function orderOf(extent: Extent): Order {
  return extent.inner < SHORTEST_LONE_SAMPLE ? channelsTogether(extent) : channelByChannel(extent)
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
    lanesPerChannel: samplesPerRow * inner,
    run: inner,
    chunks: Math.ceil(outer / samplesPerChunk),
    blocks(_group, chunk) {
      const first = chunk * samplesPerChunk
      const samples = Math.min(samplesPerChunk, outer - first)
      const rows = Math.floor(samples / samplesPerRow)
      const rest = samples - rows * samplesPerRow
      const offset = first * sample
      return [
        { offset, rows, columns, stride: columns },
        { offset: offset + rows * columns, rows: 1, columns: rest * sample, stride: columns },
      ].filter((block) => block.rows * block.columns > 0)
    },
    count(chunk) {
      return Math.min(samplesPerChunk, outer - chunk * samplesPerChunk) * inner
    },
  }
}

function channelByChannel({ outer, channels, inner }: Extent): Order {
  const samplesPerChunk = Math.max(1, Math.floor(ROWS / Math.ceil(inner / COLUMNS)))
  const partsPerSample = Math.max(1, Math.floor(inner / (ROWS * COLUMNS)))
  const part = partsPerSample === 1 ? inner : ROWS * COLUMNS

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
    columns: COLUMNS,
    lanesPerChannel: COLUMNS,
    run: COLUMNS,
    chunks: Math.ceil(outer / samplesPerChunk) * partsPerSample,
    blocks(group, chunk) {
      const { firstSample, samples, first, positions } = span(chunk)
      const rows = Math.floor(positions / COLUMNS)
      const rest = positions - rows * COLUMNS
      const blocks: Block[] = []
      for (let sample = firstSample; sample < firstSample + samples; sample++) {
        const offset = (sample * channels + group) * inner + first
        blocks.push({ offset, rows, columns: COLUMNS, stride: COLUMNS })
        if (rest > 0)
          blocks.push({ offset: offset + rows * COLUMNS, rows: 1, columns: rest, stride: COLUMNS })
      }
      return blocks
    },
    count(chunk) {
      const { samples, positions } = span(chunk)
      return samples * positions
    },
  }
}

/** The column that holds lane `lane` of channel `channel` of a group. */
export function columnOf(order: Order, channel: number, lane: number): number {
  const { run, channelsPerGroup } = order
  return (Math.floor(lane / run) * channelsPerGroup + channel) * run + (lane % run)
}

/** Writes `values[channel]` into all columns of each channel. */
export function spreadOverColumns(
  order: Order,
  values: ArrayLike<number>,
  first: number,
  columns: Floats,
): void {
  for (let channel = 0; channel < order.channelsPerGroup; channel++) {
    for (let lane = 0; lane < order.lanesPerChannel; lane++) {
      columns[columnOf(order, channel, lane)] = values[first + channel]
    }
  }
}

/**
 * The lanes of a channel added in float64, halving: with n lanes, lane i takes lane i + ceil(n / 2),
 * until one is left.
 */
export function totalOfLanes(order: Order, channel: number, columns: Floats, lanes: Float64Array): number {
  let count = order.lanesPerChannel
  for (let lane = 0; lane < count; lane++) lanes[lane] = columns[columnOf(order, channel, lane)]
  while (count > 1) {
    const half = Math.ceil(count / 2)
    for (let lane = 0; lane + half < count; lane++) lanes[lane] += lanes[lane + half]
    count = half
  }
  return lanes[0]
}
