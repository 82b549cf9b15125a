import { assertAgreeing } from '../checks/contradictions.ts'
import { boolean } from '../checks/scalars.ts'
import type { Settings } from './options.ts'

/**
 * Which statistics normalize, whether the running ones move, and whether scale and shift are trained:
 * three switches, each on its own. `null` follows the mode, as PyTorch does.
 */
export class Switches {
  readonly #settings: Settings
  #useBatchStats: boolean | null = null
  #updateStats: boolean | null = null
  #trainAffine = true
  #frozen = false

  /** @throws TypeError for what is not a switch, and for one that another option excludes */
  constructor(settings: Settings) {
    this.#settings = settings
    this.useBatchStats = settings.useBatchStats
    this.updateStats = settings.updateStats
    this.trainAffine = settings.trainAffine
  }

  get frozen(): boolean {
    return this.#frozen
  }

  set frozen(frozen: boolean) {
    this.#assertAgreeing({ frozen })
    this.#frozen = frozen
  }

  get useBatchStats(): boolean | null {
    return this.#frozen ? false : this.#useBatchStats
  }

  set useBatchStats(use: boolean | null) {
    this.#assertNotFrozen('useBatchStats')
    if (use !== null) boolean('useBatchStats', use)
    this.#assertAgreeing({ useBatchStats: use })
    this.#useBatchStats = use
  }

  get updateStats(): boolean | null {
    return this.#frozen ? false : this.#updateStats
  }

  set updateStats(update: boolean | null) {
    this.#assertNotFrozen('updateStats')
    if (update !== null) boolean('updateStats', update)
    this.#assertAgreeing({ updateStats: update })
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
    return this.useBatchStats ?? (training || !this.#settings.trackRunningStats)
  }

  /** Whether a forward in this mode moves the running statistics. */
  updatesRunning(training: boolean): boolean {
    return this.#settings.trackRunningStats && (this.updateStats ?? training)
  }

  /** @throws TypeError for what an option of the module excludes */
  #assertAgreeing(wanted: Parameters<typeof assertAgreeing>[0]): void {
    const { trackRunningStats, virtualBatchSize, renorm } = this.#settings
    assertAgreeing({ trackRunningStats, virtualBatchSize, renorm, ...wanted })
  }

  #assertNotFrozen(name: string): void {
    if (!this.#frozen) return
    throw new TypeError(
      `Expected ${name} to be set on a module that is not frozen but received it after freeze() (call unfreeze() first)`,
    )
  }
}
