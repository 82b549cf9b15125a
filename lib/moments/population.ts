import type { Collective } from '../distributed/collective.ts'
import { nonFiniteError, statisticsFit } from '../functional/non-finite.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { internals } from '../modules/internals.ts'
import type { RunningStats } from '../modules/running-stats.ts'
import { Moments } from './moments.ts'
import { assertTracking, noValuesError } from './network-call.ts'
import { Observer } from './observer.ts'

/** Makes the running statistics those of all values of all batches. */
export class Population extends Observer {
  readonly #moments: Moments
  /** Whose batches are recorded; `null`: those here are all. */
  readonly #collective: Collective | null
  /** How many inputs were recorded. */
  #batches = 0

  readonly #assertTurn: () => void

  /** @throws TypeError for a module that has no running statistics, is frozen, or does not know its channels */
  constructor(module: AnyBatchNorm, collective: Collective | undefined, assertTurn: () => void) {
    assertTracking(module, 'there is nothing to recalibrate')
    if (module.frozen) {
      throw new TypeError(
        `Expected ${module} to let its running statistics move but received it frozen (call unfreeze() first)`,
      )
    }
    super(module, 'recalibrated')
    this.#assertTurn = assertTurn
    this.#collective = collective ?? module[internals].synchronization()?.collective ?? null
    this.#moments = new Moments(module.numFeatures, { layout: module.layout })
  }

  /** Adds what was recorded on all the other ranks. */
  async gather(): Promise<void> {
    const collective = this.#collective
    if (collective === null) return
    const batches = Float64Array.of(this.#batches)
    await collective.allReduceSumAsync(batches, 'recalibrate')
    await this.#moments.allReduceAsync(collective)
    this.#batches = batches[0]
  }

  /** @throws RangeError for no values, for one a channel, and for statistics that do not fit */
  result(): () => void {
    const { nonFinite, dtype } = this.module
    if (this.#moments.count === 0) throw noValuesError(this.module)
    const total = this.#moments.total()
    if (total.count === 1) {
      throw new RangeError(
        `Expected more than 1 value a channel for ${this.module} but received 1 (one value has no variance)`,
      )
    }
    const running = this.module[internals].runningStats() as RunningStats
    const variance = total.m2.map((sum) => sum / (total.count - running.correction))
    const fits = statisticsFit(total, running)
    if (!fits && nonFinite !== 'propagate') throw nonFiniteError(total, running, dtype)
    running.assertWritable()
    return () => {
      if (!fits) running.warnOf(total)
      running.set({ mean: total.mean, variance }, this.#batches)
    }
  }

  protected override assertTurn(): void {
    this.#assertTurn()
  }

  protected add(batch: Moments): void {
    if (batch.count === 0) return
    if (this.module.nonFinite === 'skip' && !statisticsFit(batch.total(), null)) return
    this.#moments.merge(batch)
    this.#batches++
  }
}
