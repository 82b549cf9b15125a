import type { ChannelMoments } from '../backend/backend.ts'
import { singleValueError } from '../checks/errors.ts'
import { checkFit } from '../functional/non-finite.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { internals } from '../modules/internals.ts'
import { RunningStats } from '../modules/running-stats.ts'
import type { Moments } from './moments.ts'
import { noValuesError } from './network-call.ts'
import { Observer } from './observer.ts'

/** Makes the running statistics the average of those of the batches, as training with momentum null does. */
export class Average extends Observer {
  readonly #running: RunningStats | null
  /** In float64, so that the number of batches costs no digits. */
  readonly #average: RunningStats
  /** Of each batch what is here, where other ranks have the rest. */
  readonly #parts: Moments[] = []
  /** Of a batch whose statistics do not fit, if there was one. */
  #unfit: ChannelMoments | null = null

  /** @throws TypeError for a module that does not know its channels */
  constructor(module: AnyBatchNorm) {
    super(module, 'averaged')
    this.#running = module[internals].runningStats()
    this.#average = new RunningStats(module.numFeatures, 'float64', module.storedVariance, false)
  }

  /** Adds the batches of which other ranks have parts, which every rank has as many of. */
  async gather(): Promise<void> {
    const synchronization = this.module[internals].synchronization()
    if (synchronization === null) return
    for (const batch of this.#parts) this.#take(await batch.allReduceAsync(synchronization.collective))
  }

  /** @throws RangeError for no batch that counts */
  result(): () => void {
    const [running, average] = [this.#running, this.#average]
    if (average.batches === 0) throw noValuesError(this.module)
    running?.assertWritable()
    return () => {
      if (this.#unfit !== null) running?.warnOf(this.#unfit)
      running?.set(average.buffers, average.batches)
    }
  }

  protected add(batch: Moments): void {
    if (this.module[internals].synchronization() === null) this.#take(batch)
    else this.#parts.push(batch)
  }

  #take(batch: Moments): void {
    const { singleValue, nonFinite, dtype } = this.module
    if (batch.count === 0) return
    if (batch.count === 1) {
      if (singleValue === 'running') return
      throw singleValueError([1, batch.channels], 'a last batch of 1? Drop it')
    }
    const total = batch.total()
    const fits = checkFit(total, this.#running, dtype, nonFinite)
    if (!fits) this.#unfit = total
    this.#average.move(total, null, nonFinite, fits)
  }
}
