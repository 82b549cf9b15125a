import type { ChannelMoments as Sums } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { emptyMoments } from '../backend/moments.ts'
import { has } from '../checks/copies.ts'
import { invalidType, invalidValue } from '../checks/errors.ts'
import { refuseCloning, refuseSetting } from '../checks/fixed-properties.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { boolean, channelCount, oneOf } from '../checks/scalars.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import { assertCollective, type Collective } from '../distributed/collective.ts'
import { mergeOverRanks, type Whole } from '../distributed/merge-over-ranks.ts'
import { type Input, inputOf } from '../functional/arguments.ts'
import { statisticsFor } from '../functional/batch-norm-stats.ts'
import { runAsync, runSync, type Steps } from '../modules/methods/steps.ts'
import { type Layout, layouts } from '../tensor/shape.ts'
import { merged } from './merged.ts'
import { type MomentsJSON, readMoments, writeMoments } from './moments-json.ts'

/** Where moments have copies of their parts, for those that they are merged into. */
const copiedParts: unique symbol = Symbol.for('batchnorm.Moments')

/** Options of `Moments`. */
export interface MomentsOptions {
  /** Where the channel stands in a batch's shape. Default `'channels-first'`. */
  layout?: Layout
}

const names = optionNames<MomentsOptions>({ layout: true })
const varianceOptions = optionNames<{ unbiased?: boolean }>({ unbiased: true })

function cloneItsJSONInstead() {}

/** Whether it is `Moments`, of this copy of the library or another. */
export function isMoments(value: unknown): value is Moments {
  return has(copiedParts, value)
}

/**
 * Count, mean and variance of each channel over any number of batches, none of which is kept.
 *
 * ```ts
 * const moments = new Moments(64)
 * for await (const batch of batches) moments.update(batch)
 * moments.mean                       // Float64Array [64]
 * moments.variance()                 // the biased one; variance({ unbiased: true }) divides by n - 1
 * ```
 *
 * Batches are summed as a forward sums them and merged as in Chan, Golub and LeVeque, "Updating Formulae
 * and a Pairwise Algorithm for Computing Sample Variances", Stanford STAN-CS-79-773, 1979, in float64. The
 * merging is pairwise: the parts that wait for their like double in size from the last to the first, so
 * that no value takes part in more than 2 log2(n) of the additions. The error does not grow with the
 * number of batches, and the same batches in the same order give the same bits on every backend.
 *
 * A channel that has had NaN or Infinity has the mean of plain addition - Infinity where all infinite
 * values have one sign, otherwise NaN - and no variance: NaN.
 */
export class Moments {
  readonly #channels: number
  readonly #layout: Layout
  /** Largest first: each has at least twice the values of the next. */
  #parts: readonly Sums[] = []

  /** Moments of no values yet. */
  constructor(channels: number, options: MomentsOptions = {}) {
    const { layout = 'channels-first' } = optionsObject(options, names)
    this.#channels = channelCount('channels', channels)
    this.#layout = oneOf('layout', layout, layouts)
    refuseCloning(this, cloneItsJSONInstead)
  }

  static {
    const fix = 'make other moments: new Moments(channels, { layout })'
    refuseSetting(Moments.prototype, 'moments', { channels: fix, layout: fix })
  }

  /** C, the number of channels. */
  get channels(): number {
    return this.#channels
  }

  /** Where the channel stands in a batch's shape. */
  get layout(): Layout {
    return this.#layout
  }

  /**
   * The moments of one batch.
   *
   * @param batch - `[N, C, ...]`, with `layout: 'channels-last'` `[N, ..., C]`, of any float type
   * @throws TypeError or RangeError for an argument that does not fit
   */
  static of(batch: FloatTensorLike, options: MomentsOptions = {}): Moments {
    const { layout } = optionsObject(options, names)
    const input = inputOf('batch', batch, layout)
    const moments = new Moments(input.extent.channels, { layout })
    moments.#add(input)
    return moments
  }

  /**
   * The moments that `toJSON` wrote, to the bit, also in what comes after.
   *
   * @throws TypeError or RangeError that names what is wrong with it
   */
  static fromJSON(json: MomentsJSON): Moments {
    const { channels, layout, parts } = readMoments(json)
    const moments = new Moments(channels, { layout })
    for (const part of parts) moments.#push(part)
    return moments
  }

