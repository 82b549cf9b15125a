import { resolve } from 'node:path'
import { Option } from 'commander'
import { createCommand, integerFrom, writableFile } from '../shared/arguments.ts'
import type { ExplainOptions } from './explain.ts'

/** Reads the command line; ends the process for `--help` and for a value it cannot take. */
export function readOptions(args: readonly string[]): Required<ExplainOptions> {
  return createCommand('npm run explain --')
    .description(
      'Answers three questions about batch norm by experiments on real digits, and writes them to a page.',
    )
    .option(
      '--seed <number>',
      'of the splits, the orders and the initial weights',
      integerFrom(0, 2 ** 31 - 1),
      1,
    )
    .addOption(
      new Option('--out <file>', 'where to write the page')
        .argParser(writableFile)
        .default(resolve('explain.html'), '"explain.html"'),
    )
    .parse(args, { from: 'user' })
    .opts<Required<ExplainOptions>>()
}
