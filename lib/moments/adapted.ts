import type { FloatTensorLike } from '../checks/tensors.ts'
import { checkFit } from '../functional/non-finite.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import type { ForwardOptions } from '../modules/forward.ts'
import { internals } from '../modules/internals.ts'
import { inEval } from './in-eval.ts'
import { noValuesError, type Recorder } from './network-call.ts'
import { type Seen, seenOf } from './seen.ts'
import { Source } from './source.ts'
import type { Target } from './target.ts'

/** A module whose running statistics are blended of its own, the source's, and of those of the inputs of a target. */
export class Adapted implements Recorder {
  readonly source: Source
  readonly #module: AnyBatchNorm
  readonly #prior: number
  readonly #begin: (first: Seen) => Target
  #target: Target | null = null
  /** Undoes `start` or `listen`. */
  #stop: (() => void) | null = null

  /**
   * @param module - which the caller has for itself
   * @param prior - how many samples the source counts for
   * @param begin - makes the target of its first batch
   */
  constructor(module: AnyBatchNorm, prior: number, begin: (first: Seen) => Target) {
    this.source = Source.of(module)
    this.#module = module
    this.#prior = prior
    this.#begin = begin
  }

  /** Until `stop`, the module is in eval mode, and each of its inputs is recorded before it is normalized. */
  start(): void {
    const goBack = inEval(this.#module, { useBatchStats: null, updateStats: null })
    this.listen()
    const endListening = this.#stop
    this.#stop = () => {
      endListening?.()
      goBack()
    }
  }

  /** Until `stop`, each input that the running statistics normalize is recorded before. */
  listen(): void {
    this.#stop = this.#module[internals].listen((input, options) => this.#hear(input, options))
  }

  stop(): void {
    this.#stop?.()
    this.#stop = null
  }

  record(input: FloatTensorLike): void {
    this.#take(seenOf(this.#module, input))
  }

  /** Goes on from the source, as before any input. */
  reset(): void {
    this.source.restore()
    this.#target = null
  }

  /** @throws RangeError unless there were inputs that make a variance */
  assertAdapted(): void {
    if (this.#target === null) throw noValuesError(this.#module)
    if (hasVariance(this.#target.moments().count)) return
    throw new RangeError(
      `Expected batches of more than 1 value a channel for ${this.#module} but received 1 (it says nothing of a variance)`,
    )
  }

  #hear(input: FloatTensorLike, options: ForwardOptions): (() => void) | undefined {
    const module = this.#module
    if (module.movesRunningStats) {
      throw new TypeError(
        `Expected forward(input) of ${module} to leave the running statistics alone while they are adapted but received ` +
          'it in training mode (call eval(), or undo() of the adaptation to train on)',
      )
    }
    if (module.normalizesWithBatch) return undefined
    if (options.weights !== undefined) {
      throw new TypeError(
        `Expected forward(input) of ${module} without weights while it is adapted, where all samples count alike, but ` +
          'received them (use mask for what does not count)',
      )
    }
    if (!this.source.isUntouched) {
      throw new TypeError(
        `Expected the running statistics of ${module} to be left alone while they are adapted but received others than ` +
          'were put there (call undo() of the adaptation before they are loaded, reset or set, and adapt anew)',
      )
    }
    return () => this.#take(seenOf(module, input, options))
  }

  /** Leaves out what would spoil the statistics, unless `nonFinite: 'throw'` names it. */
  #take(batch: Seen): void {
    if (batch.moments.count === 0) return
    const target = this.#target?.with(batch) ?? this.#begin(batch)
    const moments = target.moments()
    const varies = hasVariance(moments.count)
    const { dtype, nonFinite } = this.#module
    if (!checkFit(moments, varies ? this.source.taking : null, dtype, nonFinite)) return
    if (varies) this.source.blend(moments, target.samples / (this.#prior + target.samples))
    this.#target = target
  }
}

/** An effective number that float32 cannot tell from 1 leaves no digits of n - 1. */
function hasVariance(count: number): boolean {
  return Math.fround(count) > 1
}
