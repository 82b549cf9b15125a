import type { FloatTensorLike } from '../checks/tensors.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import type { ForwardOptions } from '../modules/forward.ts'
import { internals } from '../modules/internals.ts'
import { inEval } from './in-eval.ts'
import { Moments } from './moments.ts'
import type { Recorder } from './network-call.ts'
import { assertAllCount } from './uncounted.ts'

/** Records the moments of a module's inputs, and makes running statistics of them. */
export abstract class Observer implements Recorder {
  protected readonly module: AnyBatchNorm
  readonly #meanwhile: string
  /** Undoes `start`. */
  #undo: (() => void) | null = null

  /** @param meanwhile - what is done with the module: `recalibrated` */
  constructor(module: AnyBatchNorm, meanwhile: string) {
    this.module = module
    this.#meanwhile = meanwhile
  }

  /** Takes the moments of a batch, which may have no values. */
  protected abstract add(batch: Moments): void

  /**
   * Checks what was recorded, and returns what makes it the running statistics.
   *
   * @throws RangeError for no values, and for what does not make running statistics
   */
  abstract result(): () => void

  /** @throws TypeError where a call of the module is out of turn */
  protected assertTurn(): void {}

  record(input: FloatTensorLike): void {
    const { numFeatures, layout } = this.module
    this.add(new Moments(numFeatures, { layout }).update(input))
  }

  /**
   * Until `stop`, the module normalizes with the statistics of its whole batch, leaves the running ones
   * alone, and what its `forward` and `forwardAsync` are given is recorded.
   */
  start(): void {
    const { module } = this
    const endListening = module[internals].listen((input, options) => this.#recordCall(input, options))
    const goBack = inEval(module, { useBatchStats: true, updateStats: false })
    this.#undo = () => {
      endListening()
      goBack()
    }
  }

  stop(): void {
    this.#undo?.()
    this.#undo = null
  }

  /** Records before the call, which may write over its input. */
  #recordCall(input: FloatTensorLike, options: ForwardOptions): void {
    this.assertTurn()
    assertAllCount(this.module, options, this.#meanwhile)
    this.record(input)
  }
}
