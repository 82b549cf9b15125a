import { Tensor } from '@tensorflow/tfjs-core'
import { constraints, initializers, layers, regularizers } from '@tensorflow/tfjs-layers'
import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionsObject } from '../../checks/options.ts'
import { boolean, fraction, oneOf, positiveInteger } from '../../checks/scalars.ts'
import { assertCollective, type Collective } from '../../distributed/collective.ts'

/** What tf.layers takes. */
export type KerasArgs = NonNullable<Parameters<typeof layers.batchNormalization>[0]>

/**
 * The arguments of `tf.layers.batchNormalization`, with its defaults: `axis` -1, `momentum` 0.99,
 * `epsilon` 1e-3, `center` and `scale` true, and an initializer, a regularizer and a constraint for
 * gamma and for beta. `undefined` and `null` stand for the default. The axis may stand alone in an array, as
 * Keras 2 writes it. With a `collective` the batches of all ranks are one.
 */
export type BatchNormalizationArgs = Omit<KerasArgs, 'axis'> & {
  axis?: number | readonly number[]
  collective?: Collective
}

/** Checks an argument, and returns it as tf.layers takes it. */
type Read = (name: string, value: never) => unknown

/** What TensorFlow.js makes of a name, of a saved configuration, or of an object of its own. */
type Kind = 'initializer' | 'regularizer' | 'constraint'

/** TensorFlow.js does not export these classes. */
const classOf = {
  initializer: Object.getPrototypeOf(initializers.zeros().constructor),
  regularizer: Object.getPrototypeOf(regularizers.l2().constructor),
  constraint: Object.getPrototypeOf(constraints.nonNeg().constructor),
}

const ofKind =
  (kind: Kind): Read =>
  (name, value: unknown) => {
    const article = kind === 'initializer' ? 'an' : 'a'
    const expected = `${article} ${kind}: a name, { className, config }, or one of tf.${kind}s,`
    const isObject = typeof value === 'object' && !Array.isArray(value)
    if (!isObject && (typeof value !== 'string' || value === '')) throw invalidType(name, expected, value)
    const made = madeOf(name, value)
    if (made instanceof classOf[kind]) return made
    throw invalidValue(name, expected, value)
  }

/** TensorFlow.js judges: it knows its names, and the classes that were registered. */
function madeOf(name: string, value: unknown): unknown {
  try {
    const layer: object = layers.batchNormalization({ name: 'batch_norm', [name]: unshared(value) })
    return (layer as Record<string, unknown>)[name]
  } catch {
    return null
  }
}

/** TensorFlow.js writes into a configuration that it reads. */
function unshared(value: unknown): unknown {
  const { className, config } = value as { className?: unknown; config?: object }
  return className === undefined ? value : { className, config: config && { ...config } }
}

const integer: Read = (name, value: unknown) => {
  const expected = 'an integer'
  const only = Array.isArray(value) && value.length === 1 ? value[0] : value
  if (typeof only !== 'number') throw invalidType(name, expected, value)
  if (!Number.isInteger(only)) throw invalidValue(name, expected, value)
  return only
}

const finite: Read = (name, value: unknown) => {
  const expected = 'a finite number, 0 or more'
  if (typeof value !== 'number') throw invalidType(name, expected, value)
  if (!(value >= 0 && Number.isFinite(value))) throw invalidValue(name, expected, value)
  return value
}

const text: Read = (name, value: unknown) => {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value)
  if (value === '') throw invalidValue(name, 'a string that is not empty', value)
  return value
}

const float32: Read = (name, value) => oneOf(name, value, ['float32'])

const shape: Read = (name, value: unknown) => {
  const isSize = (size: unknown) => size === null || (Number.isSafeInteger(size) && Number(size) >= 0)
  const expected = 'an array of sizes, each an integer or null,'
  if (!Array.isArray(value)) throw invalidType(name, expected, value)
  if (!value.every(isSize)) throw invalidValue(name, expected, value)
  return value
}

const tensors: Read = (name, value: unknown) => {
  const areTensors = Array.isArray(value) && value.every((weight) => weight instanceof Tensor)
  if (!areTensors) throw invalidType(name, 'an array of tensors', value)
  return value
}

const ranks: Read = (name, value: unknown) => {
  assertCollective(name, value)
  return value
}

const reads: { readonly [Name in keyof Required<BatchNormalizationArgs>]: Read } = {
  axis: integer,
  collective: ranks,
  momentum: fraction,
  epsilon: finite,
  center: boolean,
  scale: boolean,
  betaInitializer: ofKind('initializer'),
  gammaInitializer: ofKind('initializer'),
  movingMeanInitializer: ofKind('initializer'),
  movingVarianceInitializer: ofKind('initializer'),
  betaConstraint: ofKind('constraint'),
  gammaConstraint: ofKind('constraint'),
  betaRegularizer: ofKind('regularizer'),
  gammaRegularizer: ofKind('regularizer'),
  inputShape: shape,
  batchInputShape: shape,
  batchSize: positiveInteger,
  dtype: float32,
  inputDType: float32,
  name: text,
  trainable: boolean,
  weights: tensors,
}

const names = new Set(Object.keys(reads))

/**
 * The arguments, each checked, as tf.layers takes them, and the collective, which it does not know.
 *
 * @throws TypeError or RangeError that names the argument; TypeError for one that does not exist
 */
export function checkedArguments(
  args: BatchNormalizationArgs | null | undefined,
): KerasArgs & { collective?: Collective } {
  const given: Record<string, unknown> = optionsObject(args ?? {}, names, 'args')
  const entries = Object.entries(reads).map(([name, read]) => {
    const value = given[name] ?? undefined
    return [name, value === undefined ? value : read(name, value as never)]
  })
  return Object.fromEntries(entries)
}
