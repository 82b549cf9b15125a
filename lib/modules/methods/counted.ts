/** What of a batch counts: the options `mask`, `lengths` and `weights` of a forward. */
import { types } from 'node:util'
import { assertAgreeing } from '../../checks/contradictions.ts'
import { describe, invalidShape, invalidType, invalidValue, wrongLength } from '../../checks/errors.ts'
import { assertReadable } from '../../checks/in-flight.ts'
import { rowMajor } from '../../tensor/row-major.ts'
import { channelAxis, elementCount, type Layout, product, type Shape, sameShape } from '../../tensor/shape.ts'

type Numbers = ArrayLike<number | bigint | boolean>

/** Numbers, integers of 64 bits, or booleans, bare or as a tensor. */
export type Flags = Numbers | { readonly data: Numbers; readonly shape: Shape }

/** What of a batch counts. What does not takes no part in the statistics, and its output is 0. */
export interface CountedOptions {
  /**
   * What counts: 1 or true; what does not: 0 or false. For each sample `[N]`, or for each of its
   * positions `[N, L]`, `[N, H, W]` or `[N, D, H, W]`, row by row.
   */
  mask?: Flags
  /** How many of its positions count, from the first, for each sample of a `[N, C, L]`: integers from 0 to L, of int64 too. */
  lengths?: Flags
  /** How much each sample counts in the statistics, `[N]`: numbers of at least 0, of which only the ratios matter. */
  weights?: Flags
}

export interface Counted {
  /** The positions that count, ascending, row by row over samples and positions; `null`: all. */
  readonly positions: Uint32Array | null
  /** Of each sample; `null`: all count alike. */
  readonly weights: Float64Array | null
}

/**
 * The options, checked against the shape of the input.
 *
 * @throws TypeError or RangeError for what does not fit, and for `mask` with `lengths`
 */
export function countedOf({ mask, lengths, weights }: CountedOptions, shape: Shape, layout: Layout): Counted {
  assertAgreeing({ mask, lengths })
  const samples = shape[0]
  const axis = channelAxis(shape, layout)
  const axes = shape.filter((_, index) => index > 0 && index !== axis)
  if (lengths !== undefined && axes.length !== 1) {
    const expected = layout === 'channels-last' ? '[N, L, C]' : '[N, C, L]'
    throw invalidShape('input', `${expected}, to go with lengths,`, shape, 'use mask instead')
  }
  let positions: Uint32Array | null = null
  if (mask !== undefined) positions = masked(mask, samples, axes)
  if (lengths !== undefined) positions = within(lengths, samples, axes[0])
  return { positions, weights: weights === undefined ? null : weightsOf(weights, samples) }
}

/** The positions where the mask is 1; `null` where it is nowhere 0. */
function masked(mask: Flags, samples: number, axes: Shape): Uint32Array | null {
  const shapes = axes.length === 0 ? [[samples]] : [[samples], [samples, ...axes]]
  const values = valuesOf('mask', mask, shapes)
  const flags = Uint8Array.from(values, (value, index) => {
    if (value === true || value === 1 || value === 1n) return 1
    if (value === false || value === 0 || value === 0n) return 0
    const fix = Array.isArray(value) ? 'nested arrays? Make a tensor of them' : ''
    throw invalidValue(`mask[${index}]`, '0, 1, true or false', value, fix)
  })
  const positions = samples * product(axes)
  const repeat = positions / flags.length
  return where(positions, (position) => flags[Math.floor(position / repeat)] === 1)
}

/** The positions before each sample's length; `null` where that is all of them. */
function within(lengths: Flags, samples: number, most: number): Uint32Array | null {
  const values = Array.from(valuesOf('lengths', lengths, [[samples]]), (value, index) => {
    const length = numberOf(value)
    if (Number.isInteger(length) && length >= 0 && length <= most) return length
    throw invalidValue(`lengths[${index}]`, `an integer from 0 to ${most}`, value)
  })
  return where(samples * most, (position) => position % most < values[Math.floor(position / most)])
}

function where(count: number, counts: (position: number) => boolean): Uint32Array | null {
  const positions = new Uint32Array(count)
  let found = 0
  for (let position = 0; position < count; position++) if (counts(position)) positions[found++] = position
  return found === count ? null : positions.subarray(0, found)
}

function weightsOf(weights: Flags, samples: number): Float64Array {
  return Float64Array.from(valuesOf('weights', weights, [[samples]]), (value, index) => {
    const weight = numberOf(value)
    if (Number.isFinite(weight) && weight >= 0) return weight
    throw invalidValue(`weights[${index}]`, 'a finite number, at least 0,', value)
  })
}

/** A number, or an int64 as one, which above 2^53 is rounded; NaN for anything else. */
function numberOf(value: unknown): number {
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN
}

/** The values of an array or tensor of one of these shapes; a bare array has only to be as long. */
function valuesOf(name: string, given: Flags, shapes: readonly (readonly number[])[]): Numbers {
  const isArray = (value: unknown): value is Numbers => Array.isArray(value) || types.isTypedArray(value)
  const expected = shapes.map(describe).join(' or ')
  const isBare = isArray(given)
  const found = isBare ? given : given?.data
  if (!isArray(found)) throw invalidType(name, `an array or tensor of shape ${expected}`, given)
  const shape = isBare ? [found.length] : given.shape
  const fits = (wanted: Shape) => (isBare ? found.length === product(wanted) : sameShape(shape, wanted))
  const length = elementCount(name, shape)
  if (!shapes.some(fits)) throw invalidShape(name, expected, shape)
  const data = isBare ? found : rowMajor(name, given)
  if (data.length !== length) throw wrongLength(`${name}.data`, data, length, `the shape ${describe(shape)}`)
  if (types.isTypedArray(data)) assertReadable(name, data)
  return data
}
