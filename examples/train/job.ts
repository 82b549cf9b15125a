import { setImmediate } from 'node:timers/promises'
import { loadDigits, splitDigits } from '../../cli/training/digits.ts'
import { environment } from '../../cli/training/environment.ts'
import { milliseconds, percent } from '../../cli/training/format.ts'
import { createProgressDisplay } from '../../cli/training/progress.ts'
import { startTensorFlow } from '../../cli/training/tensorflow.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import type { BatchNorm } from './model.ts'
import { DIGIT_COUNTS, type Options } from './options.ts'
import { describe } from './progress.ts'
import { reportOf } from './report.ts'
import { accuracyAfter, batchNormShare, epochsOf, hasBatchNorm, nameOf, type Run } from './run.ts'
import { type Progress, stepsPerEpochOf, train } from './training.ts'

/** Where a job writes, and what ends it. */
export interface Surroundings {
  readonly stdout: Pick<NodeJS.WriteStream, 'write'>
  readonly stderr: NodeJS.WriteStream
  readonly signal: AbortSignal
}

/**
 * Trains with every seed, with batch norm and without, says how it went and writes the report.
 *
 * @param command - what the report says it was made by
 * @returns the exit code: 130 after an interruption, 1 for a report that could not be written
 */
export async function runJob(
  options: Options,
  command: string,
  { stdout, stderr, signal }: Surroundings,
): Promise<number> {
  const { report, seeds, ...settings } = options
  await startTensorFlow()
  let text: string
  try {
    const trainings = await trainAll(options, stderr, signal)
    for (const run of trainings.flat()) stdout.write(`${summaryOf(run, seeds)}\n`)
    text = reportOf(trainings, { command, settings, environment: environment() })
    // Lets Ctrl-C in for the last time.
    await setImmediate()
    signal.throwIfAborted()
  } catch (error) {
    if (!signal.aborted) throw error
    stderr.write('Interrupted: no report written.\n')
    return 130
  }
  try {
    writeText(report, text)
  } catch (error) {
    stderr.write(errorLine(`The report was not written: ${(error as Error).message}`))
    return 1
  }
  stdout.write(`Report: ${report}\n`)
  return 0
}

/** One line, whatever the message. */
export function errorLine(message: string): string {
  return `error: ${message.replace(/\s+/g, ' ')}\n`
}

/** The runs with batch norm, if any, and those without; of each, a run for every seed. */
async function trainAll(
  { seeds, report: _, ...settings }: Options,
  output: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<Run[][]> {
  const { batchNorm, batchSize, epochs, seed } = settings
  const digits = loadDigits()
  const batchNorms: BatchNorm[] = batchNorm === 'none' ? ['none'] : [batchNorm, 'none']
  const trainings = batchNorms.map((): Run[] => [])
  const steps = seeds * batchNorms.length * epochs * stepsPerEpochOf(DIGIT_COUNTS.training, batchSize)
  const display = createProgressDisplay(output, steps)
  const onStep = (progress: Progress) => {
    signal.throwIfAborted()
    display.step(describe(progress), progress.testAccuracy !== undefined)
  }
  try {
    for (let index = 0; index < seeds; index++) {
      const split = splitDigits(digits, DIGIT_COUNTS, seed + index)
      for (const [kind, name] of batchNorms.entries()) {
        trainings[kind].push(await train(split, { ...settings, seed: seed + index, batchNorm: name }, onStep))
      }
    }
  } finally {
    display.stop()
  }
  return trainings
}

function summaryOf(run: Run, seeds: number): string {
  const { whole, batchNorm } = run.stepTime
  const step = `${milliseconds(whole)} a step`
  const share = `${percent(batchNormShare(run))} of it batch norm (${milliseconds(batchNorm)})`
  const last = `test accuracy ${percent(accuracyAfter(run, epochsOf(run)))}`
  const first = `${percent(accuracyAfter(run, 1))} after the first epoch`
  const name = seeds === 1 ? nameOf(run) : `${nameOf(run)}, seed ${run.seed}`
  return `${name}: ${[last, first, step, ...(hasBatchNorm(run) ? [share] : [])].join(', ')}`
}
