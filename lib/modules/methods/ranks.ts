import type { ChannelMoments, GradientSums } from '../../backend/backend.ts'
import { emptyMoments } from '../../backend/moments.ts'
import type { Collective } from '../../distributed/collective.ts'
import { mergeOverRanks } from '../../distributed/merge-over-ranks.ts'
import { sumOverRanks } from '../../distributed/sum-over-ranks.ts'
import { valuesPerChannel } from '../../tensor/shape.ts'
import type { Pass } from '../pass.ts'
import { type Steps, statistics } from './steps.ts'
import { sumOfWeights, weightedMoments } from './weighted.ts'

/**
 * One batch over the ranks of a collective, of which each has a part, or nothing: one collective for its moments, and one
 * for the sums of its gradients.
 */
export class Ranks {
  /** How many values a channel all ranks have, or what weighted values are worth; see `effectiveCount`. */
  count = 0
  /** Whether no rank was given any value. */
  areEmpty = false
  /** Of each sample here, the share of each of its values in all; `null`: all values count alike. */
  shares: Float64Array | null = null
  readonly #collective: Collective
  readonly #layer: string
  readonly #isEmpty: boolean
  readonly #weights: Float64Array | null
  /** What the sums are divided by. */
  #total = 0

  /**
   * @param layer - what tells its collectives from those of other layers
   * @param isEmpty - whether this rank was given no values
   * @param weights - of each of the `outer` samples; `null`: all count alike
   */
  constructor(collective: Collective, layer: string, isEmpty: boolean, weights: Float64Array | null) {
    this.#collective = collective
    this.#layer = layer
    this.#isEmpty = isEmpty
    this.#weights = weights
  }

  /** Writes the moments of the values of all ranks. */
  *moments({ input, extent }: Pass, moments: ChannelMoments): Steps {
    const weights = this.#weights
    const values = valuesPerChannel(extent)
    const largestWeight = weights === null ? 1 : weights.reduce((a, b) => Math.max(a, b), 0)
    const own = emptyMoments(extent.channels)
    let squares = 0
    if (values > 0 && largestWeight > 0) {
      if (weights === null || weights.every((weight) => weight === largestWeight)) {
        yield* statistics(input, extent, own)
        squares = values
      } else {
        weightedMoments(input, extent, weights, own)
        const total = sumOfWeights(weights, extent)
        squares = (total * total) / own.count
        own.m2.forEach((sum, channel) => {
          own.m2[channel] = (sum / own.count) * total
        })
        own.count = total
      }
    }
    const part = { moments: own, largestWeight, facts: [values, squares, this.#isEmpty ? 0 : 1] }
    const whole = yield* mergeOverRanks(this.#collective, `forward of ${this.#layer}`, part)

    this.areEmpty = whole.told.every(({ facts: [, , isThere] }) => isThere === 0)
    this.#total = whole.moments.count
    const counting = whole.told.filter(({ count }) => count > 0)
    const areEqual = counting.every(
      ({ count, largestWeight, facts: [values] }) =>
        largestWeight === whole.largestWeight && count === values,
    )
    this.count = this.#total
    let { m2 } = whole.moments
    if (!areEqual) {
      const squares = counting.reduce(
        (sum, { largestWeight, facts: [, squares] }) =>
          sum + squares * (largestWeight / whole.largestWeight) ** 2,
        0,
      )
      this.count = (this.#total * this.#total) / squares
      m2 = m2.map((sum) => (sum / this.#total) * this.count)
      const ofAll = weights ?? new Float64Array(extent.outer).fill(1)
      this.shares = ofAll.map((weight) => weight / whole.largestWeight / this.#total)
    }
    moments.count = this.count
    moments.mean.set(whole.moments.mean)
    moments.m2.set(m2)
    if (whole.moments.meanLow) moments.meanLow?.set(whole.moments.meanLow)
    else moments.meanLow?.fill(0)
  }

  /** The sums of all ranks. */
  sums(own: GradientSums): Steps<GradientSums> {
    return sumOverRanks(this.#collective, `backward of ${this.#layer}`, own)
  }
}
