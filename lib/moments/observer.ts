import { assertWritable } from '../in-flight.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../modules/batch-norm.ts'
import type { ForwardOptions } from '../modules/forward.ts'
import { nonFiniteError, OverflowWarning, statisticsFit } from '../non-finite.ts'
import type { FloatTensorLike } from '../validate.ts'
import { Moments } from './moments.ts'

/** Modules between `start` and `stop`. */
const observed = new WeakSet<AnyBatchNorm>()

/** Records the moments of a module's inputs, and makes running statistics of them. */
export class Observer {
  readonly #module: AnyBatchNorm
  readonly #moments: Moments
  /** How many inputs were recorded. */
  #batches = 0
  /** Undoes `start`. */
  #undo: (() => void)[] = []

  /** @throws TypeError for what is no batch norm, has no running statistics, is frozen, or does not know its channels */
  constructor(module: AnyBatchNorm) {
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
    this.#moments = new Moments(module.numFeatures, { layout: module.layout })
  }

  record(input: FloatTensorLike): void {
    const batch = new Moments(this.#moments.channels, { layout: this.#moments.layout }).update(input)
    if (batch.count === 0) return
    if (this.#module.nonFinite === 'skip' && !statisticsFit(batch.total(), false, this.#module.dtype)) return
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
    if (observed.has(module)) {
      throw new TypeError(
        `Expected one recalibrate() of ${module} at a time but received a second (await the first)`,
      )
    }
    observed.add(module)
    const { training, useBatchStats, updateStats } = module
    this.#undo.push(() => {
      observed.delete(module)
      Object.assign(module.train(training), { useBatchStats, updateStats })
    })
    // What cuts or corrects the statistics of a batch does so in training alone.
    Object.assign(module.eval(), { useBatchStats: true, updateStats: false })
    // Methods of this one object, in front of those of its class: other modules and the plain path know nothing.
    const { forward, forwardAsync } = module
    this.#replace('forward', (input, options) => {
      this.#recordCall(input, options)
      return Reflect.apply(forward, module, [input, options])
    })
    this.#replace('forwardAsync', async (input, options) => {
      this.#recordCall(input, options)
      return Reflect.apply(forwardAsync, module, [input, options])
    })
  }

  stop(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  /**
   * Checks what was recorded, and returns what makes it the running statistics.
   *
   * @throws RangeError for no values, for one a channel, and for statistics that do not fit
   */
  result(): () => void {
    const { runningMean, runningVar, numBatchesTracked, nonFinite, dtype } = this.#module
    if (this.#moments.count === 0) {
      throw new RangeError(
        `Expected batches with values for ${this.#module} but received none (is the iterable used up, or does run not call its forward?)`,
      )
    }
    const total = this.#moments.total()
    const variance = this.#moments.variance({ unbiased: true })
    const fits = statisticsFit(total, true, dtype)
    if (!fits && nonFinite !== 'propagate') throw nonFiniteError(total, dtype)
    if (runningMean) assertWritable('runningMean', runningMean.data)
    if (runningVar) assertWritable('runningVar', runningVar.data)
    return () => {
      if (!fits) new OverflowWarning().give(total, dtype)
      runningMean?.data.set(total.mean)
      runningVar?.data.set(variance)
      numBatchesTracked?.data.set([BigInt(this.#batches)])
    }
  }

  /** Records before the call, which may write over its input. */
  #recordCall(input: FloatTensorLike, { mask, lengths, weights }: ForwardOptions = {}): void {
    if (mask !== undefined || lengths !== undefined || weights !== undefined) {
      throw new TypeError(
        `Expected forward(input) of ${this.#module} without mask, lengths and weights while it is recalibrated, where ` +
          'all values count alike, but received one of them (recalibrate it with the values that count)',
      )
    }
    this.record(input)
  }

  #replace<Name extends 'forward' | 'forwardAsync'>(name: Name, method: AnyBatchNorm[Name]): void {
    const module = this.#module
    const own = Object.getOwnPropertyDescriptor(module, name)
    Object.defineProperty(module, name, { configurable: true, writable: true, value: method })
    this.#undo.push(() => {
      if (own) Object.defineProperty(module, name, own)
      else Reflect.deleteProperty(module, name)
    })
  }
}
