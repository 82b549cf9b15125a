/** Moments as JSON and back, to the bit: `lib/tensor/json.ts` says how numbers are written. */
import type { ChannelMoments as Sums } from '../backend/backend.ts'
import { describe, invalidType, invalidValue, wrongLength } from '../checks/errors.ts'
import { channelCount, oneOf, positiveInteger } from '../checks/scalars.ts'
import { type NumberJSON, numberTexts, readNumber, writeNumbers } from '../tensor/json.ts'
import { type Layout, layouts } from '../tensor/shape.ts'

/** What `JSON.stringify` makes of `Moments`. */
export interface MomentsJSON {
  /** C, the number of channels. */
  readonly channels: number
  /** Where the channel stood in the batches. */
  readonly layout: Layout
  /** Moments that wait for others of their size; see `Moments`. */
  readonly parts: readonly {
    readonly count: number
    readonly mean: readonly NumberJSON[]
    readonly m2: readonly NumberJSON[]
    /** The low part of the mean. */
    readonly meanLow?: readonly NumberJSON[]
  }[]
}

interface MomentsState {
  readonly channels: number
  readonly layout: Layout
  readonly parts: readonly Sums[]
}

export function writeMoments({ channels, layout, parts }: MomentsState): MomentsJSON {
  return {
    channels,
    layout,
    parts: parts.map(({ count, mean, m2, meanLow }) => ({
      count,
      mean: writeNumbers(mean),
      m2: writeNumbers(m2),
      ...(meanLow && { meanLow: writeNumbers(meanLow) }),
    })),
  }
}

/**
 * @param name - what errors call it
 * @throws TypeError or RangeError that names what is wrong
 */
export function readMoments(json: MomentsJSON, name = 'json'): MomentsState {
  if (typeof json !== 'object' || json === null) throw invalidType(name, 'an object that toJSON made', json)
  const channels = channelCount(`${name}.channels`, json.channels)
  const layout = oneOf(`${name}.layout`, json.layout, layouts)
  if (!Array.isArray(json.parts)) throw invalidType(`${name}.parts`, 'an array', json.parts)
  // Not map: an array can be long and empty.
  const parts = Array.from(json.parts, (part: MomentsJSON['parts'][number], index): Sums => {
    const place = `${name}.parts[${index}]`
    if (typeof part !== 'object' || part === null) throw invalidType(place, 'an object', part)
    const { count, meanLow } = part
    positiveInteger(`${place}.count`, count)
    const mean = readNumbers(`${place}.mean`, part.mean, channels)
    const m2 = readNumbers(`${place}.m2`, part.m2, channels)
    const negative = m2.findIndex((sum) => sum < 0)
    if (negative >= 0) throw invalidValue(`${place}.m2[${negative}]`, 'at least 0', m2[negative])
    if (meanLow === undefined) return { count, mean, m2 }
    return { count, mean, m2, meanLow: readNumbers(`${place}.meanLow`, meanLow, channels) }
  })
  return { channels, layout, parts }
}

function readNumbers(name: string, values: readonly NumberJSON[], length: number): Float64Array {
  if (!Array.isArray(values)) throw invalidType(name, 'an array', values)
  if (values.length !== length) throw wrongLength(name, values, length, 'one value a channel')
  const read = new Float64Array(length)
  for (let index = 0; index < length; index++) {
    const number = readNumber(values[index])
    if (typeof number !== 'number') {
      const expected = `a number or one of ${numberTexts.map(describe).join(', ')}`
      throw invalidType(`${name}[${index}]`, expected, values[index])
    }
    read[index] = number
  }
  return read
}
