import type { NonFinite } from '../backend/backend.ts'
import { type Layout, layouts } from '../shape.ts'
import { boolean, fraction, nonNegative, oneOf, optionsObject } from '../validate.ts'

export type SingleValue = 'throw' | 'running'

export interface BatchNormOptions {
  /** Added to the variance before its square root. Default 1e-5. */
  eps?: number
  /**
   * The weight of the *new* statistic: `running = (1 - momentum) * running + momentum * batch`.
   * `null`: the average of all batches so far, 1 / numBatchesTracked. Default 0.1.
   */
  momentum?: number | null
  /** Whether there are learnable parameters at all. Default true; `scale` and `center` choose among them. */
  affine?: boolean
  /** Whether there is a `weight` (gamma). Default: as `affine`. */
  scale?: boolean
  /** Whether there is a `bias` (beta). Default: as `affine`. */
  center?: boolean
  /** `false`: no running statistics; the batch's own serve in eval mode too. Default true. */
  trackRunningStats?: boolean
  /** Where the channel stands in a shape. Default `'channels-first'`, PyTorch's. */
  layout?: Layout
  /**
   * What to do in training when each channel has only one value, whose variance is always 0: `'throw'`,
   * as PyTorch does, or normalize with the `'running'` statistics and leave them as they are. Default `'throw'`.
   */
  singleValue?: SingleValue
  /**
   * What to do with a batch that holds NaN or Infinity, or whose variance does not fit float32:
   * `'propagate'` it into output and running statistics, as PyTorch does; `'skip'` the update of the
   * running statistics; or `'throw'`, and change nothing. Default `'propagate'`.
   */
  nonFinite?: NonFinite
}

export interface Settings {
  readonly eps: number
  readonly momentum: number | null
  readonly scale: boolean
  readonly center: boolean
  readonly trackRunningStats: boolean
  readonly layout: Layout
  readonly singleValue: SingleValue
  readonly nonFinite: NonFinite
}

const singleValues: readonly SingleValue[] = ['throw', 'running']
const nonFinites: readonly NonFinite[] = ['propagate', 'skip', 'throw']

/** The options with their defaults, checked one by one and against each other. */
export function settingsOf(options: BatchNormOptions): Settings {
  const {
    eps = 1e-5,
    momentum = 0.1,
    affine = true,
    scale = affine,
    center = affine,
    trackRunningStats = true,
    layout = 'channels-first',
    singleValue = 'throw',
    nonFinite = 'propagate',
  } = optionsObject(options)
  boolean('affine', affine)
  const settings: Settings = {
    eps: nonNegative('eps', eps),
    momentum: momentumOf(momentum),
    scale: boolean('scale', scale),
    center: boolean('center', center),
    trackRunningStats: boolean('trackRunningStats', trackRunningStats),
    layout: oneOf('layout', layout, layouts),
    singleValue: oneOf('singleValue', singleValue, singleValues),
    nonFinite: oneOf('nonFinite', nonFinite, nonFinites),
  }
  if (!affine && scale) throw contradiction('affine: false', 'scale: true')
  if (!affine && center) throw contradiction('affine: false', 'center: true')
  if (!trackRunningStats && singleValue === 'running') {
    throw contradiction('trackRunningStats: false', "singleValue: 'running'")
  }
  return settings
}

/** A momentum that is valid: a number from 0 to 1, or `null`. */
export function momentumOf(momentum: number | null): number | null {
  return momentum === null ? null : fraction('momentum', momentum, ', or null,')
}

function contradiction(one: string, other: string): TypeError {
  return new TypeError(
    `Expected options that agree but received ${one} with ${other} (leave one of them out)`,
  )
}
