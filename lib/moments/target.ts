/** What is remembered of the inputs of a target domain. Each is never changed, so that an input can be refused late. */
import type { ChannelMoments } from '../backend/backend.ts'
import { merged } from './merged.ts'
import { Moments } from './moments.ts'
import type { Seen } from './seen.ts'

export interface Target {
  /** How many samples it stands for. */
  readonly samples: number
  /** Of their values, with the count that makes the variance unbiased. */
  moments(): ChannelMoments
  /** This target and one more batch. */
  with(batch: Seen): Target
}

/** All batches alike, none of which is kept. */
export class Everything implements Target {
  readonly samples: number
  readonly #moments: Moments

  constructor({ samples, moments }: Seen) {
    this.samples = samples
    this.#moments = moments
  }

  moments(): ChannelMoments {
    return this.#moments.total()
  }

  with({ samples, moments }: Seen): Everything {
    return new Everything({ samples: this.samples + samples, moments: union([this.#moments, moments]) })
  }
}

/** The last batches, whose moments are merged anew each time: nothing is ever taken off a sum. */
export class LastBatches implements Target {
  readonly samples: number
  readonly #window: number
  readonly #batches: readonly Seen[]

  constructor(window: number, batches: readonly Seen[]) {
    this.samples = batches.reduce((sum, { samples }) => sum + samples, 0)
    this.#window = window
    this.#batches = batches
  }

  moments(): ChannelMoments {
    return union(this.#batches.map(({ moments }) => moments)).total()
  }

  with(batch: Seen): LastBatches {
    return new LastBatches(this.#window, [...this.#batches, batch].slice(-this.#window))
  }
}

/**
 * All batches, whose samples and values weigh `decay` to the power of how many batches came after. The variance is made
 * unbiased as that of weighted samples is (`lib/modules/methods/weighted.ts`): with the effective number of values,
 * sum(w)^2 / sum(w^2).
 */
export class Fading implements Target {
  readonly samples: number
  readonly #decay: number
  /** With the sum of the weights for a count. */
  readonly #moments: ChannelMoments
  /** The sum of the squares of the weights. */
  readonly #squares: number

  constructor(decay: number, samples: number, moments: ChannelMoments, squares = moments.count) {
    this.samples = samples
    this.#decay = decay
    this.#moments = moments
    this.#squares = squares
  }

  moments(): ChannelMoments {
    const { count, m2 } = this.#moments
    const effective = (count * count) / this.#squares
    return { ...this.#moments, count: effective, m2: m2.map((sum) => sum * (effective / count)) }
  }

  with({ samples, moments }: Seen): Fading {
    const decay = this.#decay
    const batch = moments.total()
    const { count, mean, m2, meanLow } = this.#moments
    const faded = {
      count: decay * count,
      mean: mean.slice(),
      m2: m2.map((sum) => decay * sum),
      ...(meanLow && { meanLow: meanLow.slice() }),
    }
    const squares = decay * decay * this.#squares + batch.count
    return new Fading(decay, decay * this.samples + samples, merged(faded, batch), squares)
  }
}

function union(parts: readonly Moments[]): Moments {
  const whole = new Moments(parts[0].channels)
  for (const part of parts) whole.merge(part)
  return whole
}
