import { describe } from '../../checks/errors.ts'
import { optionNames, optionsObject } from '../../checks/options.ts'
import { oneOf } from '../../checks/scalars.ts'
import { type AnyBatchNorm, assertBatchNorm } from '../../modules/batch-norm.ts'
import { internals } from '../../modules/internals.ts'
import type { StoredVariance } from '../../modules/stored-variance.ts'
import type { Source } from './convention.ts'
import { notesOfTraining } from './lost-options.ts'
import { type ConventionName, type Conventions, conventionNames, conventions } from './table.ts'
import type { Vector } from './values.ts'
import { besselFactor, scaled } from './variance.ts'

/** A module as another framework says it. */
export interface ToConvention<Name extends ConventionName> {
  /** The framework's arguments and tensors, under its own names; copies, of the module's `dtype`. */
  readonly parameters: Conventions<Vector>[Name]
  /** What is not the same there, in sentences. Empty if nothing is. */
  readonly notes: string[]
}

/** What a module does not say of itself. */
export interface ToConventionOptions {
  /**
   * n, how many values a channel had in each batch that the module was trained on. Where the module stores the
   * unbiased variance and the framework the biased one, it is multiplied by (n - 1) / n with it, the other way
   * round by n / (n - 1). Without, it stays as it is.
   */
  valuesPerChannel?: number
}

const names = optionNames<ToConventionOptions>({ valuesPerChannel: true })

/**
 * A module in the terms of another framework: the way back from `fromConvention`, to the same numbers.
 *
 * ```ts
 * const { parameters, notes } = toConvention('flax', bn.eval())
 * ```
 *
 * @param name - `'keras'`, `'tf-fused'`, `'flax'`, `'mlx'`, `'onnx'`, `'onednn'` or `'mxnet'`
 * @throws TypeError for a module that the framework cannot say without another result: no running
 * statistics, a cumulative average, channels last in ONNX, an activation (but relu in oneDNN)
 */
export function toConvention<Name extends ConventionName>(
  name: Name,
  module: AnyBatchNorm,
  options: ToConventionOptions = {},
): ToConvention<Name> {
  oneOf('name', name, conventionNames)
  const convention = conventions[name]
  const factor = besselFactor(optionsObject(options, names).valuesPerChannel)
  const notes: string[] = []
  let source = sourceOf(module)
  const { runningVariance, fusedActivation } = convention
  if (source.activation !== null && source.activation !== fusedActivation) {
    throw unsaidActivation(name, source.activation)
  }
  if (source.runningVar !== null && runningVariance.kind !== source.storedVariance) {
    const becomesBiased = runningVariance.kind === 'biased'
    if (factor === null) notes.push(otherVarianceNote(runningVariance.name, source.storedVariance))
    else {
      const runningVar = scaled(source.runningVar, becomesBiased ? 1 / factor : factor)
      source = { ...source, runningVar }
    }
  } else if (source.runningVar !== null && factor !== null) {
    notes.push(
      `valuesPerChannel is left out: ${runningVariance.name} is the ${runningVariance.kind} variance, as running_var is.`,
    )
  }
  const parameters = convention.to(source, notes)
  const saysFrozen = convention.saysFrozen?.(source) ?? false
  return { parameters, notes: [...notes, ...notesOfTraining(module, saysFrozen)] }
}

function unsaidActivation(name: ConventionName, activation: string): TypeError {
  const fix = `make one of the same state without it, and apply ${activation} after it`
  return new TypeError(
    `Expected module without an activation but received activation: ${describe(activation)}, which a batch norm of ` +
      `${name} does not have (${fix})`,
  )
}

function otherVarianceNote(name: string, stored: StoredVariance): string {
  const [divisor, other] =
    stored === 'unbiased'
      ? ['n - 1', 'biased one (n), which is (n - 1) / n']
      : ['n', 'unbiased one (n - 1), which is n / (n - 1)']
  return (
    `${name} is the ${stored} variance (divides by ${divisor}), as running_var is. Training there moves it toward the ` +
    `${other} times as large; give valuesPerChannel: n to convert it.`
  )
}

function sourceOf(module: AnyBatchNorm): Source {
  assertBatchNorm('module', module)
  return {
    weight: module.weight?.data.slice() ?? null,
    bias: module.bias?.data.slice() ?? null,
    runningMean: module.runningMean?.data.slice() ?? null,
    runningVar: module.runningVar?.data.slice() ?? null,
    eps: module.eps,
    momentum: module.momentum,
    layout: module.layout,
    training: module.normalizesWithBatch,
    moves: module.movesRunningStats,
    useBatchStats: module.useBatchStats,
    updateStats: module.updateStats,
    trainAffine: module.trainAffine,
    activation: module.activation,
    storedVariance: module.storedVariance,
    dtype: module.dtype,
    numFeatures: module.numFeatures,
    rank: module[internals].rank(),
  }
}
