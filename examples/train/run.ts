import type { Examples } from '../../cli/training/examples.ts'
import type { Activations } from './activations.ts'
import type { BatchNorm } from './model.ts'

/** The milliseconds of a step and of parts of it. */
export interface StepTime {
  readonly whole: number
  /** Batch norm, forward and backward, with all copies in and out of the layers. */
  readonly batchNorm: number
  /** The optimizer's, once the gradients are there. */
  readonly update: number
}

/** What a training leaves behind. */
export interface Run {
  readonly batchNorm: BatchNorm
  readonly seed: number
  readonly stepsPerEpoch: number
  /** The mean loss of each step's batch. */
  readonly losses: number[]
  /** The share of the test digits told right, by the number of steps. */
  readonly testAccuracies: { readonly step: number; readonly accuracy: number }[]
  /** The share of the training digits told right in inference mode, after each epoch. */
  readonly trainingAccuracies: readonly number[]
  /** The digits of the test, and what the network told of each at the end. */
  readonly test: Examples
  readonly told: Int32Array
  /** Weights that the optimizer updates; each is one more tensor to it. */
  readonly variables: number
  readonly stepTime: StepTime
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
export function batchNormShare({ stepTime: { batchNorm, whole } }: Run): number {
  return batchNorm / whole
}

/** How many digits of the test were told right at the end. */
export function rightOf({ test, told }: Run): number {
  return told.filter((label, digit) => label === test.labels[digit]).length
}

/** The means over the middle half of the steps by their time, so that the parts are parts of the whole. */
export function typicalStep(steps: readonly StepTime[]): StepTime {
  const middle = steps
    .toSorted((a, b) => a.whole - b.whole)
    .slice(steps.length >> 2, Math.ceil(steps.length * 0.75))
  const mean = (part: keyof StepTime) => middle.reduce((sum, step) => sum + step[part], 0) / middle.length
  return { whole: mean('whole'), batchNorm: mean('batchNorm'), update: mean('update') }
}
