import type { Activations } from './activations.ts'
import type { BatchNorm } from './model.ts'

/** What a training leaves behind. */
export interface Run {
  readonly batchNorm: BatchNorm
  readonly stepsPerEpoch: number
  /** The mean loss of each step's batch. */
  readonly losses: number[]
  /** The share of the test digits told right, by the number of steps. */
  readonly testAccuracies: { readonly step: number; readonly accuracy: number }[]
  /** Of the median step. */
  readonly millisecondsPerStep: number
  /** The median of the milliseconds of a step that were batch norm, forward and backward, with all copies. */
  readonly batchNormMilliseconds: number
  /** The input and output of each batch norm for the test digits, at the end. */
  readonly activations: Activations[]
}

export function hasBatchNorm({ batchNorm }: Run): boolean {
  return batchNorm !== 'none'
}

export function nameOf(run: Run): string {
  return hasBatchNorm(run) ? 'with batch norm' : 'without batch norm'
}

export function epochsOf({ losses, stepsPerEpoch }: Run): number {
  return losses.length / stepsPerEpoch
}

/** The test accuracy at the end of an epoch; 1 is the first. */
export function accuracyAfter({ testAccuracies, stepsPerEpoch }: Run, epoch: number): number {
  return testAccuracies.find(({ step }) => step === epoch * stepsPerEpoch)?.accuracy ?? Number.NaN
}

/** The share of a step that was batch norm. */
export function batchNormShare({ batchNormMilliseconds, millisecondsPerStep }: Run): number {
  return batchNormMilliseconds / millisecondsPerStep
}
