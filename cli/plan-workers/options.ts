import { resolve } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import { createCommand, integerFrom, positiveNumber, writableFile } from '../training/arguments.ts'

const engines = ['gloo', 'mpi'] as const

export type EngineName = (typeof engines)[number]

/** What a command line says. */
export interface PlanOptions {
  /** Of each batch norm. */
  readonly channels: readonly number[]
  readonly ranks: { readonly from: number; readonly to: number }
  readonly alpha?: number
  readonly beta?: number
  /** Measures alpha and beta here instead. */
  readonly measure?: EngineName
  /** Values a channel of all ranks together. */
  readonly batch?: number
  readonly out: string
}

const mostRanks = 1024
const mostChannels = 2 ** 20

/** Reads the command line; ends the process for `--help` and for a value it cannot take. */
export function readOptions(args: readonly string[]): PlanOptions {
  return createCommand('npm run plan-workers --')
    .description(
      'What synchronized batch norms add to a step of training, against the number of ranks: a table, and a page.',
    )
    .requiredOption('--channels <counts>', 'of each batch norm, as 64,128,256', channelCounts)
    .addOption(
      new Option('--ranks <range>', `how many ranks, as 2..${mostRanks}`)
        .argParser(rangeOfRanks)
        .default({ from: 2, to: mostRanks }, `2..${mostRanks}`),
    )
    .option('--alpha <seconds>', 'latency of a message', positiveNumber)
    .option('--beta <seconds>', 'what each byte of a message adds', positiveNumber)
    .addOption(
      new Option('--measure <engine>', 'measure both between two ranks on this machine')
        .choices(engines)
        .conflicts(['alpha', 'beta']),
    )
    .option(
      '--batch <values>',
      'values a channel of all ranks together (rows times positions): also tells what a rank alone would see',
      integerFrom(2, 2 ** 40),
    )
    .addOption(
      new Option('--out <file>', 'where to write the page')
        .argParser(writableFile)
        .default(resolve('plan-workers.html'), '"plan-workers.html"'),
    )
    .parse(args, { from: 'user' })
    .opts<PlanOptions>()
}

function channelCounts(text: string): number[] {
  return text.split(',').map(integerFrom(1, mostChannels))
}

function rangeOfRanks(text: string): PlanOptions['ranks'] {
  const [from, to = from, ...rest] = text.split('..').map(integerFrom(2, mostRanks))
  if (rest.length > 0 || from > to) {
    throw new InvalidArgumentError(`Expected a range as 2..${mostRanks}.`)
  }
  return { from, to }
}
