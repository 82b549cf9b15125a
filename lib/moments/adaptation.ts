import type { Adapted } from './adapted.ts'
import { claimAll } from './claim.ts'
import type { Source } from './source.ts'

/**
 * What `adapt` did, to be undone: by `undo`, or at the end of the block of `using adaptation = await adapt(...)`.
 */
export class Adaptation {
  readonly #sources: readonly Source[]

  /** @internal */
  constructor(sources: readonly Source[]) {
    this.#sources = sources
    for (const source of sources) source.keep()
  }

  /**
   * Makes the running statistics those of the source again, to the bit, whatever has moved them since. A module that
   * another `undo` has done that for is left alone.
   *
   * @throws TypeError while another call has one of the modules for itself, or an asynchronous one uses them. After an
   * error nothing has changed.
   */
  undo(): void {
    const sources = this.#sources.filter((source) => source.isInForce)
    const release = claimAll(
      sources.map(({ module }) => module),
      'undo()',
    )
    try {
      for (const source of sources) source.assertWritable()
      for (const source of sources) source.end()
    } finally {
      release()
    }
  }

  /** `undo()` */
  [Symbol.dispose](): void {
    this.undo()
  }
}

/** An adaptation that goes on with every input, until it is undone. */
export class StreamAdaptation extends Adaptation {
  readonly #modules: readonly Adapted[]
  /** Gives the modules back; `null`: that is done. */
  #release: (() => void) | null

  /** @internal */
  constructor(modules: readonly Adapted[], release: () => void) {
    super(modules.map(({ source }) => source))
    this.#modules = modules
    this.#release = release
    for (const module of modules) {
      module.reset()
      module.listen()
    }
  }

  /**
   * Forgets the target: the running statistics are the source's, until the next input.
   *
   * @throws TypeError after `undo`, and while an asynchronous call uses the running statistics. After an error nothing
   * has changed.
   */
  reset(): void {
    if (this.#release === null) {
      throw new TypeError('Expected reset() before undo() but received it after (call withAdaptation() anew)')
    }
    this.#assertWritable()
    for (const module of this.#modules) module.reset()
  }

  /** Ends it: inputs are not taken any more, and the running statistics are those of the source again, to the bit. */
  override undo(): void {
    if (this.#release === null) return
    this.#assertWritable()
    for (const module of this.#modules) module.stop()
    this.#release()
    this.#release = null
    super.undo()
  }

  #assertWritable(): void {
    for (const { source } of this.#modules) source.assertWritable()
  }
}
