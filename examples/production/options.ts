import { resolve } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import { createCommand, integerFrom, writableFile } from '../../cli/training/arguments.ts'
import { MOST_SEEDS } from '../../cli/training/statistics.ts'
import { SAMPLES } from './drift.ts'
import type { Settings } from './settings.ts'

export interface Options extends Settings {
  /** An absolute path. */
  readonly out: string
}

/** There are no more; and one of ten is adapted by. */
const MOST_EXAMPLES = 10_000
const LEAST_EXAMPLES = 10 * Math.max(...SAMPLES)

/**
 * Reads the command line. For `--help` the process ends with exit code 0; for a value it cannot take it says so in one
 * line and ends with exit code 2.
 */
export function readOptions(args: readonly string[]): Options {
  return createCommand('npm run production --')
    .description(
      'Measures what becomes of batch norm in production, in three stories, and writes them to a page.',
    )
    .addOption(
      new Option('--seeds <list>', 'of the splits, the orders and the initial weights')
        .argParser(seedList)
        .default([1, 2, 3], '1,2,3'),
    )
    .option('--epochs <count>', 'how often to go through the digits', integerFrom(1, 100), 3)
    .option(
      '--examples <count>',
      'how many of the digits to use',
      integerFrom(LEAST_EXAMPLES, MOST_EXAMPLES),
      MOST_EXAMPLES,
    )
    .addOption(
      new Option('--out <file>', 'where to write the page')
        .argParser(writableFile)
        .default(resolve('production.html'), '"production.html"'),
    )
    .parse(args, { from: 'user' })
    .opts<Options>()
}

function seedList(text: string): number[] {
  const seeds = text.split(',').map(integerFrom(0, 2 ** 31 - 1))
  if (seeds.length > MOST_SEEDS) throw new InvalidArgumentError(`Expected at most ${MOST_SEEDS} seeds.`)
  const twice = seeds.find((seed, index) => seeds.indexOf(seed) !== index)
  if (twice !== undefined)
    throw new InvalidArgumentError(`Expected each seed once but received ${twice} again.`)
  return seeds
}
