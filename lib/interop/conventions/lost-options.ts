/** The options of a module that no framework has, or only some: a note for each that is not the default. */
import { describe } from '../../checks/errors.ts'
import type { AnyBatchNorm } from '../../modules/batch-norm.ts'
import type { Source } from './convention.ts'

/**
 * Of what changes training, or how it is said, in every framework.
 *
 * @param saysFrozen - whether the framework says that nothing of the module is trained
 */
export function notesOfTraining(module: AnyBatchNorm, saysFrozen: boolean): string[] {
  const { virtualBatchSize, renorm, singleValue, nonFinite, trainAffine, weight, bias, rawWeight } = module
  const plain = 'is left out: training there is plain.'
  const notes: [lost: boolean, note: string][] = [
    [virtualBatchSize !== null, `virtualBatchSize: ${virtualBatchSize} ${plain}`],
    [renorm !== null, `renorm: ${renorm} ${plain}`],
    [singleValue !== 'throw', `singleValue: ${describe(singleValue)} ${plain}`],
    [nonFinite !== 'propagate', `nonFinite: ${describe(nonFinite)} ${plain}`],
    [
      !trainAffine && (weight ?? bias) !== null && !saysFrozen,
      'trainAffine: false is left out: scale and shift are trained there.',
    ],
    [
      rawWeight !== null,
      'positiveScale: true is left out: the scale is written as it is, and training there may make it 0 or negative.',
    ],
  ]
  return notes.filter(([lost]) => lost).map(([, note]) => note)
}

/** A note where only one of two is the batch's, what normalizes and what moves, and a framework has one mode for both. */
export function noteOneMode(framework: string, source: Source, notes: string[]): void {
  const { runningMean, training, moves } = source
  if (runningMean === null || moves === training) return
  const here = training
    ? 'the batch normalizes here, and the running statistics stay'
    : 'the running statistics normalize here, and move'
  notes.push(`updateStats: ${here}; ${framework} does not tell the two apart.`)
}

/** A note for switches that are set, where a framework has the mode in its calls and nothing beside it. */
export function noteModeOfCalls(framework: string, source: Source, notes: string[]): void {
  const { useBatchStats, updateStats } = source
  const set = Object.entries({ useBatchStats, updateStats }).filter(([, value]) => value !== null)
  if (set.length === 0) return
  const switches = set.map(([name, value]) => `${name}: ${value}`).join(' with ')
  notes.push(
    `${switches} is left out: in training ${framework} normalizes with the batch and moves the running statistics.`,
  )
}
