import type { NonFinite } from '../../backend/backend.ts'
import type { AnyBatchNorm } from '../../modules/batch-norm.ts'
import type { Limits } from '../../modules/methods/renormalized.ts'
import type { StoredVariance } from '../../modules/stored-variance.ts'
import type { ParameterType } from '../../tensor/data-type.ts'

/** Mean and variance of one channel. */
export interface ChannelStatistics {
  /** Its mean. */
  readonly mean: number
  /** Its variance. */
  readonly variance: number
}

/** What is known of a batch norm, whether it is a module or lies in a file. */
export interface Norm {
  readonly name: string
  readonly channels: number
  /** `null`: it has none. */
  readonly running: { readonly mean: readonly number[]; readonly variance: readonly number[] } | null
  readonly weight: readonly number[] | null
  readonly bias: readonly number[] | null
  readonly eps: number
  readonly momentum: number | null
  /** How many batches have moved the running statistics; `null`: nobody knows. */
  readonly updates: number | null
  readonly nonFinite: NonFinite
  readonly storedVariance: StoredVariance
  readonly dtype: ParameterType
  /** The limits of batch renormalization in the next step of training; `null`: there is none. */
  readonly limits: Limits | null
  readonly virtualBatchSize: number | null
  readonly singleValue: 'throw' | 'running'
  readonly frozen: boolean
  readonly useBatchStats: boolean | null
  readonly updateStats: boolean | null
}

export function normOf(module: AnyBatchNorm, name: string): Norm {
  const { runningMean, runningVar, weight, bias } = module
  const updates = Number(module.numBatchesTracked?.data[0] ?? 0)
  const running = runningMean &&
    runningVar && { mean: Array.from(runningMean.data), variance: Array.from(runningVar.data) }
  return {
    name,
    channels: module.numFeatures,
    running,
    weight: weight && Array.from(weight.data),
    bias: bias && Array.from(bias.data),
    eps: module.eps,
    momentum: module.momentum,
    // Statistics that came without a counter, as Keras has none, were updated elsewhere.
    updates: updates === 0 && running !== null && !areInitial(running) ? null : updates,
    nonFinite: module.nonFinite,
    storedVariance: module.storedVariance,
    dtype: module.dtype,
    limits: module.renorm?.limitsAt(Number(module.renormSteps?.data[0])) ?? null,
    virtualBatchSize: module.virtualBatchSize,
    singleValue: module.singleValue,
    frozen: module.frozen,
    useBatchStats: module.useBatchStats,
    updateStats: module.updateStats,
  }
}

function areInitial({ mean, variance }: NonNullable<Norm['running']>): boolean {
  return mean.every((value) => value === 0) && variance.every((value) => value === 1)
}

/** Whether one mode normalizes with the running statistics and the other with the batch's. */
export function modesDiffer({ running, useBatchStats }: Norm): boolean {
  return running !== null && useBatchStats === null
}
