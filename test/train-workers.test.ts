/** The training job over ranks, and its checkpoints. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadDigits, splitDigits } from '../cli/training/digits.ts'
import type { Examples } from '../cli/training/examples.ts'
import { startTensorFlow } from '../cli/training/tensorflow.ts'
import { readCheckpoint } from '../examples/train/checkpoint.ts'
import { runJob, type Surroundings } from '../examples/train/job.ts'
import { DIGIT_COUNTS, readOptions } from '../examples/train/options.ts'
import type { Run } from '../examples/train/run.ts'
import type { Settings } from '../examples/train/settings.ts'
import { train } from '../examples/train/training.ts'
import { startWorkers } from '../examples/train/workers.ts'
import { useBackend } from '../lib/backend/load.ts'
import { fileOfModule } from '../lib/distributed/native-engine.ts'
import { refusalOf } from './support/command-line.ts'

/**
 * Rounding of the dense layers' products differs from shards to the whole batch. At the job's own rate it grows to 2 % in
 * 100 steps, as noise of its size does in one process; at this one it does not.
 */
const LEARNING_RATE = 1e-4
const settings: Settings = {
  batchNorm: 'typescript',
  epochs: 1,
  batchSize: 80,
  learningRate: LEARNING_RATE,
  seed: 1,
}

let folder: string
let digits: Examples

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'batchnorm-workers-'))
  await startTensorFlow()
  useBackend('typescript')
  digits = loadDigits()
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function argumentsOf(checkpoint: string, epochs: number): string[] {
  return Object.entries({
    'batch-norm': settings.batchNorm,
    'batch-size': settings.batchSize,
    'learning-rate': LEARNING_RATE,
    epochs,
    checkpoint,
    report: `${checkpoint}.html`,
  }).flatMap(([name, value]) => [`--${name}`, String(value)])
}

const hasGloo = existsSync(fileOfModule('gloo'))
if (!hasGloo)
  console.warn('NOT TESTED: training over ranks. Build the module of gloo() with "npm run build:gloo".')

describe.skipIf(!hasGloo)('over ranks', () => {
  /** One process with the whole batches: 100 steps. */
  let alone: Run

  beforeAll(async () => {
    alone = await train(splitDigits(digits, DIGIT_COUNTS, settings.seed), settings, () => {})
  }, 600_000)

  function expectThoseOfOneProcess(losses: readonly number[]) {
    const differences = losses.map((loss, step) => Math.abs(loss / alone.losses[step] - 1))
    expect(Math.max(...differences)).toBeLessThan(1e-5)
  }

  test('of uneven shards the losses are those of one process, and the first rank writes the report', async () => {
    const checkpoint = join(folder, 'three.safetensors')
    const { ended } = startWorkers(3, argumentsOf(checkpoint, 1), { output: 'ignore' })
    expect(await ended).toEqual({ code: 0 })
    const { history } = readCheckpoint(checkpoint)
    expect(history.losses).toHaveLength(100)
    expectThoseOfOneProcess(history.losses)
    expect(history.trainingAccuracies[0]).toBeCloseTo(alone.trainingAccuracies[0], 2)
    expect(readFileSync(`${checkpoint}.html`, 'utf8')).toContain('<dt>workers</dt><dd>3</dd>')
  }, 600_000)

  test('a rank that is lost ends the job with a line and an exit code; the checkpoint is whole', async () => {
    const checkpoint = join(folder, 'two.safetensors')
    const settings = { checkpoint, output: 'ignore' } as const
    const { ranks, ended } = startWorkers(2, argumentsOf(checkpoint, 1000), settings)
    await expect.poll(() => existsSync(checkpoint), { timeout: 300_000 }).toBe(true)
    ranks[1].kill('SIGKILL')
    expect(await ended).toEqual({
      code: 1,
      error: `Rank 1 has failed, and ended the job: it was ended by SIGKILL. --resume ${checkpoint} goes on from the last checkpoint.`,
    })
    expect(ranks[0].exitCode).toBe(1)
    const { losses } = readCheckpoint(checkpoint).history
    expect(losses.length % 20).toBe(0)
    expectThoseOfOneProcess(losses.slice(0, 100))
  }, 600_000)
})

describe('checkpoints', () => {
  let checkpoint: string

  test('what is resumed goes on with the bits of a training without a break', async () => {
    checkpoint = join(folder, 'interrupted.safetensors')
    const brief = splitDigits(digits, { training: 1280, test: 100 }, settings.seed)
    const two = { ...settings, epochs: 2 }
    const { losses, testAccuracies, trainingAccuracies, activations } = await train(brief, two, () => {})
    let steps = 0
    const interrupt = () => {
      steps++
      if (steps === 13) throw new Error('interrupted')
    }
    await expect(train(brief, two, interrupt, { checkpoint })).rejects.toThrow('interrupted')
    const resumed = readCheckpoint(checkpoint)
    expect(resumed.history.losses).toEqual(losses.slice(0, 12))
    const run = await train(brief, two, () => {}, { resumed })
    expect(run).toMatchObject({ losses, testAccuracies, trainingAccuracies, activations })
  })

  test.each([
    [['--batch-size', '64'], 'Expected the batchSize 80 of the checkpoint but received 64'],
    [['--batch-norm', 'none'], 'Expected the batchNorm typescript of the checkpoint but received none'],
  ])('%j is not what it was made with: one line, and exit code 2', async (args, message) => {
    const options = readOptions([...argumentsOf(checkpoint, 1), '--resume', checkpoint, ...args])
    let written = ''
    const stderr = {
      write(text: string) {
        written += text
      },
    }
    const signal = new AbortController().signal
    const surroundings = { stdout: stderr, stderr, signal } as unknown as Surroundings
    expect(await runJob(options, '', surroundings)).toBe(2)
    expect(written).toBe(`error: --resume ${checkpoint}: ${message}\n`)
  })
})

test.each([
  [['--workers', '4', '--engine', 'mpi'], 'mpirun -n starts those of --engine mpi'],
  [['--workers', '4', '--batch-size', '3'], 'less than a digit for each of 4 workers'],
  [['--workers', '2', '--batch-norm', 'tfjs'], 'no statistics over workers'],
  [['--seeds', '2', '--checkpoint', 'c.safetensors'], 'of one training'],
  [['--engine', 'nccl'], 'Allowed choices are gloo, mpi.'],
])('%j gets one clear line and exit code 2', (args, message) => {
  const { code, written } = refusalOf(readOptions, args)
  expect(code).toBe(2)
  expect(written.trimEnd().split('\n')).toEqual([expect.stringContaining(message)])
})
