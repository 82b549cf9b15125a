import { EventEmitter } from 'node:events'
import process from 'node:process'
import { invalidType, invalidValue } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { fraction, nonNegative, oneOf, positiveInteger } from '../checks/scalars.ts'
import { type AnyBatchNorm, assertBatchNorm, insteadOfDomains, isBatchNorm } from '../modules/batch-norm.ts'
import { assertTracking } from '../moments/network-call.ts'
import { prometheusText } from './prometheus.ts'
import { type ModuleDrift, type WatchEvent, Watcher, type WatchSettings, watchEvents } from './watcher.ts'

/** Options of `watch`. */
export interface WatchOptions {
  /**
   * How many forwards share one that is observed, in the mean: 1 observes each. The sums of one forward cost about as
   * much as the forward itself. Default 32.
   */
  every?: number
  /** How many observed samples decide; older ones than twice as many are forgotten. Default 1024. */
  window?: number
  /** From what shift of a mean on, in running standard deviations, a channel has drifted. Default 0.25. */
  meanShift?: number
  /** From what ratio of variances on, either way round, a channel has drifted; at least 1. Default 1.5. */
  varianceRatio?: number
  /** How probable it is that chance alone makes any channel of a batch norm drift in a window. Default 1e-3. */
  falseAlarms?: number
}

const names = optionNames<WatchOptions>({
  every: true,
  window: true,
  meanShift: true,
  varianceRatio: true,
  falseAlarms: true,
})

/** Several batch norms, in an order or by name. */
export type Watched = AnyBatchNorm | readonly AnyBatchNorm[] | Readonly<Record<string, AnyBatchNorm>>

/**
 * Compares what comes into batch norms in eval with the running statistics that they normalize with: the inputs of a model
 * in service with those of its training, before any label shows it.
 *
 * ```ts
 * const watching = watch({ bn1, bn2 })
 * watching.on('drift', ({ name, drift }) => console.warn(name, drift?.drifted))
 * server.get('/metrics', () => watching.toPrometheus())
 * ```
 *
 * Of the forwards that normalize with the running statistics one in `every` is observed, at intervals that no period of
 * the traffic meets: its moments are summed as `Moments` sums them, of float64, float32 and halves, of what `mask` and
 * `lengths` let count. Outputs keep their bits, other forwards are left alone. At the end of a window of samples the drift
 * is decided, see `ChannelDrift`, and events are emitted when that changes, after the forward has returned.
 *
 * The running statistics are those of when the watch began; `reset()` takes those of now, as after `recalibrate` or a new
 * checkpoint.
 *
 * @param modules - batch norms with running statistics: one, an array, or a record of their names
 * @throws TypeError for what is none, or has no running statistics, or does not know its channels; TypeError or RangeError
 * for an option that is not valid
 */
export function watch(modules: Watched, options: WatchOptions = {}): Watch {
  const { every = 32, window = 1024, ...given } = optionsObject(options, names)
  const { meanShift = 0.25, varianceRatio = 1.5, falseAlarms = 1e-3 } = given
  positiveInteger('every', every)
  positiveInteger('window', window)
  nonNegative('meanShift', meanShift)
  if (nonNegative('varianceRatio', varianceRatio) < 1) {
    throw invalidValue('varianceRatio', 'at least 1', varianceRatio, 'it stands for its inverse too')
  }
  if (fraction('falseAlarms', falseAlarms) === 0) {
    throw invalidValue('falseAlarms', 'above 0', falseAlarms, 'without any nothing could be told from chance')
  }
  const thresholds = { meanShift, varianceRatio, falseAlarms }
  return new Watch(namedModules(modules), { every, window, thresholds })
}

/** What `watch` returns: the drift as data, as metrics and as events. */
export class Watch {
  readonly #watchers: readonly Watcher[]
  // Not a base class: declarations would need those of Node.
  readonly #events = new EventEmitter()

  /** @internal */
  constructor(modules: readonly (readonly [name: string, module: AnyBatchNorm])[], settings: WatchSettings) {
    this.#watchers = modules.map(
      ([name, module]) =>
        new Watcher(name, module, settings, (event, drift) => this.#emitLater(event, drift)),
    )
    for (const watcher of this.#watchers) watcher.start()
  }

  /**
   * Calls a listener with what is known of the batch norm: at `'drift'`, when a window ends in which a channel had
   * drifted and none had in the one before, and at `'recovery'`, when none has any more.
   *
   * @throws TypeError or RangeError for another event, and for what is no function
   */
  on(event: WatchEvent, listener: (drift: ModuleDrift) => void): this {
    oneOf('event', event, watchEvents)
    if (typeof listener !== 'function') throw invalidType('listener', 'a function', listener)
    this.#events.on(event, listener)
    return this
  }

  /** Ends what `on` began. */
  off(event: WatchEvent, listener: (drift: ModuleDrift) => void): this {
    this.#events.off(oneOf('event', event, watchEvents), listener)
    return this
  }

  /** What is known now, of each batch norm. */
  report(): ModuleDrift[] {
    return this.#watchers.map((watcher) => watcher.report())
  }

  /** `report()` as text that Prometheus scrapes, with the label `module`. */
  toPrometheus(): string {
    return prometheusText(this.report())
  }

  /** Forgets what was seen, and compares with the running statistics as they are now. Counts of calls go on. */
  reset(): void {
    for (const watcher of this.#watchers) watcher.reset()
  }

  /** Ends the watch; what was seen can still be read. */
  stop(): void {
    for (const watcher of this.#watchers) watcher.stop()
  }

  /** `stop()`: for `using`. */
  [Symbol.dispose](): void {
    this.stop()
  }

  /** Not within the forward, which an error of a listener would end. */
  #emitLater(event: WatchEvent, drift: ModuleDrift): void {
    process.nextTick(() => this.#events.emit(event, drift))
  }
}

function namedModules(modules: Watched): [name: string, module: AnyBatchNorm][] {
  if (typeof modules !== 'object' || modules === null || insteadOfDomains(modules)) throw noModules(modules)
  const named = isBatchNorm(modules) ? { 0: modules } : modules
  const entries = Object.entries(named as Readonly<Record<string, AnyBatchNorm>>)
  if (entries.length === 0) throw noModules(modules)
  for (const [name, module] of entries) {
    assertBatchNorm(`modules.${name}`, module)
    assertTracking(module, 'there is nothing to compare with')
  }
  return entries
}

function noModules(modules: unknown): TypeError {
  const expected = 'a batch norm, an array of them, or a record of their names'
  return invalidType('modules', expected, modules, insteadOfDomains(modules))
}