  /**
   * Adds a batch; an empty one changes nothing.
   *
   * @throws TypeError or RangeError for a batch that does not fit. After an error nothing has changed.
   */
  update(batch: FloatTensorLike): this {
    this.#add(inputOf('batch', batch, this.layout, this.channels))
    return this
  }

  /**
   * Adds what others have seen; they stay as they are.
   *
   * @throws TypeError or RangeError for what is not moments of as many channels. After an error nothing has changed.
   */
  merge(other: Moments): this {
    if (!isMoments(other)) throw invalidType('other', 'Moments', other)
    if (other.channels !== this.channels) {
      throw invalidValue('other.channels', `${this.channels}, as here,`, other.channels)
    }
    for (const part of other[copiedParts]) this.#push(part)
    return this
  }

  /**
   * Adds what all the other ranks have seen: afterwards every rank has the moments of all, the same bits.
   *
   * @param collective - see `batchnorm/distributed`; every rank calls this
   * @throws TypeError for what is not a collective; CollectiveError. After an error nothing has changed.
   */
  allReduce(collective: Collective): this {
    return this.#replace(runSync(this.#mergeOver(collective)))
  }

  /** `allReduce` off this thread; leave the moments alone until it has ended. */
  async allReduceAsync(collective: Collective): Promise<this> {
    return this.#replace(await runAsync(this.#mergeOver(collective), [], []))
  }

  #mergeOver(collective: Collective): Steps<Whole> {
    assertCollective('collective', collective)
    const moments = this.count === 0 ? emptyMoments(this.channels) : this.total()
    return mergeOverRanks(collective, 'Moments', { moments, largestWeight: 1, facts: [] })
  }

  #replace({ moments }: Whole): this {
    this.#parts = moments.count === 0 ? [] : [moments]
    return this
  }

  /** @internal */
  get [copiedParts](): Sums[] {
    return this.#parts.map(copyOf)
  }

  /** How many values each channel has had; exact up to 2^53. */
  get count(): number {
    return this.#parts.reduce((count, part) => count + part.count, 0)
  }

  /**
   * The mean of each channel.
   *
   * @throws RangeError before there is any value
   */
  get mean(): Float64Array {
    return this.total().mean
  }

  /**
   * The variance of each channel: M2 / n, or with `unbiased` M2 / (n - 1).
   *
   * @throws RangeError before there is any value; with `unbiased` also for a single one
   */
  variance(options: { unbiased?: boolean } = {}): Float64Array {
    const { unbiased = false } = optionsObject(options, varianceOptions)
    const divisor = this.count - (boolean('unbiased', unbiased) ? 1 : 0)
    const { m2 } = this.total()
    if (divisor === 0) {
      throw new RangeError('Expected more than 1 value a channel for an unbiased variance but received 1')
    }
    return m2.map((sum) => sum / divisor)
  }

  /**
   * Count, mean and M2, the sum of squared deviations from the mean, of each channel, and `meanLow`, the
   * low part of the mean.
   *
   * @throws RangeError before there is any value
   */
  total(): Sums {
    const parts = this[copiedParts]
    let total = parts.pop()
    if (total === undefined) {
      throw new RangeError(
        'Expected moments of at least 1 value a channel but received no values (update them first)',
      )
    }
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      total = merged(part, total)
    }
    return total
  }

  /** Everything, as JSON that `fromJSON` reads: `JSON.stringify(moments)` uses it. */
  toJSON(): MomentsJSON {
    return writeMoments({ channels: this.channels, layout: this.layout, parts: this.#parts })
  }

  /** `Moments(64, count=128)` */
  toString(): string {
    return `Moments(${this.channels}, count=${this.count})`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  #add(input: Input): void {
    if (input.x.length === 0) return
    const { moments } = statisticsFor(input)
    currentBackend().statistics(input.x, input.extent, moments)
    this.#push(moments)
  }

  /** Merges a part with those that have not twice its values. It belongs to these moments then. */
  #push(part: Sums): void {
    const parts = [...this.#parts]
    let last = part
    for (let before = parts.at(-1); before && before.count < 2 * last.count; before = parts.at(-1)) {
      parts.pop()
      last = merged(before, last)
    }
    this.#parts = [...parts, last]
  }
}

function copyOf({ count, mean, m2, meanLow }: Sums): Sums {
  return { count, mean: mean.slice(), m2: m2.slice(), ...(meanLow && { meanLow: meanLow.slice() }) }
}
