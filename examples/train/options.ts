import { resolve } from 'node:path'
import { Option } from 'commander'
import { createCommand, integerFrom, positiveNumber, writableFile } from '../../cli/training/arguments.ts'
import { MOST_SEEDS } from '../../cli/training/statistics.ts'
import { BATCH_NORMS } from './model.ts'
import type { Settings } from './training.ts'

export interface Options extends Settings {
  /** How many seeds, from `seed` on. */
  readonly seeds: number
  /** An absolute path. */
  readonly report: string
}

/** Training digits of the 10,000; the rest are for the test. */
export const DIGIT_COUNTS = { training: 8000, test: 2000 }

/**
 * Reads the command line. For `--help` the process ends with exit code 0; for a value it cannot
 * take it says so in one line and ends with exit code 2.
 */
export function readOptions(args: readonly string[]): Options {
  return createCommand('npm run train --')
    .description('Trains a digits classifier with batch norm, then one without, and writes a report.')
    .option('--epochs <count>', 'how often to go through the training digits', integerFrom(1, 1000), 5)
    .option(
      '--batch-size <count>',
      'how many digits to take a step on',
      integerFrom(2, DIGIT_COUNTS.training),
      64,
    )
    .option('--learning-rate <rate>', "Adam's learning rate", positiveNumber, 2e-3)
    .option(
      '--seed <number>',
      'of the split, the order and the initial weights',
      integerFrom(0, 2 ** 31 - 1),
      1,
    )
    .option('--seeds <count>', 'how many seeds to train with, each once', integerFrom(1, MOST_SEEDS), 1)
    .addOption(
      new Option('--batch-norm <kind>', "this library's native or typescript backend, tfjs's own, or none")
        .choices(BATCH_NORMS)
        .default('native'),
    )
    .addOption(
      new Option('--report <file>', 'where to write the report')
        .argParser(writableFile)
        .default(resolve('report.html'), '"report.html"'),
    )
    .parse(args, { from: 'user' })
    .opts<Options>()
}
