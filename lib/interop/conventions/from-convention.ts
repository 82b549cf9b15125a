import { invalidType, invalidValue } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { oneOf, positiveInteger } from '../../checks/scalars.ts'
import { type BatchNormOptions, dtypes } from '../../modules/options.ts'
import type { State, StateValue } from '../../modules/state-dict.ts'
import { type StoredVariance, storedVariances } from '../../modules/stored-variance.ts'
import type { ParameterType } from '../../tensor/data-type.ts'
import type { Convention, Meaning } from './convention.ts'
import { Reading } from './reading.ts'
import { type ConventionName, type Conventions, conventionNames, conventions } from './table.ts'
import { besselFactor, scaled } from './variance.ts'

/** A batch norm of another framework, as a module here is made of it. */
export interface FromConvention<Type extends ParameterType = 'float32'> {
  /** C, the number of channels. */
  readonly numFeatures: number
  /** For the constructor of a module. */
  readonly options: BatchNormOptions<Type>
  /** For `loadStateDict`. */
  readonly state: State
  /** The mode that it is in; `true`, the one a module starts in, where a framework has it in its calls. */
  readonly training: boolean
  /** What is not the same here, in sentences. Empty if nothing is. */
  readonly notes: string[]
}

/** What the parameters of another framework do not say. */
export interface FromConventionOptions<Type extends ParameterType = 'float32'> {
  /** How many axes the input has, where that decides whether `axis` is the last. */
  rank?: number
  /**
   * n, how many values a channel had in each batch that it was trained on. A running variance that is
   * biased becomes unbiased with it, PyTorch's: times n / (n - 1). Without, it stays as it is, and so does the
   * way that training moves it: `options.storedVariance` is `'biased'`.
   */
  valuesPerChannel?: number
  /**
   * Which variance the parameters have, where it is not the one that the framework stores by now: `'biased'` for
   * those of MLX before July 2026.
   */
  storedVariance?: StoredVariance
  /**
   * That of the module, which float64 numbers alone do not tell: they may be all that a language has.
   * Default `'float32'`, with a note for a Float64Array that is rounded.
   */
  dtype?: Type
}

const names = optionNames<FromConventionOptions>({
  rank: true,
  valuesPerChannel: true,
  storedVariance: true,
  dtype: true,
})

/**
 * What another framework says of a batch norm, in PyTorch's terms: its defaults, the direction of its
 * momentum, its names. Outputs in eval mode are the same; `notes` say what is not, and what would
 * change the outputs is an error.
 *
 * ```ts
 * const { numFeatures, options, state, training, notes } = fromConvention('keras', {
 *   gamma, beta, moving_mean, moving_variance, momentum: 0.99, epsilon: 1e-3,
 * })
 * const bn = new BatchNorm2d(numFeatures, options).train(training)
 * bn.loadStateDict(state)
 * ```
 *
 * `num_batches_tracked` is 0: other frameworks do not count.
 *
 * @param name - `'keras'`, `'tf-fused'`, `'flax'`, `'mlx'`, `'onnx'`, `'onednn'` or `'mxnet'`
 * @param parameters - the framework's arguments and tensors, under its own names; see docs/conventions.md
 * @throws TypeError or RangeError that names the parameter, for one that is missing, unknown or wrong,
 * and for one that cannot be said here
 */
export function fromConvention<Name extends ConventionName, Type extends ParameterType = 'float32'>(
  name: Name,
  parameters: Conventions[Name],
  options: FromConventionOptions<Type> = {},
): FromConvention<Type> {
  oneOf('name', name, conventionNames)
  return translated(name, conventions[name], parameters, options)
}

/** `fromConvention` of a convention that may be none of the table, but a variant. */
export function translated<Parameters extends object, Type extends ParameterType>(
  name: string,
  convention: Convention<Parameters, unknown>,
  parameters: Parameters,
  options: FromConventionOptions<Type>,
): FromConvention<Type> {
  const { rank, valuesPerChannel, storedVariance, dtype = 'float32' } = optionsObject(options, names)
  if (storedVariance !== undefined) oneOf('storedVariance', storedVariance, storedVariances)
  oneOf('dtype', dtype, dtypes)
  if (rank !== undefined && positiveInteger('rank', rank) < 2) throw invalidValue('rank', 'at least 2', rank)
  const factor = besselFactor(valuesPerChannel)
  const own = convention.unwrapped?.(parameters) ?? parameters
  assertKnown(name, own, convention.names)
  const reading = new Reading(rank, dtype)
  const meaning = convention.from(own, reading)
  const { numFeatures, notes } = reading
  const { runningVariance } = convention
  let { runningVar } = meaning
  let variance = storedVariance ?? meaning.variance ?? runningVariance.kind
  if (runningVar !== null && factor !== null) {
    if (variance === 'unbiased') notes.push(needlessNote(runningVariance.name))
    else runningVar = scaled(runningVar, factor)
    variance = 'unbiased'
  }
  return {
    numFeatures,
    options: {
      ...optionsOf(meaning),
      ...(runningVar !== null && { storedVariance: variance }),
      dtype: dtype as Type,
    },
    state: stateOf({ ...meaning, runningVar }),
    training: meaning.training,
    notes,
  }
}

function needlessNote(name: string): string {
  return `valuesPerChannel is left out: ${name} is the unbiased variance already.`
}

function optionsOf(meaning: Meaning): Omit<BatchNormOptions, 'dtype'> {
  const { eps, momentum, weight, bias, runningMean, layout } = meaning
  const { useBatchStats, updateStats, trainAffine, activation } = meaning
  return {
    eps,
    ...(momentum !== undefined && { momentum }),
    scale: weight !== null,
    center: bias !== null,
    trackRunningStats: runningMean !== null,
    layout,
    ...(useBatchStats !== undefined && { useBatchStats }),
    ...(updateStats !== undefined && { updateStats }),
    ...(trainAffine !== undefined && { trainAffine }),
    ...(activation !== undefined && { activation }),
  }
}

function stateOf({ weight, bias, runningMean, runningVar }: Meaning): State {
  const entries: [string, StateValue | null][] = [
    ['weight', weight],
    ['bias', bias],
    ['running_mean', runningMean],
    ['running_var', runningVar],
    ['num_batches_tracked', runningMean && 0],
  ]
  return Object.fromEntries(entries.filter((entry): entry is [string, StateValue] => entry[1] !== null))
}

/** What is not known cannot be carried over, and is not passed over in silence. */
function assertKnown(framework: string, parameters: object, names: readonly string[]): void {
  if (typeof parameters !== 'object' || parameters === null) {
    throw invalidType('parameters', `an object of ${framework}'s parameters`, parameters)
  }
  const unknown = Object.keys(parameters).filter((key) => !names.includes(key))
  if (unknown.length === 0) return
  throw invalidValue(
    'parameters',
    `among ${names.join(', ')}, for ${framework},`,
    unknown,
    'what is not in that list has no place here: leave it out if it can go',
  )
}
