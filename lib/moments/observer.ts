import type { FloatTensorLike } from '../checks/tensors.ts'
import type { Collective } from '../distributed/collective.ts'
import { nonFiniteError, statisticsFit } from '../functional/non-finite.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'
import type { ForwardOptions } from '../modules/forward.ts'
import { internals } from '../modules/internals.ts'
import type { RunningStats } from '../modules/running-stats.ts'
import { claim } from './claim.ts'
import { Moments } from './moments.ts'

/** Records the moments of a module's inputs, and makes running statistics of them. */
export class Observer {
  readonly #module: AnyBatchNorm
  readonly #moments: Moments
  /** Whose batches are recorded; `null`: those here are all. */
  readonly #collective: Collective | null
  /** How many inputs were recorded. */
  #batches = 0
  /** Undoes `start`. */
  #undo: (() => void) | null = null

  /** @throws TypeError for what is no batch norm, has no running statistics, is frozen, or does not know its channels */
  constructor(module: AnyBatchNorm, collective?: Collective) {
    assertBatchNorm('each of modules', module)
    if (module.runningMean === null) {
      throw new TypeError(
        `Expected ${module} to have running statistics but received trackRunningStats: false (there is nothing to recalibrate)`,
      )
    }
    if (module.frozen) {
      throw new TypeError(
        `Expected ${module} to let its running statistics move but received it frozen (call unfreeze() first)`,
      )
    }
    this.#module = module
    this.#collective = collective ?? module[internals].synchronization()?.collective ?? null
    this.#moments = new Moments(module.numFeatures, { layout: module.layout })
  }

  record(input: FloatTensorLike): void {
    const batch = new Moments(this.#moments.channels, { layout: this.#moments.layout }).update(input)
    if (batch.count === 0) return
    if (this.#module.nonFinite === 'skip' && !statisticsFit(batch.total(), null)) return
    this.#moments.merge(batch)
    this.#batches++
  }

  /**
   * Until `stop`, the module normalizes with the statistics of its whole batch, leaves the running ones
   * alone, and what its `forward` and `forwardAsync` are given is recorded.
   *
   * @throws TypeError while another observer does the same
   */
  start(): void {
    const module = this.#module
    const release = claim(module, 'recalibrate()')
    const { training, useBatchStats, updateStats } = module
    const endListening = module[internals].listen((input, options) => this.#recordCall(input, options))
    this.#undo = () => {
      endListening()
      release()
      Object.assign(module.train(training), { useBatchStats, updateStats })
    }
    // What cuts or corrects the statistics of a batch does so in training alone.
    Object.assign(module.eval(), { useBatchStats: true, updateStats: false })
  }

  stop(): void {
    this.#undo?.()
    this.#undo = null
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

  /**
   * Checks what was recorded, and returns what makes it the running statistics.
   *
   * @throws RangeError for no values, for one a channel, and for statistics that do not fit
   */
  result(): () => void {
    const { nonFinite, dtype } = this.#module
    if (this.#moments.count === 0) {
      throw new RangeError(
        `Expected batches with values for ${this.#module} but received none (is the iterable used up, or does run not call its forward?)`,
      )
    }
    const total = this.#moments.total()
    if (total.count === 1) {
      throw new RangeError(
        `Expected more than 1 value a channel for ${this.#module} but received 1 (one value has no variance)`,
      )
    }
    const running = this.#module[internals].runningStats() as RunningStats
    const fits = statisticsFit(total, running)
    if (!fits && nonFinite !== 'propagate') throw nonFiniteError(total, running, dtype)
    running.assertWritable()
    return () => running.set(total, this.#batches, fits)
  }

  /** Records before the call, which may write over its input. */
  #recordCall(input: FloatTensorLike, { mask, lengths, weights }: ForwardOptions): void {
    if (mask !== undefined || lengths !== undefined || weights !== undefined) {
      throw new TypeError(
        `Expected forward(input) of ${this.#module} without mask, lengths and weights while it is recalibrated, where ` +
          'all values count alike, but received one of them (recalibrate it with the values that count)',
      )
    }
    this.record(input)
  }
}
