/** A domain for each client against one batch norm for all, and a client that nobody knows. */
import * as tf from '@tensorflow/tfjs-core'
import { run } from '../../cli/explain/network.ts'
import { type Examples, rowsOf } from '../../cli/training/examples.ts'
import { accuracyOf, tensorsOf } from '../../cli/training/learning.ts'
import { type BatchNorm1d, type DomainBatchNorm1d, recalibrate } from '../../lib/index.ts'
import { CLIENTS, NEWCOMER, ownOf, type Trained } from './clients.ts'
import { looking } from './looks.ts'
import { batchesOf, type Dealt } from './settings.ts'

/** Shares of the test digits told right. */
export interface DomainOutcome {
  /** By client, with one batch norm for all, and with a domain each. */
  readonly one: readonly number[]
  readonly each: readonly number[]
  readonly newcomer: {
    readonly one: number
    /** With each client as the `fallback`. */
    readonly fallbacks: readonly number[]
    /** With a domain of its own, whose statistics are of the traffic, without labels. */
    readonly own: number
  }
  /** What a forward says of the newcomer without a fallback. */
  readonly refusal: string
}

export async function domainsOf(
  one: Trained<BatchNorm1d>,
  each: Trained<DomainBatchNorm1d>,
  { training, traffic, test }: Dealt,
): Promise<DomainOutcome> {
  for (const client of CLIENTS) {
    await recalibrateDomain(each, client.name, ownOf(client, training))
  }
  const looks = [...CLIENTS, NEWCOMER].map(({ look }) => looking(test, look))
  const newDigits = looks[CLIENTS.length]
  const ofOne = looks.map((digits) => rightOf(one, digits))
  const ofEach = CLIENTS.map(({ name }, index) => rightOf(each, looks[index], name))
  const fallbacks = CLIENTS.map(({ name }) => {
    for (const module of each.modules) module.fallback = name
    return rightOf(each, newDigits, NEWCOMER.name)
  })
  return {
    one: ofOne.slice(0, CLIENTS.length),
    each: ofEach,
    refusal: refusalOf(each, newDigits),
    newcomer: {
      one: ofOne[CLIENTS.length],
      fallbacks,
      own: await withOwnDomain(each, looking(traffic, NEWCOMER.look), newDigits),
    },
  }
}

function rightOf(
  { model, meet }: Trained<BatchNorm1d | DomainBatchNorm1d>,
  digits: Examples,
  domain = '',
): number {
  const tensors = tensorsOf(digits)
  meet(domain)
  const accuracy = accuracyOf(model, tensors)
  tf.dispose(tensors)
  return accuracy
}

function refusalOf(each: Trained<DomainBatchNorm1d>, digits: Examples): string {
  for (const module of each.modules) module.fallback = null
  try {
    rightOf(each, digits, NEWCOMER.name)
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing'
}

async function withOwnDomain(
  each: Trained<DomainBatchNorm1d>,
  traffic: Examples,
  digits: Examples,
): Promise<number> {
  for (const module of each.modules) module.addDomain(NEWCOMER.name)
  await recalibrateDomain(each, NEWCOMER.name, traffic)
  return rightOf(each, digits, NEWCOMER.name)
}

async function recalibrateDomain(
  { modules, network }: Trained<DomainBatchNorm1d>,
  name: string,
  examples: Examples,
): Promise<void> {
  const batchNorms = modules.map((module) => module.domain(name))
  const send = (batch: Examples) => run({ ...network, batchNorms }, rowsOf(batch))
  await recalibrate(batchNorms, batchesOf(examples), send)
}
