import { cpus } from 'node:os'
import { short } from '../inspect/numbers.ts'
import { assumed } from './assumptions.ts'
import type { Network } from './cost.ts'
import { sumsFrom } from './messages.ts'
import type { PlanOptions } from './options.ts'
import { type Plan, planFor, ringRanges } from './plan.ts'

/** All that the table and the page say. */
export interface Report {
  readonly options: PlanOptions
  readonly network: Network
  readonly plans: readonly Plan[]
  /** Names and values: what the figures hang on. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  /** What they come to, in sentences. */
  readonly sentences: readonly string[]
}

/** @param measured - alpha and beta, where they were */
export function reportOf(options: PlanOptions, measured?: Network): Report {
  const { channels, ranks } = options
  const network = {
    alpha: measured?.alpha ?? options.alpha ?? assumed.alpha.value,
    beta: measured?.beta ?? options.beta ?? assumed.beta.value,
  }
  const plans = Array.from({ length: ranks.to - ranks.from + 1 }, (_, index) =>
    planFor(network, channels, ranks.from + index),
  )
  return {
    options,
    network,
    plans,
    facts: [
      ['batch norms', `${channels.length}, of ${channels.join(', ')} channels`],
      ['alpha', `${short(network.alpha)} s a message (${sourceOf('alpha', options)})`],
      ['beta', `${short(network.beta)} s a byte (${sourceOf('beta', options)})`],
    ],
    sentences: [ringSentence(plans), ...[...new Set(channels)].sort((a, b) => a - b).map(waySentence)],
  }
}

function sourceOf(name: keyof Network, options: PlanOptions): string {
  if (options.measure) return `measured: ${options.measure}, 2 ranks on this machine, ${cpus()[0].model}`
  return options[name] === undefined ? `assumed: ${assumed[name].source}` : `--${name}`
}

function ringSentence(plans: readonly Plan[]): string {
  const ranges = ringRanges(plans)
  return ranges === ''
    ? 'A ring is never faster for these messages.'
    : `A ring is faster with ${ranges} ranks.`
}

function waySentence(channels: number): string {
  const from = sumsFrom(channels)
  return from > 2
    ? `${channels} channels: up to ${from - 1} ranks the forward is one collective of ${3 * channels + 5} numbers a rank; from ${from} on three, of 5 a rank, ${channels} and ${2 * channels}.`
    : `${channels} channels: the forward is three collectives, of 5 numbers a rank, ${channels} and ${2 * channels}.`
}
