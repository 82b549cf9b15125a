import type { Moments } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { assertWritable } from '../in-flight.ts'
import type { AnyBatchNorm } from '../modules/batch-norm.ts'
import { nonFiniteError, OverflowWarning, statisticsFit } from '../non-finite.ts'

const overflowWarning = new OverflowWarning()

/**
 * Moves the running statistics of a module toward those of a batch and counts it, as a forward in
 * training does: by its switches, its momentum and its `nonFinite`.
 *
 * @throws RangeError for what `nonFinite: 'throw'` names. Nothing has changed then.
 */
export function moveRunning(module: AnyBatchNorm, moments: Moments): void {
  const { runningMean, runningVar, numBatchesTracked, momentum, nonFinite, dtype } = module
  const moves = runningMean !== null && (module.updateStats ?? module.training)
  const fits = statisticsFit(moments, moves, dtype)
  if (!fits && nonFinite === 'throw') throw nonFiniteError(moments, dtype)
  if (!moves || runningVar === null || numBatchesTracked === null) return
  if (!fits && nonFinite === 'skip') return
  assertWritable('runningMean', runningMean.data)
  assertWritable('runningVar', runningVar.data)
  const weight = momentum ?? 1 / (Number(numBatchesTracked.data[0]) + 1)
  currentBackend().updateRunning({ mean: runningMean.data, variance: runningVar.data }, moments, weight)
  numBatchesTracked.data[0] += 1n
  if (!fits) overflowWarning.give(moments, dtype)
}
