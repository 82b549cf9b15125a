import { resolve } from 'node:path'
import { Option } from 'commander'
import { createCommand, integerFrom, positiveNumber, writableFile } from '../../cli/training/arguments.ts'
import { MOST_SEEDS } from '../../cli/training/statistics.ts'
import { BATCH_NORMS } from './model.ts'
import type { Settings } from './settings.ts'

export interface Options extends Settings {
  /** How many seeds, from `seed` on. */
  readonly seeds: number
  /** An absolute path. */
  readonly report: string
  /** How many processes to start, which share each batch; undefined: none. */
  readonly workers?: number
  /** What the ranks talk by; undefined: this process is the only one. */
  readonly engine?: 'gloo' | 'mpi'
  /** Absolute paths: where to write checkpoints, and which one to go on from. */
  readonly checkpoint?: string
  readonly resume?: string
}

/** How many processes one machine is asked for at most. */
const MOST_WORKERS = 64

/** Training digits of the 10,000; the rest are for the test. */
export const DIGIT_COUNTS = { training: 8000, test: 2000 }

/**
 * Reads the command line. For `--help` the process ends with exit code 0; for a value it cannot
 * take it says so in one line and ends with exit code 2.
 */
export function readOptions(args: readonly string[]): Options {
  const command = createCommand('npm run train --')
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
    .option(
      '--workers <count>',
      'how many processes to start, which share each batch',
      integerFrom(1, MOST_WORKERS),
    )
    .addOption(
      new Option('--engine <name>', 'what they talk by: gloo, or mpi under mpirun').choices(['gloo', 'mpi']),
    )
    .option('--checkpoint <file>', 'where to write checkpoints of one network alone', writableFile)
    .option('--resume <file>', 'the checkpoint to go on from', (file) => resolve(file))
    .parse(args, { from: 'user' })
  const options = command.opts<Options>()
  const contradiction = contradictionIn(options)
  if (contradiction !== undefined) command.error(`error: ${contradiction}`)
  return options
}

function contradictionIn({ workers, engine, batchSize, batchNorm, seeds, ...files }: Options) {
  if (workers !== undefined && engine === 'mpi') {
    return '--workers starts ranks for gloo; mpirun -n starts those of --engine mpi.'
  }
  if (workers !== undefined && batchSize < workers) {
    return `--batch-size ${batchSize} is less than a digit for each of ${workers} workers.`
  }
  if ((workers !== undefined || engine !== undefined) && batchNorm === 'tfjs') {
    return "--batch-norm tfjs has no statistics over workers: they would be each worker's own."
  }
  if (seeds > 1 && (files.checkpoint !== undefined || files.resume !== undefined)) {
    return '--checkpoint and --resume are of one training, not of those of several --seeds.'
  }
  return undefined
}
