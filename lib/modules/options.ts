import type { KernelActivation, NonFinite } from '../backend/backend.ts'
import { assertAgreeing } from '../checks/contradictions.ts'
import { invalidType } from '../checks/errors.ts'
import { type OptionNames, optionsObject } from '../checks/options.ts'
import { boolean, nonNegative, oneOf, positiveInteger } from '../checks/scalars.ts'
import { type FusedActivationOptions, fusedActivation } from '../functional/fused-activation.ts'
import type { ParameterType } from '../tensor/data-type.ts'
import { pythonNumber } from '../tensor/format.ts'
import { type Layout, layouts } from '../tensor/shape.ts'
import { Renorm, type RenormOptions } from './methods/renormalized.ts'
import { momentumOf } from './momentum.ts'
import { type StoredVariance, storedVariances } from './stored-variance.ts'

/** What to do in training with one value a channel, whose variance is always 0; see `BatchNormOptions`. */
export type SingleValue = 'throw' | 'running'

/**
 * Any boolean. A compiler takes `Scale` and `Center` from it where their own options are left out; the last member lets
 * `affine: true` stand beside `scale: false` and `center: false`.
 */
type ForBoth<Scale extends boolean, Center extends boolean> =
  | Scale
  | Center
  | (Scale extends boolean ? boolean : never)

/**
 * Options of a module; the defaults are those of PyTorch. What a compiler knows of the first switches decides whether
 * `weight`, `bias` and the running statistics can be `null`: options of this type itself can be any.
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 */
export interface BatchNormOptions<
  Type extends ParameterType = 'float32',
  Scale extends boolean = boolean,
  Center extends boolean = boolean,
  RunningStats extends boolean = boolean,
> extends FusedActivationOptions {
  /** Added to the variance before its square root. Default 1e-5. */
  eps?: number
  /**
   * The weight of the *new* statistic: `running = (1 - momentum) * running + momentum * batch`.
   * `null`: the average of all batches so far, 1 / numBatchesTracked. Default 0.1.
   */
  momentum?: number | null
  /** Whether there are learnable parameters at all. Default true; `scale` and `center` choose among them. */
  affine?: ForBoth<Scale, Center>
  /** Whether there is a `weight` (gamma). Default: as `affine`. */
  scale?: Scale
  /** Whether there is a `bias` (beta). Default: as `affine`. */
  center?: Center
  /** `false`: no running statistics; the batch's own serve in eval mode too. Default true. */
  trackRunningStats?: RunningStats
  /** Where the channel stands in a shape. Default `'channels-first'`, PyTorch's. */
  layout?: Layout
  /**
   * Which variance of a batch moves `runningVar`: the `'unbiased'` one, which divides by n - 1, as in PyTorch, or
   * the `'biased'` one, which divides by n, as in Keras and Flax. What normalizes a batch is the biased one
   * always. Default `'unbiased'`.
   */
  storedVariance?: StoredVariance
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

/** One option: its value where it is left out, what a value is checked by and becomes, and how that is printed. */
interface Option<Value, Setting> {
  readonly value: Value
  readonly read: (value: Value) => Setting
  readonly print?: (setting: Setting) => string
}

function option<Value, Setting>(
  value: Value,
  read: (value: Value) => Setting,
  print?: (setting: Setting) => string,
): Option<Value, Setting> {
  return { value, read, print }
}

const flag = (name: string) => (value: boolean) => boolean(name, value)
const flagOrNull = (name: string) => (value: boolean | null) => (value === null ? null : boolean(name, value))
const choice =
  <Choice extends string>(name: string, choices: readonly Choice[]) =>
  (value: Choice) =>
    oneOf(name, value, choices)

const singleValues: readonly SingleValue[] = ['throw', 'running']
/** The types that a module can have. */
export const dtypes: readonly ParameterType[] = ['float32', 'float64']
const nonFinites: readonly NonFinite[] = ['propagate', 'skip', 'throw']

/**
 * The options, in the order in which a module prints them. `affine` stands for `scale` and `center`,
 * `negativeSlope` goes with `activation`; what excludes each other is in `lib/checks/contradictions.ts`.
 */
export const optionTable = {
  eps: option(1e-5, (value) => nonNegative('eps', value)),
  momentum: option<number | null, number | null>(0.1, momentumOf),
  scale: option(true, flag('scale')),
  center: option(true, flag('center')),
  trackRunningStats: option(true, flag('trackRunningStats')),
  layout: option('channels-first', choice('layout', layouts)),
  storedVariance: option('unbiased', choice('storedVariance', storedVariances)),
  singleValue: option('throw', choice('singleValue', singleValues)),
  nonFinite: option('propagate', choice('nonFinite', nonFinites)),
  positiveScale: option(false, flag('positiveScale')),
  virtualBatchSize: option<number | null, number | null>(null, (value) =>
    value === null ? null : positiveInteger('virtualBatchSize', value),
  ),
  renorm: option<BatchNormOptions['renorm'] & {}, Renorm | null>(false, renormOf, String),
  useBatchStats: option<boolean | null, boolean | null>(null, flagOrNull('useBatchStats')),
  updateStats: option<boolean | null, boolean | null>(null, flagOrNull('updateStats')),
  trainAffine: option(true, flag('trainAffine')),
  reuse: option(false, flag('reuse')),
  dtype: option('float32', choice('dtype', dtypes)),
  activation: option({}, fusedActivation, activationText),
} as const

type OptionTable = typeof optionTable

/** Their names. */
export const moduleOptions: OptionNames = new Set(['affine', 'negativeSlope', ...Object.keys(optionTable)])

/** The options of a module, checked, none left out. */
export type Settings = { readonly [Name in keyof OptionTable]: ReturnType<OptionTable[Name]['read']> }

/** The options with their defaults, checked one by one and against each other. */
export function settingsOf(given: BatchNormOptions<ParameterType>): Settings {
  const {
    affine = true,
    scale = affine,
    center = affine,
    activation,
    negativeSlope,
  } = optionsObject(given, moduleOptions)
  boolean('affine', affine)
  const combined = { scale, center, activation: { activation, negativeSlope } }
  const settings = Object.entries(optionTable).map(([name, { value, read }]) => {
    // Read, not copied: an object of options may have inherited some of them.
    const { [name]: chosen = value } = (name in combined ? combined : given) as Record<string, unknown>
    return [name, (read as (value: unknown) => unknown)(chosen)]
  })
  assertAgreeing(given)
  return Object.fromEntries(settings)
}

function renormOf(renorm: boolean | RenormOptions | null): Renorm | null {
  if (renorm === null || renorm === false) return null
  if (renorm === true) return new Renorm({})
  if (typeof renorm === 'object') return new Renorm(renorm)
  throw invalidType('renorm', 'true, false or limits { rMax, dMax }', renorm)
}

function activationText(activation: KernelActivation | null): string {
  if (activation?.name !== 'leakyRelu') return String(activation?.name)
  return `leakyRelu(${pythonNumber(activation.negativeSlope)})`
}
