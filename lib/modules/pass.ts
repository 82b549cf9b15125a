import type { Extent, Moments, NonFinite, Statistics } from '../backend/backend.ts'
import type { Shape } from '../shape.ts'

const nothing = new Float32Array(0)

/** The settings of a forward, which the module fills in for each. */
interface PassSettings {
  eps: number
  momentum: number
  nonFinite: NonFinite
}

/**
 * One `forward`: what it works on, and what it leaves for `backward`. A module has two and fills the
 * one that is not in use, so that a `forward` that throws leaves the last good one as it was.
 */
export class Pass {
  /** Filled in training; its mean is also the mean of `statistics`. */
  readonly moments: Moments
  readonly statistics: Statistics
  readonly settings: PassSettings = { eps: 0, momentum: 0, nonFinite: 'propagate' }
  /** The caller's array, not a copy. */
  input: Float32Array = nothing
  output: Float32Array = nothing
  shape: Shape = []
  extent: Extent = { outer: 0, channels: 0, inner: 0 }
  /** Whether the statistics are the batch's own, so that the gradient flows through them. */
  fromBatch = false
  /** Whether a result was written over `input`. */
  inputIsGone = false

  constructor(channels: number) {
    const mean = new Float64Array(channels)
    this.moments = { count: 0, mean, m2: new Float64Array(channels) }
    this.statistics = { mean, invstd: new Float64Array(channels) }
  }

  /** Lets go of the caller's arrays. */
  release(): void {
    this.input = nothing
    this.output = nothing
  }
}
