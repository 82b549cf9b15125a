/**
 * What `get_config()` of a Keras layer holds beside its arguments: which of it means something here, which is
 * said in a note, and which is an error. Of Keras 2 and 3, and of TensorFlow.js, which writes some in camelCase:
 * https://github.com/keras-team/keras/blob/master/keras/src/layers/normalization/batch_normalization.py and
 * https://github.com/keras-team/tf-keras/blob/master/tf_keras/layers/normalization/batch_normalization.py
 */
import { describe, invalidType, invalidValue } from '../../checks/errors.ts'
import { boolean, oneOf } from '../../checks/scalars.ts'
import type { Reading } from './reading.ts'

/** Where the layer stands in its model, and what its weights were before training: nothing to a batch norm. */
const harmless = [
  ...(['name', 'module', 'registered_name', 'inbound_nodes', 'shared_object_id'] as const),
  ...(['beta_initializer', 'gamma_initializer', 'betaInitializer', 'gammaInitializer'] as const),
  ...(['moving_mean_initializer', 'moving_variance_initializer'] as const),
  ...(['movingMeanInitializer', 'movingVarianceInitializer'] as const),
  ...(['renorm_clipping', 'renorm_momentum'] as const),
]
/** What a training loop does with parameters and outputs. */
const ofTraining = [
  ...(['beta_regularizer', 'gamma_regularizer', 'activity_regularizer'] as const),
  ...(['beta_constraint', 'gamma_constraint'] as const),
  ...(['betaRegularizer', 'gammaRegularizer', 'betaConstraint', 'gammaConstraint'] as const),
]
const inputShapes = ['batch_input_shape', 'batchInputShape'] as const
const classNames = ['BatchNormalization', 'BatchNormalizationV2', 'SyncBatchNormalization'] as const
const dtypes = ['float32', 'float64', 'mixed_float16', 'mixed_bfloat16'] as const

type Ignored = (typeof harmless)[number] | (typeof ofTraining)[number] | (typeof inputShapes)[number]

interface Meaningful {
  /** `false` freezes: in training too the moving statistics normalize and stay, and nothing is trained. Default true. */
  trainable?: boolean
  /** A type, or a policy of Keras: that of the parameters must be float32 or float64. */
  dtype?: string | { readonly config?: { readonly name?: string } } | null
  /** `true`: statistics of all devices, which is a note. */
  synchronized?: boolean
  /** Whether Keras 2 runs TensorFlow's fused kernel, whose moving variance is unbiased. */
  fused?: boolean | null
  /** `true` is an error: it trains otherwise. */
  renorm?: boolean
  /** A number is an error: it trains otherwise. */
  virtual_batch_size?: null
  class_name?: string
  build_config?: { readonly input_shape?: unknown } | null
  /** The config itself, in a layer as a model file has it. */
  config?: object
}

/** What `get_config()` holds beside the arguments, and what a model file has around it. */
export type KerasConfig = Meaningful & { readonly [Name in Ignored]?: unknown }

/** `config` is not among them: it is unwrapped first. */
export const configNames: readonly (keyof KerasConfig)[] = [
  ...(['trainable', 'dtype', 'synchronized', 'fused', 'renorm', 'virtual_batch_size'] as const),
  ...(['class_name', 'build_config'] as const),
  ...inputShapes,
  ...ofTraining,
  ...harmless,
]

/** A layer as a model file has it, `{ class_name, config, ... }`: its config, and what stands around that. */
export function unwrapped<Parameters extends KerasConfig>(parameters: Parameters): Parameters {
  const { config, ...around } = parameters ?? {}
  if (config === undefined) return parameters
  if (typeof config !== 'object' || config === null) throw invalidType('config', 'an object', config)
  return { ...config, ...around } as Parameters
}

/** Notes what is lost. @throws TypeError or RangeError for what would change the result */
export function checkConfig(config: KerasConfig, { notes, dtype }: Reading): void {
  const { renorm = false, virtual_batch_size = null, synchronized = false, class_name } = config
  if (boolean('renorm', renorm)) throw trainsOtherwise('renorm', 'false', renorm, 'renorm')
  if (virtual_batch_size !== null) {
    throw trainsOtherwise('virtual_batch_size', 'null', virtual_batch_size, 'virtualBatchSize')
  }
  if (class_name !== undefined) oneOf('class_name', class_name, classNames)
  if (boolean('synchronized', synchronized) || class_name === 'SyncBatchNormalization') {
    notes.push('synchronized: true is left out: the statistics of a batch are those of one process here.')
  }
  for (const name of ofTraining) {
    if ((config[name] ?? null) === null) continue
    notes.push(`${name} is left out: what it does in training is up to the training loop here.`)
  }
  const type = typeOf(config.dtype ?? 'float32')
  if (dtype === 'float64' || type === 'float32') return
  const half = type.startsWith('mixed_') && type.slice('mixed_'.length)
  notes.push(
    half
      ? `dtype: '${type}' computes in float32, and so does this: give inputs of ${half} for outputs of ${half}.`
      : "dtype: 'float64' is float32 here; the option dtype: 'float64' keeps it.",
  )
}

/**
 * How many axes the input has: what the caller says, or what the shape of an input in the config tells.
 *
 * @throws RangeError where the two differ
 */
export function rankOf(config: KerasConfig, { rank }: Reading): number | undefined {
  const shapes = [config.build_config?.input_shape, ...inputShapes.map((name) => config[name])]
  const ranks = shapes.map(lengthOf).filter((length) => length !== undefined)
  const other = ranks.find((each) => each !== (rank ?? ranks[0]))
  if (other === undefined) return rank ?? ranks[0]
  throw invalidValue('rank', `${other}, as the input shape of the layer says,`, rank ?? ranks[0])
}

/** Of a list; Keras 2 writes a tuple as `{ class_name: '__tuple__', items }`. */
function lengthOf(shape: unknown): number | undefined {
  const list = (shape as { items?: unknown } | null | undefined)?.items ?? shape
  return Array.isArray(list) ? list.length : undefined
}

function typeOf(dtype: KerasConfig['dtype'] & {}): (typeof dtypes)[number] {
  const name = typeof dtype === 'string' ? dtype : (dtype.config?.name ?? dtype)
  if (dtypes.includes(name as never)) return name as (typeof dtypes)[number]
  const fix =
    "leave it out if it is 'float16' or 'bfloat16': float32 parameters hold those, and take such inputs"
  throw invalidType('dtype', `a type or policy among ${dtypes.map(describe).join(', ')}`, name, fix)
}

function trainsOtherwise(name: string, expected: string, actual: unknown, option: string): RangeError {
  const fix = `it trains otherwise: leave it out for inference; training here has the option ${option}`
  return invalidValue(name, expected, actual, fix)
}
