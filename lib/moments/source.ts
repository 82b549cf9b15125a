import type { ChannelMoments, Running } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { shared } from '../checks/copies.ts'
import type { Taking } from '../functional/non-finite.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { internals } from '../modules/internals.ts'
import type { RunningStats } from '../modules/running-stats.ts'

/** Of each module that is adapted. */
const sources = shared('sources', () => new WeakMap<AnyBatchNorm, Source>())

/** The running statistics that a module had before it was adapted, kept aside, while others are in their place. */
export class Source {
  readonly module: AnyBatchNorm
  readonly #running: RunningStats
  readonly #kept: Running
  /** What was put in their place last. */
  #inPlace: Running

  /**
   * That of a module, which is the same from its first adaptation until it is undone. Running statistics that something
   * else has changed since are a new source.
   */
  static of(module: AnyBatchNorm): Source {
    const source = sources.get(module)
    return source?.isUntouched ? source : new Source(module)
  }

  private constructor(module: AnyBatchNorm) {
    this.module = module
    this.#running = module[internals].runningStats() as RunningStats
    this.#kept = copyOf(this.#running.buffers)
    this.#inPlace = this.#kept
  }

  /** Remembers that the module is adapted. */
  keep(): void {
    sources.set(this.module, this)
  }

  /** What blended statistics have to fit. */
  get taking(): Taking {
    return this.#running
  }

  /** Whether the module is adapted, from this source. */
  get isInForce(): boolean {
    return sources.get(this.module) === this
  }

  /** Whether the running statistics are to the bit what was put there last. */
  get isUntouched(): boolean {
    const { mean, variance } = this.#running.buffers
    return areSame(mean, this.#inPlace.mean) && areSame(variance, this.#inPlace.variance)
  }

  /**
   * Puts `(1 - share) * source + share * target` in place.
   *
   * @throws TypeError while an asynchronous call uses the running statistics
   */
  blend(target: ChannelMoments, share: number): void {
    this.assertWritable()
    // The source alone, to the bit; the target alone, whatever the source holds.
    const { mean, variance } = this.#kept
    const blended =
      share < 1 ? copyOf(this.#kept) : { ...this.#kept, mean: zeros(mean), variance: zeros(variance) }
    if (share > 0) currentBackend().updateRunning(blended, target, share)
    this.#put(blended)
  }

  /** Puts the source in place. */
  restore(): void {
    this.#put(this.#kept)
  }

  /** Ends the adaptation. */
  end(): void {
    this.restore()
    sources.delete(this.module)
  }

  /** @throws TypeError while an asynchronous call uses the running statistics */
  assertWritable(): void {
    this.#running.assertWritable()
  }

  /** What is in place now: the function that is returned puts it there again. */
  saved(): () => void {
    const inPlace = copyOf(this.#running.buffers)
    return () => this.#put(inPlace)
  }

  #put(statistics: Running): void {
    const { mean, variance } = this.#running.buffers
    // What was transferred has no elements.
    if (mean.length === statistics.mean.length) mean.set(statistics.mean)
    if (variance.length === statistics.variance.length) variance.set(statistics.variance)
    this.#inPlace = statistics
  }
}

function copyOf({ mean, variance, correction }: Running): Running {
  return { mean: mean.slice(), variance: variance.slice(), correction }
}

function zeros(array: Running['mean']): Running['mean'] {
  return array.slice().fill(0)
}

function areSame(one: Running['mean'], other: Running['mean']): boolean {
  return one.every((value, channel) => Object.is(value, other[channel]))
}
