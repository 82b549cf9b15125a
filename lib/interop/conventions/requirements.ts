/** What most frameworks need of a module before they can say it. */
import { parameterArray } from '../../tensor/data-type.ts'
import type { Source } from './convention.ts'
import type { Vector } from './values.ts'

/** @throws TypeError for a module without running statistics */
export function runningStatistics(framework: string, { runningMean, runningVar }: Source): [Vector, Vector] {
  if (runningMean !== null && runningVar !== null) return [runningMean, runningVar]
  throw new TypeError(
    `Expected module with running statistics but received one with trackRunningStats: false, and ${framework} ` +
      'normalizes with running statistics in inference (recalibrate a module that has them)',
  )
}

/** @throws TypeError for a cumulative average */
export function fixedMomentum(framework: string, { momentum }: Source): number {
  if (momentum !== null) return momentum
  throw new TypeError(
    `Expected module.momentum to be a number but received null, and ${framework} has no cumulative average ` +
      '(set module.momentum to the number that training shall go on with)',
  )
}

/** The weight, or the ones that stand for none; with a note that they become learnable. */
export function weightOrOnes({ weight, numFeatures, dtype }: Source, name: string, notes: string[]): Vector {
  if (weight !== null) return weight
  notes.push(`${name} is ones, in place of scale: false; the way back makes it a parameter.`)
  return parameterArray(dtype, numFeatures).fill(1)
}

/** The bias, or the zeros that stand for none; with a note that they become learnable. */
export function biasOrZeros({ bias, numFeatures, dtype }: Source, name: string, notes: string[]): Vector {
  if (bias !== null) return bias
  notes.push(`${name} is zeros, in place of center: false; the way back makes it a parameter.`)
  return parameterArray(dtype, numFeatures)
}
