import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { BATCH_NORMS } from './model.ts'
import type { Settings } from './training.ts'

export interface Options extends Settings {
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
  return new Command('npm run train --')
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
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse(args, { from: 'user' })
    .opts<Options>()
}

function integerFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`Expected an integer from ${least} to ${most}.`)
  }
}

function positiveNumber(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Expected a number above 0.')
}

/** Checked before the training rather than after it. */
function writableFile(text: string): string {
  const file = resolve(text)
  if (existsSync(file) && !statSync(file).isFile()) throw new InvalidArgumentError('It is not a file.')
  try {
    accessSync(dirname(file), constants.W_OK)
  } catch {
    throw new InvalidArgumentError(`The folder ${dirname(file)} does not exist or cannot be written to.`)
  }
  return file
}
