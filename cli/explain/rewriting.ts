import { type Examples, rowsOf } from '../training/examples.ts'
import { percent, scientific } from '../training/format.ts'
import { accuracyOf, classesOf, largestOf, type Network, run } from './network.ts'
import { SLIGHT } from './rounding.ts'

/** A trained network in another form, beside itself, on the test examples. */
export interface Rewriting {
  /** The largest change of a logit, and the largest logit to compare it with. */
  readonly largestChange: number
  readonly largestLogit: number
  readonly accuracyBefore: number
  readonly accuracy: number
  /** How many examples are told differently. */
  readonly toldDifferently: number
}

export function rewritingOf(network: Network, rewritten: Network, test: Examples): Rewriting {
  const [before, after] = [network, rewritten].map((form) => run(form, rowsOf(test)))
  const [earlier, later] = [classesOf(before), classesOf(after)]
  return {
    largestChange: largestOf(after.data.map((logit, index) => logit - before.data[index])),
    largestLogit: largestOf(before.data),
    accuracyBefore: accuracyOf(before, test.labels),
    accuracy: accuracyOf(after, test.labels),
    toldDifferently: later.filter((label, row) => label !== earlier[row]).length,
  }
}

/** Whether no logit has changed by a {@link SLIGHT} part of the largest. */
export function isTheSame({ largestChange, largestLogit }: Rewriting): boolean {
  return largestChange < SLIGHT * largestLogit
}

/** The largest change beside the largest logit: `2.9 × 10⁻⁶ of 13.5`. */
export function changeText({ largestChange, largestLogit }: Rewriting): string {
  return `${scientific(largestChange)} of ${scientific(largestLogit)}`
}

export const rewritingHeader = [
  'Rewritten',
  'largest change of a logit',
  'largest logit',
  'test accuracy',
  'told differently',
]

export function rewritingCells(
  title: string,
  { largestChange, largestLogit, accuracyBefore, accuracy, toldDifferently }: Rewriting,
): string[] {
  return [
    title,
    scientific(largestChange),
    scientific(largestLogit),
    `${percent(accuracyBefore)} → ${percent(accuracy)}`,
    String(toldDifferently),
  ]
}
