/**
 * The job: trains the digits classifier with batch norm, then the same one without, and writes a
 * report. `npm run train -- --help` tells the options.
 */
import { setImmediate } from 'node:timers/promises'
import { quoted } from '../../cli/training/arguments.ts'
import { loadDigits, splitDigits } from '../../cli/training/digits.ts'
import { environment } from '../../cli/training/environment.ts'
import { milliseconds, percent } from '../../cli/training/format.ts'
import { createProgressDisplay } from '../../cli/training/progress.ts'
import { startTensorFlow } from '../../cli/training/tensorflow.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import { useBackend } from '../../lib/index.ts'
import type { BatchNorm } from './model.ts'
import { DIGIT_COUNTS, readOptions } from './options.ts'
import { describe } from './progress.ts'
import { reportOf } from './report.ts'
import { accuracyAfter, batchNormShare, hasBatchNorm, nameOf, type Run } from './run.ts'
import { type Progress, stepsPerEpochOf, train } from './training.ts'

const args = process.argv.slice(2)
const { report, seeds: count, ...settings } = readOptions(args)
const { batchNorm, batchSize, epochs, seed } = settings
const command = ['npm run train', ...(args.length > 0 ? ['--', ...args.map(quoted)] : [])].join(' ')

if (batchNorm === 'native' || batchNorm === 'typescript') {
  try {
    useBackend(batchNorm)
  } catch (error) {
    fail(`--batch-norm ${batchNorm}: ${(error as Error).message}`)
  }
}
await startTensorFlow()

const digits = loadDigits()
const splits = Array.from({ length: count }, (_, index) => splitDigits(digits, DIGIT_COUNTS, seed + index))
const batchNorms: BatchNorm[] = batchNorm === 'none' ? ['none'] : [batchNorm, 'none']
const steps = count * batchNorms.length * epochs * stepsPerEpochOf(splits[0].training, batchSize)
const display = createProgressDisplay(process.stderr, steps)
process.once('SIGINT', interrupted)

const onStep = (progress: Progress) => display.step(describe(progress), progress.testAccuracy !== undefined)
const trainings = batchNorms.map((): Run[] => [])
try {
  for (const [index, split] of splits.entries()) {
    for (const [kind, name] of batchNorms.entries()) {
      const run = await train(split, { ...settings, seed: seed + index, batchNorm: name }, onStep)
      trainings[kind].push(run)
    }
  }
} finally {
  display.stop()
}
for (const run of trainings.flat()) process.stdout.write(`${summaryOf(run)}\n`)

const text = reportOf(trainings, { command, settings, environment: environment() })
// Lets Ctrl-C in for the last time.
await setImmediate()
try {
  writeText(report, text)
} catch (error) {
  fail(`The report was not written: ${(error as Error).message}`, 1)
}
process.off('SIGINT', interrupted)
process.stdout.write(`Report: ${report}\n`)

function interrupted(): void {
  display.stop()
  process.stderr.write('Interrupted: no report written.\n')
  process.exit(130)
}

function summaryOf(run: Run): string {
  const { whole, batchNorm } = run.stepTime
  const step = `${milliseconds(whole)} a step`
  const share = `${percent(batchNormShare(run))} of it batch norm (${milliseconds(batchNorm)})`
  const last = `test accuracy ${percent(accuracyAfter(run, epochs))}`
  const first = `${percent(accuracyAfter(run, 1))} after the first epoch`
  const name = count === 1 ? nameOf(run) : `${nameOf(run)}, seed ${run.seed}`
  return `${name}: ${[last, first, step, ...(hasBatchNorm(run) ? [share] : [])].join(', ')}`
}

/** One line, and an exit code: 2 for a value that cannot be taken. */
function fail(message: string, exitCode = 2): never {
  process.stderr.write(`error: ${message.replace(/\s+/g, ' ')}\n`)
  process.exit(exitCode)
}
