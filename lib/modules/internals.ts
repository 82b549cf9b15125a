import type { FloatTensorLike } from '../checks/tensors.ts'
import type { BackwardOptions, StartedBackward } from './backward.ts'
import type { Channels } from './channels.ts'
import type { ForwardOptions } from './forward.ts'
import type { Synchronization } from './methods/choose.ts'
import type { Pass } from './pass.ts'
import type { RunningStats } from './running-stats.ts'

/** Where a module has its `Internals`; by it other copies of this library know a batch norm. */
export const internals: unique symbol = Symbol.for('batchnorm.BatchNorm')

/** By what a batch norm of several domains is known, which is none itself. */
export const domainModule: unique symbol = Symbol.for('batchnorm.DomainBatchNorm')

/**
 * What is given each input of a module's forward, before anything else. A function that it returns is called once the
 * arguments have been found good, before the running statistics are read.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a listener that has nothing more to do returns nothing
export type InputListener = (input: FloatTensorLike, options: ForwardOptions) => void | (() => void)

/** What a module has for the rest of the library, and for nobody else. */
export interface Internals {
  /** How many axes the largest input has that the module takes. */
  rank(): 3 | 4 | 5
  /** The running statistics, for what moves them without a forward; `null`: it has none. */
  runningStats(): RunningStats | null
  /** With whose batches a batch is normalized; `null`: by itself. */
  synchronization(): Synchronization | null
  /** Has the module tell of the inputs of `forward` and `forwardAsync`, until the function that is returned is called. */
  listen(listener: InputListener): () => void
  /** Everything that has a value for each channel, and the last forward. */
  channels(): Channels
  /** Gives the module scale and shift of another of the same settings, before its first forward. */
  shareParameters(owner: Channels): void
  /** A forward before its arithmetic, for what does those of several modules as one; see `endForward`. */
  startForward(call: string, input: FloatTensorLike, options: ForwardOptions, isFirst: boolean): Pass
  /** A backward before its arithmetic; see `endBackward`. */
  startBackward(gradOutput: FloatTensorLike, options: BackwardOptions): StartedBackward
  /** Keeps other calls of the module out until `work` is done, but for those that only read where it does. */
  whileBusy<Result>(work: () => Promise<Result>, onlyReads: boolean): Promise<Result>
}
