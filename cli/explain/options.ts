import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { createCommand, integerFrom, writableFile } from '../training/arguments.ts'
import type { ExplainOptions } from './explain.ts'

/** What a command line says. */
export type ExplainArguments = Required<Pick<ExplainOptions, 'seed' | 'out'>>

/** The description and the options of the experiment, for whichever command carries it. */
export function describeExplain(command: Command): Command {
  return command
    .description(
      'Answer three questions about batch norm by experiments on real digits, and write them to a page.',
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
}

/** Reads the command line; ends the process for `--help` and for a value it cannot take. */
export function readOptions(args: readonly string[]): ExplainArguments {
  return describeExplain(createCommand('npm run explain --'))
    .parse(args, { from: 'user' })
    .opts<ExplainArguments>()
}
