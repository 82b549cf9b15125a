import { contradiction } from '../errors.ts'
import { boolean } from '../validate.ts'
import type { Settings } from './options.ts'

/**
 * Which statistics normalize, whether the running ones move, and whether scale and shift are trained:
 * three switches, each on its own. `null` follows the mode, as PyTorch does.
 */
export class Switches {
  readonly #tracks: boolean
  #useBatchStats: boolean | null = null
  #updateStats: boolean | null = null
  #trainAffine = true
  #frozen = false

  /** @throws TypeError for what is not a switch, and for one that needs running statistics where there are none */
  constructor({ trackRunningStats, useBatchStats, updateStats, trainAffine }: Settings) {
    this.#tracks = trackRunningStats
    this.useBatchStats = useBatchStats
    this.updateStats = updateStats
    this.trainAffine = trainAffine
  }

  get frozen(): boolean {
    return this.#frozen
  }

  set frozen(frozen: boolean) {
    if (frozen && !this.#tracks) throw contradiction('trackRunningStats: false', 'freeze()')
    this.#frozen = frozen
  }

  get useBatchStats(): boolean | null {
    return this.#frozen ? false : this.#useBatchStats
  }

  set useBatchStats(use: boolean | null) {
    this.#assertNotFrozen('useBatchStats')
    if (use !== null) boolean('useBatchStats', use)
    if (use === false && !this.#tracks)
      throw contradiction('trackRunningStats: false', 'useBatchStats: false')
    this.#useBatchStats = use
  }

  get updateStats(): boolean | null {
    return this.#frozen ? false : this.#updateStats
  }

  set updateStats(update: boolean | null) {
    this.#assertNotFrozen('updateStats')
    if (update !== null) boolean('updateStats', update)
    if (update === true && !this.#tracks) throw contradiction('trackRunningStats: false', 'updateStats: true')
    this.#updateStats = update
  }

  get trainAffine(): boolean {
    return !this.#frozen && this.#trainAffine
  }

  /** The three as they are set, frozen or not. */
  get settings(): Pick<Settings, 'useBatchStats' | 'updateStats' | 'trainAffine'> {
    return {
      useBatchStats: this.#useBatchStats,
      updateStats: this.#updateStats,
      trainAffine: this.#trainAffine,
    }
  }

  set trainAffine(train: boolean) {
    this.#assertNotFrozen('trainAffine')
    this.#trainAffine = boolean('trainAffine', train)
  }

  /** Whether a forward in this mode normalizes with the batch's statistics. */
  normalizesWithBatch(training: boolean): boolean {
    return this.useBatchStats ?? (training || !this.#tracks)
  }

  /** Whether a forward in this mode moves the running statistics. */
  movesRunning(training: boolean): boolean {
    return this.#tracks && (this.updateStats ?? training)
  }

  #assertNotFrozen(name: string): void {
    if (!this.#frozen) return
    throw new TypeError(
      `Expected ${name} to be set on a module that is not frozen but received it after freeze() (call unfreeze() first)`,
    )
  }
}
