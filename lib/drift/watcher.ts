/** What a watch does with one batch norm. */
import type { ChannelMoments } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { emptyMoments } from '../backend/moments.ts'
import type { FloatTensorLike } from '../checks/tensors.ts'
import { inputOf } from '../functional/arguments.ts'
import { statisticsFit } from '../functional/non-finite.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import type { ForwardOptions } from '../modules/forward.ts'
import { internals } from '../modules/internals.ts'
import { seenOf } from '../moments/seen.ts'
import { type ChannelDrift, driftOf, type Reference, type Thresholds } from './drift.ts'

/** What a watch knows of one batch norm. */
export interface ModuleDrift {
  /** Its name in the record that was given, or `'0'`, `'1'` ... */
  readonly name: string
  /** C, the number of channels. */
  readonly channels: number
  /** Forwards in eval since the watch began. */
  readonly calls: number
  /** Of those, the ones whose inputs were summed. */
  readonly observedCalls: number
  /** Of those, the ones whose inputs had NaN or Infinity; they are left out. */
  readonly nonFiniteCalls: number
  /** How many samples `drift` is of: of the last one to two windows. */
  readonly samples: number
  /** `null` before there is any sample. */
  readonly drift: ChannelDrift | null
  /** Whether a channel had drifted when the last window ended. */
  readonly hasDrifted: boolean
}

/** The events of a watch: a batch norm has begun to drift, or has ended. */
export type WatchEvent = 'drift' | 'recovery'

export const watchEvents: readonly WatchEvent[] = ['drift', 'recovery']

/** The options of a watch. */
export interface WatchSettings {
  readonly every: number
  readonly window: number
  readonly thresholds: Thresholds
}

type Tell = (event: WatchEvent, drift: ModuleDrift) => void

/** Observes some of the forwards of a batch norm, and decides at the end of each window whether it has drifted. */
export class Watcher {
  readonly #name: string
  readonly #module: AnyBatchNorm
  readonly #settings: WatchSettings
  readonly #tell: Tell
  #stop: (() => void) | null = null
  #reference: Reference
  /** Of the window that is being filled, and of the one before it. */
  #current: Seen
  #previous: Seen
  #hasDrifted = false
  #calls = 0
  #observedCalls = 0
  #nonFiniteCalls = 0
  /** How many calls pass before the next that is observed. */
  #pause = 0
  /** Where the moments of one call go. */
  readonly #room: ChannelMoments
  /** Of the generator of pauses. */
  #random = 1

  constructor(name: string, module: AnyBatchNorm, settings: WatchSettings, tell: Tell) {
    this.#name = name
    this.#module = module
    this.#settings = settings
    this.#tell = tell
    this.#room = emptyMoments(module.numFeatures)
    this.#reference = referenceOf(module)
    this.#current = nothingSeen(module)
    this.#previous = nothingSeen(module)
  }

  start(): void {
    this.#stop = this.#module[internals].listen((input, options) => this.#take(input, options))
  }

  stop(): void {
    this.#stop?.()
    this.#stop = null
  }

  reset(): void {
    this.#reference = referenceOf(this.#module)
    this.#current = nothingSeen(this.#module)
    this.#previous = nothingSeen(this.#module)
    this.#hasDrifted = false
  }

  report(): ModuleDrift {
    const moments = emptyMoments(this.#module.numFeatures)
    for (const part of [this.#previous, this.#current]) currentBackend().merge(moments, part.moments)
    const samples = this.#previous.samples + this.#current.samples
    return {
      name: this.#name,
      channels: this.#module.numFeatures,
      calls: this.#calls,
      observedCalls: this.#observedCalls,
      nonFiniteCalls: this.#nonFiniteCalls,
      samples,
      drift: samples === 0 ? null : driftOf(moments, samples, this.#reference, this.#settings.thresholds),
      hasDrifted: this.#hasDrifted,
    }
  }

  /** Every forward calls it, so that most are only counted. */
  #take(input: FloatTensorLike, options: ForwardOptions): (() => void) | undefined {
    const module = this.#module
    if (module.normalizesWithBatch || module.movesRunningStats) return undefined
    this.#calls++
    if (this.#pause > 0) {
      this.#pause--
      return undefined
    }
    this.#pause = this.#nextPause()
    return () => this.#observe(input, options)
  }

  #observe(input: FloatTensorLike, options: ForwardOptions): void {
    this.#observedCalls++
    const { samples, moments } = this.#momentsOf(input, options)
    if (moments.count === 0) return
    if (!statisticsFit(moments, null)) {
      this.#nonFiniteCalls++
      return
    }
    const current = this.#current
    currentBackend().merge(current.moments, moments)
    current.samples += samples
    if (current.samples >= this.#settings.window) this.#endWindow()
  }

  /** Where all values count without the detour over `Moments`, which costs a small call ten times what its sums do. */
  #momentsOf(input: FloatTensorLike, { mask, lengths }: ForwardOptions): Seen {
    const { numFeatures, layout } = this.#module
    if (mask !== undefined || lengths !== undefined) {
      const { samples, moments } = seenOf(this.#module, input, { mask, lengths })
      return { samples, moments: moments.count === 0 ? emptyMoments(numFeatures) : moments.total() }
    }
    const { x, shape, extent } = inputOf('input', input, layout, numFeatures)
    if (x.length === 0) return { samples: 0, moments: emptyMoments(numFeatures) }
    currentBackend().statistics(x, extent, this.#room)
    return { samples: shape[0], moments: this.#room }
  }

  #endWindow(): void {
    const { moments, samples } = this.#current
    const { drifted } = driftOf(moments, samples, this.#reference, this.#settings.thresholds)
    const had = this.#hasDrifted
    this.#hasDrifted = drifted.length > 0
    if (this.#hasDrifted !== had) this.#tell(this.#hasDrifted ? 'drift' : 'recovery', this.report())
    this.#previous = this.#current
    this.#current = nothingSeen(this.#module)
  }

  /** From 0 to 2 (every - 1), `every - 1` in the mean: calls that come in a period are not always the same one. */
  #nextPause(): number {
    const { every } = this.#settings
    // Lehmer's generator, 48271 modulo 2^31 - 1.
    this.#random = (this.#random * 48271) % 2147483647
    return this.#random % (2 * every - 1)
  }
}

interface Seen {
  readonly moments: ChannelMoments
  samples: number
}

function nothingSeen({ numFeatures }: AnyBatchNorm): Seen {
  return { moments: emptyMoments(numFeatures), samples: 0 }
}

function referenceOf({ runningMean, runningVar, eps }: AnyBatchNorm): Reference {
  return {
    mean: Float64Array.from(runningMean?.data ?? []),
    variance: Float64Array.from(runningVar?.data ?? []),
    eps,
  }
}
