import { TASKS } from '../../cli/explain/study.ts'
import { loadDigits, splitDigits } from '../../cli/training/digits.ts'
import { type Examples, pick } from '../../cli/training/examples.ts'

export interface Settings {
  readonly seeds: readonly number[]
  /** How many of the digits there are. */
  readonly examples: number
  readonly epochs: number
}

/** The network and the schedule of the experiment that explains, but for the epochs. */
export const ARCHITECTURE = TASKS.digits.architectures.relu
export const scheduleOf = ({ epochs }: Settings) => ({ ...TASKS.digits.schedule, epochs })

/** The digits of a seed: to learn, to be met in service without their labels, and to be tested on. */
export interface Dealt {
  readonly training: Examples
  readonly traffic: Examples
  readonly test: Examples
}

/** How many digits of each kind there are: seven, one and two tenths. */
export function countsOf({ examples }: Settings): Record<keyof Dealt, number> {
  const tenth = Math.floor(examples / 10)
  return { training: 7 * tenth, traffic: tenth, test: 2 * tenth }
}

const digits = loadDigits()

export function dealt(settings: Settings, seed: number): Dealt {
  const counts = countsOf(settings)
  const known = counts.training + counts.traffic
  const { training, test } = splitDigits(digits, { training: known, test: counts.test }, seed)
  return {
    training: rowsOfRange(training, 0, counts.training),
    traffic: rowsOfRange(training, counts.training, known),
    test,
  }
}

function rowsOfRange(examples: Examples, begin: number, end: number): Examples {
  return pick(
    examples,
    Int32Array.from({ length: end - begin }, (_, index) => begin + index),
  )
}

/** The size of a batch, at most. */
const BATCH = 125

/** The examples in batches as they come in service, all but alike in size: one of a single example has no variance. */
export function batchesOf(examples: Examples): Examples[] {
  const { count } = examples
  const batches = Math.ceil(count / BATCH)
  const begin = (batch: number) => Math.floor((batch * count) / batches)
  return Array.from({ length: batches }, (_, batch) => rowsOfRange(examples, begin(batch), begin(batch + 1)))
}

/** The first examples, as one batch. */
export function firstOf(examples: Examples, count: number): Examples {
  return rowsOfRange(examples, 0, count)
}
