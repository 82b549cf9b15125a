import { setImmediate } from 'node:timers/promises'
import { loadDigits, splitDigits } from '../../cli/training/digits.ts'
import { environment } from '../../cli/training/environment.ts'
import { milliseconds, percent } from '../../cli/training/format.ts'
import { createProgressDisplay } from '../../cli/training/progress.ts'
import { startTensorFlow } from '../../cli/training/tensorflow.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import { type Collective, solo } from '../../lib/distributed/index.ts'
import { type Checkpoint, readCheckpoint } from './checkpoint.ts'
import type { BatchNorm } from './model.ts'
import { DIGIT_COUNTS, type Options } from './options.ts'
import { describe } from './progress.ts'
import { reportOf } from './report.ts'
import { accuracyAfter, batchNormShare, epochsOf, hasBatchNorm, nameOf, type Run } from './run.ts'
import type { Settings } from './settings.ts'
import { type Progress, stepsPerEpochOf, train } from './training.ts'

/** Where a job writes, and what ends it. */
export interface Surroundings {
  readonly stdout: Pick<NodeJS.WriteStream, 'write'>
  readonly stderr: NodeJS.WriteStream
  readonly signal: AbortSignal
  /** The ranks that share each batch. The first one alone writes. */
  readonly collective?: Collective
}

/**
 * Trains with every seed, with batch norm and without, says how it went and writes the report. With checkpoints it
 * trains one network alone.
 *
 * @param command - what the report says it was made by
 * @returns the exit code: 130 after an interruption, 1 for a report that could not be written, 2 for a checkpoint
 * that could not be resumed
 * @throws CollectiveError if a rank is lost
 */
export async function runJob(
  options: Options,
  command: string,
  { stdout, stderr, signal, collective = solo() }: Surroundings,
): Promise<number> {
  const { report, seeds, batchNorm, epochs, batchSize, learningRate, seed, resume } = options
  const settings = { batchNorm, epochs, batchSize, learningRate, seed }
  let resumed: Checkpoint | undefined
  try {
    if (resume !== undefined) resumed = checkpointFor(settings, resume)
  } catch (error) {
    stderr.write(errorLine(`--resume ${resume}: ${(error as Error).message}`))
    return 2
  }
  await startTensorFlow()
  let text: string
  try {
    const trainings = await trainAll(options, settings, resumed, stderr, signal, collective)
    if (collective.rank > 0) return 0
    for (const run of trainings.flat()) stdout.write(`${summaryOf(run, seeds)}\n`)
    const ranks: [string, string] = ['workers', `${collective.size}`]
    text = reportOf(trainings, { command, settings, environment: [ranks, ...environment()] })
    // Lets Ctrl-C in for the last time.
    await setImmediate()
    signal.throwIfAborted()
  } catch (error) {
    if (!signal.aborted) throw error
    if (collective.rank === 0) stderr.write('Interrupted: no report written.\n')
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

/** @throws if the file cannot be read, or is of a training with other settings, or of one that has ended */
function checkpointFor(settings: Settings, path: string): Checkpoint {
  const checkpoint = readCheckpoint(path)
  for (const name of ['batchNorm', 'batchSize', 'learningRate', 'seed'] as const) {
    const [wanted, found] = [settings[name], checkpoint.settings[name]]
    // The backends give the same bits.
    const isSame = wanted === found || (name === 'batchNorm' && [wanted, found].every(isOurs))
    if (!isSame)
      throw new RangeError(`Expected the ${name} ${found} of the checkpoint but received ${wanted}`)
  }
  const done = checkpoint.history.losses.length / stepsPerEpochOf(DIGIT_COUNTS.training, settings.batchSize)
  if (done < settings.epochs) return checkpoint
  throw new RangeError(
    `Expected more epochs than the ${done} of the checkpoint but received ${settings.epochs}`,
  )
}

function isOurs(batchNorm: unknown): boolean {
  return batchNorm === 'native' || batchNorm === 'typescript'
}

/** The runs with batch norm, if any, and those without; of each, a run for every seed. */
async function trainAll(
  { seeds, checkpoint }: Options,
  settings: Settings,
  resumed: Checkpoint | undefined,
  output: NodeJS.WriteStream,
  signal: AbortSignal,
  collective: Collective,
): Promise<Run[][]> {
  const { batchNorm, batchSize, epochs, seed } = settings
  const digits = loadDigits()
  const isAlone = batchNorm === 'none' || checkpoint !== undefined || resumed !== undefined
  const batchNorms: BatchNorm[] = isAlone ? [batchNorm] : [batchNorm, 'none']
  const trainings = batchNorms.map((): Run[] => [])
  const done = resumed?.history.losses.length ?? 0
  const steps = seeds * batchNorms.length * epochs * stepsPerEpochOf(DIGIT_COUNTS.training, batchSize) - done
  const display = collective.rank === 0 ? createProgressDisplay(output, steps) : undefined
  const onStep = (progress: Progress) => {
    signal.throwIfAborted()
    display?.step(describe(progress), progress.testAccuracy !== undefined)
  }
  try {
    for (let index = 0; index < seeds; index++) {
      const split = splitDigits(digits, DIGIT_COUNTS, seed + index)
      for (const [kind, name] of batchNorms.entries()) {
        const own = { ...settings, seed: seed + index, batchNorm: name }
        const run = await train(split, own, onStep, { collective, checkpoint, resumed })
        trainings[kind].push(run)
      }
    }
  } finally {
    display?.stop()
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
