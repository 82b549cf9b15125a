/** What is wrong with a batch norm's state, channel by channel. */
import { types } from 'node:util'
import { describe, invalidType, wrongLength } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { nonNegative } from '../checks/scalars.ts'
import { assertState, partsOf, type State } from '../modules/state-dict.ts'

/** What can be wrong with a channel of a stored batch norm; `explanations` says what each means. */
export type Finding =
  | 'non-finite'
  | 'negative variance'
  | 'dead scale'
  | 'variance near eps'
  | 'mean far from zero'
  | 'never updated'

/** What each finding means for the user. */
export const explanations: Readonly<Record<Finding, string>> = {
  'non-finite': 'NaN or Infinity: every output of the channel is, too',
  'negative variance': 'no batch has one: the file is damaged, or not of a batch norm',
  'dead scale': '|weight| below 1e-4 of the largest: the channel gives its bias whatever comes in',
  'variance near eps': 'running_var at most 10 eps: the channel hardly varied, and eps decides its scale',
  'mean far from zero':
    '|running_mean| above 1000 standard deviations: float32 inputs have lost digits before',
  'never updated': 'running_mean 0 and running_var 1: as before the first batch',
}

/** What `summarize` found in a stored batch norm. */
export interface Summary {
  /** C, the number of channels. */
  readonly numFeatures: number
  /** `null` where it is not stored. */
  readonly numBatchesTracked: number | null
  /** The channels of each finding; only what was found. */
  readonly findings: ReadonlyMap<Finding, readonly number[]>
}

/** Below this part of the largest |weight| a scale is dead. */
const deadScale = 1e-4
/** Below this multiple of eps a variance is ruled by eps. */
const nearEps = 10
/** A mean of more standard deviations than this costs three digits of seven. */
export const farMean = 1000

const names = optionNames<{ eps?: number }>({ eps: true })

/**
 * Looks at a state dict, or at a module's `stateDict()`, for channels that do not do what a batch norm
 * is for: `explanations` says what each finding means.
 *
 * @param options - `eps` of the module, which a state dict does not tell; default 1e-5
 * @throws TypeError for a state without running statistics; TypeError or RangeError for values that are not one
 * number a channel
 */
export function summarize(state: State, options: { eps?: number } = {}): Summary {
  const { eps = 1e-5 } = optionsObject(options, names)
  nonNegative('eps', eps)
  assertState(state)
  const mean = numbers(state, 'running_mean')
  const variance = numbers(state, 'running_var')
  if (mean === null || variance === null || mean.length !== variance.length) {
    throw invalidType('state', 'one with running_mean and running_var of one length', state)
  }
  const weight = numbers(state, 'weight', mean.length)
  const bias = numbers(state, 'bias', mean.length)
  const tracked = numbers(state, 'num_batches_tracked')
  const numBatchesTracked = tracked?.[0] ?? null
  const tests = findingTests({ mean, variance, weight, bias, numBatchesTracked, eps })
  const channels = Array.from(mean.keys())
  const findings = Object.entries(tests).map(([finding, test]) => [finding, channels.filter(test)] as const)
  return {
    numFeatures: mean.length,
    numBatchesTracked,
    findings: new Map(findings.filter(([, found]) => found.length > 0) as [Finding, number[]][]),
  }
}

/** What the tests of findings look at; `null` for what is not there. */
interface ChannelNumbers {
  readonly mean: readonly number[]
  readonly variance: readonly number[]
  readonly weight: readonly number[] | null
  readonly bias: readonly number[] | null
  readonly numBatchesTracked: number | null
  readonly eps: number
}

/** Of each finding, whether a channel has it. */
export function findingTests(
  stored: ChannelNumbers,
): Readonly<Record<Finding, (channel: number) => boolean>> {
  const { mean, variance, weight, bias, numBatchesTracked, eps } = stored
  const largest = weight?.reduce((most, value) => Math.max(most, Math.abs(value)), 0) ?? 1
  return {
    'non-finite': (c) =>
      [mean, variance, weight, bias].some((each) => each !== null && !Number.isFinite(each[c])),
    'negative variance': (c) => variance[c] < 0,
    'dead scale': (c) => weight !== null && Math.abs(weight[c]) <= deadScale * largest,
    'variance near eps': (c) => isNearEps(variance[c], eps),
    'mean far from zero': (c) => Math.abs(mean[c]) > farMean * Math.sqrt(variance[c] + eps),
    'never updated': (c) => numBatchesTracked === 0 || (mean[c] === 0 && variance[c] === 1),
  }
}

/** Whether eps decides the scale of a channel of this variance. */
export function isNearEps(variance: number, eps: number): boolean {
  return variance >= 0 && variance <= nearEps * eps
}

function numbers(state: State, key: string, length?: number): number[] | null {
  const value = state[key]
  if (value === undefined || value === null) return null
  const data = partsOf(value).numbers?.()
  if (data === undefined) throw invalidType(`state.${key}`, 'numbers', value)
  if (data.length !== (length ?? data.length)) {
    throw wrongLength(`state.${key}`, data, length as number, 'the channels of running_mean')
  }
  return Array.from({ length: data.length }, (_, index) => {
    const item = data[index]
    if (typeof item === 'number' || typeof item === 'bigint') return Number(item)
    throw invalidType(`state.${key}[${index}]`, 'a number', item)
  })
}

/** Findings in a line: `dead scale in 3 of 64: [1, 5, 9]`. */
export function findingLines(summary: Summary): string[] {
  const { numFeatures, findings } = summary ?? {}
  if (!types.isMap(findings)) throw invalidType('summary', 'what summarize(state) gave', summary)
  return [...findings].map(([finding, channels]) => {
    const which = channels.length === numFeatures ? 'all' : describe(channels)
    return `${finding} in ${channels.length} of ${numFeatures}: ${which}`
  })
}
