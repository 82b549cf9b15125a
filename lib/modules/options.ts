import type { Activation, NonFinite } from '../backend/backend.ts'
import { assertAgreeing } from '../contradictions.ts'
import type { ParameterType } from '../data-type.ts'
import { invalidType } from '../errors.ts'
import { type FusedActivationOptions, fusedActivation } from '../fused-activation.ts'
import { type Layout, layouts } from '../shape.ts'
import { boolean, fraction, nonNegative, oneOf, optionsObject, positiveInteger } from '../validate.ts'
import { Renorm, type RenormOptions } from './methods/renormalized.ts'

export type SingleValue = 'throw' | 'running'

export interface BatchNormOptions<Type extends ParameterType = 'float32'> extends FusedActivationOptions {
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
  /**
   * Whether the batch's statistics normalize, or the running ones. `null`, the default: the batch's in
   * training and without running statistics, the running ones in eval, as in PyTorch.
   */
  useBatchStats?: boolean | null
  /**
   * Whether a forward moves the running statistics. `null`, the default: in training, as in PyTorch. Where
   * they normalize too, they do so as they were before.
   */
  updateStats?: boolean | null
  /** Whether `backward` adds to the gradients of scale and shift. Default true, in eval mode too, as in PyTorch. */
  trainAffine?: boolean
  /**
   * Keeps the scale above 0: `weight = softplus(rawWeight)`, and `rawWeight` is trained in its place.
   * Default false.
   */
  positiveScale?: boolean
  /**
   * Ghost batches: in training the samples are cut into groups of this size, each normalized by its own
   * statistics; a short tail belongs to the last group. Default: none.
   */
  virtualBatchSize?: number | null
  /**
   * Batch renormalization in training (Ioffe 2017), with the limits of the paper for `true`. Default: none.
   */
  renorm?: boolean | RenormOptions | null
  /**
   * Whether results are written into memory of the module: an output, and a gradInput, is its caller's
   * only until the next call of its kind, which writes the same array again. Default false: each result
   * is an array of its own.
   */
  reuse?: boolean
  /**
   * The type of parameters and running statistics, and with it that of the inputs: `'float32'` takes
   * float32, bfloat16 and float16, `'float64'` takes float64, as PyTorch does. Default `'float32'`.
   */
  dtype?: Type
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
  readonly positiveScale: boolean
  readonly virtualBatchSize: number | null
  readonly renorm: Renorm | null
  readonly useBatchStats: boolean | null
  readonly updateStats: boolean | null
  readonly trainAffine: boolean
  readonly reuse: boolean
  readonly dtype: ParameterType
  readonly activation: Activation | null
}

const singleValues: readonly SingleValue[] = ['throw', 'running']
/** The types that a module can have. */
export const dtypes: readonly ParameterType[] = ['float32', 'float64']
const nonFinites: readonly NonFinite[] = ['propagate', 'skip', 'throw']

/** The options with their defaults, checked one by one and against each other. */
export function settingsOf(options: BatchNormOptions<ParameterType>): Settings {
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
    useBatchStats = null,
    updateStats = null,
    trainAffine = true,
    positiveScale = false,
    virtualBatchSize = null,
    renorm = null,
    reuse = false,
    dtype = 'float32',
    activation,
    negativeSlope,
    ...others
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
    positiveScale: boolean('positiveScale', positiveScale),
    virtualBatchSize:
      virtualBatchSize === null ? null : positiveInteger('virtualBatchSize', virtualBatchSize),
    renorm: renormOf(renorm),
    useBatchStats,
    updateStats,
    trainAffine,
    reuse: boolean('reuse', reuse),
    dtype: oneOf('dtype', dtype, dtypes),
    activation: fusedActivation({ activation, negativeSlope }),
  }
  assertNone(others, ['affine', 'negativeSlope', ...Object.keys(settings)])
  assertAgreeing(options)
  return settings
}

/** @throws TypeError for an option that there is not, as PyTorch for an argument: it would silently do nothing */
function assertNone(others: object, known: readonly string[]): void {
  const letters = (name: string) => name.replaceAll('_', '').toLowerCase()
  for (const name of Object.keys(others)) {
    const meant = known.find((each) => letters(each) === letters(name))
    const fix = meant === undefined ? '' : `did you mean ${meant}?`
    throw invalidType('options', `among ${known.join(', ')}`, name, fix)
  }
}

function renormOf(renorm: boolean | RenormOptions | null): Renorm | null {
  if (renorm === null || renorm === false) return null
  if (renorm === true) return new Renorm({})
  if (typeof renorm === 'object') return new Renorm(optionsObject(renorm, 'renorm'))
  throw invalidType('renorm', 'true, false or limits { rMax, dMax }', renorm)
}

/** A momentum that is valid: a number from 0 to 1, or `null`. */
export function momentumOf(momentum: number | null): number | null {
  return momentum === null ? null : fraction('momentum', momentum, ', or null,')
}
