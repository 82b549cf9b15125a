/** Values on a command line, each as `commander` wants its parser: the value, or what was expected. */
import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { assertWritable } from '../../lib/checkpoints/write.ts'

/**
 * A command that ends the process with exit code 0 for `--help`, and with one line and exit code 2
 * for a value it cannot take.
 */
export function createCommand(name: string): Command {
  return new Command(name)
    .allowExcessArguments(false)
    .showSuggestionAfterError(false)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
}

export function integerFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`Expected an integer from ${least} to ${most}.`)
  }
}

export function positiveNumber(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Expected a number above 0.')
}

/** An absolute path. Checked before the work rather than after it. */
export function writableFile(text: string): string {
  const file = resolve(text)
  if (existsSync(file) && !statSync(file).isFile()) throw new InvalidArgumentError('It is not a file.')
  try {
    assertWritable(file)
  } catch (error) {
    const [reason] = (error as Error).message.split(',')
    throw new InvalidArgumentError(`It cannot be written into the folder ${dirname(file)} (${reason}).`)
  }
  return file
}

/** An argument as a shell takes it, so that a command which is shown can be run again. */
export function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`
}
