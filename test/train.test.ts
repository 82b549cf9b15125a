/** The training job of examples/train: the training itself, the report, and the command line. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import * as tf from '@tensorflow/tfjs-core'
import { parseHTML } from 'linkedom'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { quoted } from '../cli/training/arguments.ts'
import { loadDigits, PIXELS, splitDigits } from '../cli/training/digits.ts'
import type { Examples } from '../cli/training/examples.ts'
import { percent } from '../cli/training/format.ts'
import { createProgressDisplay } from '../cli/training/progress.ts'
import { wilsonInterval } from '../cli/training/statistics.ts'
import { startTensorFlow } from '../cli/training/tensorflow.ts'
import { normalizationOf } from '../examples/train/distribution.ts'
import { runJob, type Surroundings } from '../examples/train/job.ts'
import { confusionOf, DIGITS_SHOWN } from '../examples/train/mistakes.ts'
import type { BatchNorm } from '../examples/train/model.ts'
import { DIGIT_COUNTS, readOptions } from '../examples/train/options.ts'
import { describe as describeProgress } from '../examples/train/progress.ts'
import { reportOf } from '../examples/train/report.ts'
import { accuracyAfter, type Run, rightOf, typicalStep } from '../examples/train/run.ts'
import type { Settings } from '../examples/train/settings.ts'
import { train } from '../examples/train/training.ts'
import { configurations, describeNativeAvailability, natives, select } from './support/backends.ts'
import { refusalOf, startJob } from './support/command-line.ts'

let digits: Examples

const errorHandlers = () =>
  ['uncaughtException', 'unhandledRejection'].map((event) => process.rawListeners(event))
const errorHandlersBefore = errorHandlers()

beforeAll(async () => {
  await startTensorFlow()
  digits = loadDigits()
})

function settingsOf(batchNorm: BatchNorm, settings: Partial<Settings> = {}): Settings {
  return { batchNorm, epochs: 2, batchSize: 64, learningRate: 2e-3, seed: 1, ...settings }
}

/** A training short enough to run often. */
async function trainBriefly(settings: Settings): Promise<Run> {
  return await train(splitDigits(digits, { training: 256, test: 100 }, settings.seed), settings, () => {})
}

test('TensorFlow.js leaves the handling of errors as it was', () => {
  expect(errorHandlers()).toEqual(errorHandlersBefore)
})

describe('data', () => {
  test('the digits are 10,000 images of grey values from 0 to 1, of ten classes', () => {
    expect(digits.count).toBe(10_000)
    expect(digits.inputs).toHaveLength(10_000 * PIXELS)
    expect(digits.labels).toHaveLength(10_000)
    expect(digits.inputs.every((grey) => grey >= 0 && grey <= 1)).toBe(true)
    expect(new Set(digits.labels).size).toBe(10)
  })

  test('a split deals out every digit once, with its label, in the order of the seed', () => {
    const numbered = {
      count: 10,
      inputs: Float32Array.from({ length: 10 * PIXELS }, (_, index) => Math.floor(index / PIXELS)),
      labels: Int32Array.from({ length: 10 }, (_, index) => 100 + index),
    }
    const labelsOf = (seed: number) => {
      const { training, test } = splitDigits(numbered, { training: 7, test: 3 }, seed)
      for (const { inputs, labels } of [training, test]) {
        labels.forEach((label, index) => {
          expect(inputs.subarray(index * PIXELS, (index + 1) * PIXELS).every((x) => x + 100 === label)).toBe(
            true,
          )
        })
      }
      return [...training.labels, ...test.labels]
    }
    expect(labelsOf(1).toSorted()).toEqual([...numbered.labels])
    expect(labelsOf(1)).toEqual(labelsOf(1))
    expect(labelsOf(1)).not.toEqual(labelsOf(2))
  })
})

describe('training', () => {
  describeNativeAvailability()

  test('the same seed gives the same losses and activations, bit for bit, on every backend and from run to run', async () => {
    const runs: Run[] = []
    for (const configuration of [...configurations, configurations[0]]) {
      select(configuration)
      runs.push(await trainBriefly(settingsOf(configuration.backend)))
    }
    for (const run of runs.slice(1)) {
      expect(run.losses).toEqual(runs[0].losses)
      expect(run.testAccuracies).toEqual(runs[0].testAccuracies)
      expect(run.activations).toEqual(runs[0].activations)
    }
    expect((await trainBriefly(settingsOf('typescript', { seed: 2 }))).losses).not.toEqual(runs[0].losses)
  })

  test.each(['tfjs', 'none'] as const)(
    '%s: the same seed gives the same losses from run to run',
    async (batchNorm) => {
      const [first, second] = [
        await trainBriefly(settingsOf(batchNorm)),
        await trainBriefly(settingsOf(batchNorm)),
      ]
      expect(second.losses).toEqual(first.losses)
    },
  )

  test('no tensor outlives a training', async () => {
    const { numTensors } = tf.memory()
    await trainBriefly(settingsOf('typescript', { epochs: 1 }))
    expect(tf.memory().numTensors).toBe(numTensors)
  })

  // The goal is 94.5 % after five epochs.
  test('94.5 % of the test digits after two epochs, and 1.5 points ahead of none after the first', async () => {
    const [best] = [...natives, ...configurations]
    select(best)
    const split = splitDigits(digits, DIGIT_COUNTS, 1)
    const norm = await train(split, settingsOf(best.backend), () => {})
    const none = await train(split, settingsOf('none', { epochs: 1 }), () => {})
    expect(accuracyAfter(norm, 2)).toBeGreaterThanOrEqual(0.945)
    expect(accuracyAfter(norm, 1) - accuracyAfter(none, 1)).toBeGreaterThanOrEqual(0.015)
  })
})

describe('distribution', () => {
  test('has the moments of all units and of each, and an area of 1', () => {
    // Two units: 1 and 3, and -1 and -3.
    const before = Float32Array.from([1, -1, 3, -3])
    const { all, units } = normalizationOf({ units: 2, before, after: before }).before
    expect(all).toMatchObject({ mean: 0, deviation: Math.sqrt(5) })
    expect(units).toMatchObject([
      { mean: 2, deviation: 1 },
      { mean: -2, deviation: 1 },
    ])
    for (const { density } of [all, ...units]) {
      const width = density[1].x - density[0].x
      expect(density.reduce((area, { y }) => area + y * width, 0)).toBeCloseTo(1, 12)
    }
  })
})

describe('progress', () => {
  test('a terminal of 80 columns shows the bar, the time left, the loss and the accuracy', () => {
    let written = ''
    const terminal = new Writable({
      write(chunk, _, done) {
        written += chunk
        done()
      },
    })
    const output = Object.assign(terminal, { isTTY: true, columns: 80 }) as unknown as NodeJS.WriteStream
    const display = createProgressDisplay(output, 1)
    display.step(describeProgress({ batchNorm: 'native', epoch: 1, loss: 1, accuracy: 0.9 }), false)
    display.stop()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor
    const drawn = written.split(/\x1b(?:\[\??\d+[A-Za-z]|\d)/).filter((text) => text.includes('accuracy'))
    expect(drawn).toContain('██████ 0 s left | batch norm native | epoch 1 | loss 1.0000 | accuracy 90.00 %')
    for (const line of drawn) expect(line.length).toBeLessThanOrEqual(80)
  })
})

describe('report', () => {
  const origin = {
    command: 'npm run train -- --report "<b>&.html"',
    settings: settingsOf('typescript', { seed: 4711 }),
    environment: [['Node.js', 'v20']] as const,
  }

  test('is one file with a text for every picture, the figures, the command and the seed', async () => {
    const runs = [await trainBriefly(settingsOf('typescript')), await trainBriefly(settingsOf('none'))]
    const text = reportOf(
      runs.map((run) => [run]),
      origin,
    )
    const { document } = parseHTML(text)
    expect(
      text.match(/<(script|link|img|iframe|object|embed)|@import|url\((?!#)|\bsrc=|NaN|undefined/i),
    ).toBeNull()
    const pictures = [...document.querySelectorAll('svg')]
    const [{ told, test }] = runs
    const wrong = told.filter((label, digit) => label !== test.labels[digit]).length
    // Two curves, and before and after in two layers, each for a screen and for a phone; two confusion matrices, digits.
    expect(pictures).toHaveLength((2 + 4) * 2 + 2 + Math.min(wrong, DIGITS_SHOWN))
    expect(text.length).toBeLessThan(2e6)
    for (const picture of pictures) {
      expect(picture.getAttribute('role')).toBe('img')
      expect(picture.getAttribute('aria-label')).toBeTruthy()
      expect(picture.getAttribute('aria-description')).toMatch(/\d/)
    }
    const marks = pictures
      .slice(-2)
      .map((picture) => [...picture.querySelectorAll('text')].map((t) => t.textContent))
    for (const labels of marks) {
      expect(labels).toEqual(expect.arrayContaining(['−3σ', '−2σ', '−1σ', 'μ', '+1σ', '+2σ', '+3σ']))
    }
    expect(document.querySelector('pre code')?.textContent).toBe(origin.command)
    expect(document.querySelector('.figures')?.textContent).toContain(
      `${(accuracyAfter(runs[1], 2) * 100).toFixed(2)} %`,
    )
    expect(document.querySelector('.facts')?.textContent).toContain('4711')
    const content = document.querySelector('main')?.textContent
    for (const run of runs) {
      const [right, { count }] = [rightOf(run), run.test]
      expect(right / count).toBe(accuracyAfter(run, 2))
      expect(content).toContain(`${right} of ${count}`)
      expect(content).toContain(wilsonInterval(right, count).map(percent).join(' to '))
      expect(content).toContain(percent(run.trainingAccuracies[1]))
    }
    expect(content).toContain('One seed cannot show which network is better')
    // No curve reaches beyond its picture.
    for (const path of document.querySelectorAll('g[aria-label="line"][clip-path] path')) {
      const heights = [...(path.getAttribute('d') ?? '').matchAll(/,(-?[\d.]+)/g)].map(([, y]) => Number(y))
      expect(Math.min(...heights)).toBeGreaterThanOrEqual(29)
    }
  })

  test('of several seeds has each, their spread, and what the interval of the difference shows', async () => {
    const brief = { epochs: 1 }
    const trainings: Run[][] = [[], []]
    for (const seed of [1, 2]) {
      trainings[0].push(await trainBriefly(settingsOf('typescript', { ...brief, seed })))
      trainings[1].push(await trainBriefly(settingsOf('none', { ...brief, seed })))
    }
    const { document } = parseHTML(reportOf(trainings, origin))
    const content = document.querySelector('main')?.textContent ?? ''
    expect([...document.querySelectorAll('tbody th')].map(({ textContent }) => textContent)).toEqual(
      expect.arrayContaining(['seed 1', 'seed 2', 'mean ± standard deviation', 'epoch 1']),
    )
    for (const run of trainings.flat()) expect(content).toContain(percent(accuracyAfter(run, 1)))
    expect(content).toMatch(/(equivalent|different|not decided): the .*interval .*1 point/)
    expect(content).not.toContain('One seed cannot show')
  })

  test('the confusion matrix counts every digit of the test, the right ones on its diagonal', () => {
    const test = { count: 4, inputs: new Float32Array(4 * PIXELS), labels: Int32Array.of(3, 3, 9, 0) }
    const cells = confusionOf({ test, told: Int32Array.of(3, 5, 9, 0) } as Run).filter(
      ({ count }) => count > 0,
    )
    expect(cells).toEqual([
      { label: 0, told: 0, count: 1 },
      { label: 3, told: 3, count: 1 },
      { label: 3, told: 5, count: 1 },
      { label: 9, told: 9, count: 1 },
    ])
  })

  test('the parts of a typical step are parts of the whole: of the same steps, without the outliers', () => {
    const steps = [1, 8, 2, 100].map((whole) => ({ whole, batchNorm: whole / 4, update: whole / 2 }))
    expect(typicalStep(steps)).toEqual({ whole: 5, batchNorm: 1.25, update: 2.5 })
    expect(typicalStep(steps.slice(0, 1)).whole).toBe(1)
  })

  test('of a thousand epochs opens: its curves end where the training did, and have points for a picture', () => {
    const losses = Array.from({ length: 125_000 }, (_, step) => 2 - step / 125_000)
    const long: Run = {
      batchNorm: 'none',
      seed: 1,
      stepsPerEpoch: 125,
      losses,
      testAccuracies: [],
      trainingAccuracies: [0.9],
      test: { count: 1, inputs: new Float32Array(PIXELS), labels: Int32Array.of(3) },
      told: Int32Array.of(5),
      variables: 6,
      stepTime: { whole: 9, batchNorm: 0, update: 2 },
      activations: [],
    }
    const text = reportOf([[long]], origin)
    expect(text.length).toBeLessThan(320_000)
    const { document } = parseHTML(text)
    const [loss] = document.querySelectorAll('svg')
    const curves = [...loss.querySelectorAll('g[aria-label="line"] path')].map((path) =>
      path.getAttribute('d'),
    )
    expect(curves).toHaveLength(2)
    // The axis of the epochs ends 20 before the picture, which is 520 wide.
    for (const curve of curves) expect(curve).toMatch(/L500,[\d.]+$/)
  })

  test('of a run without batch norm has its curves only', async () => {
    const { document } = parseHTML(reportOf([[await trainBriefly(settingsOf('none'))]], origin))
    expect(document.querySelectorAll('svg')).toHaveLength(
      2 * 2 + 1 + document.querySelectorAll('.digits li').length,
    )
    expect(document.querySelectorAll('dl.figure')).toHaveLength(3)
  })
})

describe('command line', () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'batchnorm-train-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  function start(args: readonly string[], environment?: NodeJS.ProcessEnv) {
    return startJob('examples/train/main.ts', args, environment)
  }

  test('--help lists every option, with exit code 0', () => {
    const { code, written } = refusalOf(readOptions, ['--help'])
    expect(code).toBe(0)
    for (const option of [
      'epochs',
      'batch-size',
      'learning-rate',
      'seed',
      'seeds',
      'batch-norm',
      'report',
      'help',
    ]) {
      expect(written).toContain(`--${option}`)
    }
  })

  test.each([
    [['--epochs', '0'], 'Expected an integer from 1 to 1000.'],
    [['--epochs', '2.5'], 'Expected an integer from 1 to 1000.'],
    [['--batch-size', '1'], 'Expected an integer from 2 to 8000.'],
    [['--learning-rate', '-1'], 'Expected a number above 0.'],
    [['--learning-rate', 'Infinity'], 'Expected a number above 0.'],
    [['--seeds', '0'], 'Expected an integer from 1 to 10.'],
    [['--seeds', '11'], 'Expected an integer from 1 to 10.'],
    [['--seed', '1e3'], 'Expected an integer from 0 to 2147483647.'],
    [['--batch-norm', 'torch'], 'Allowed choices are native, typescript, tfjs, none.'],
    [
      ['--report', join(tmpdir(), 'no-such-folder', 'report.html')],
      'no-such-folder (ENOENT: no such file or',
    ],
    [['--report', join(import.meta.filename, 'report.html')], 'train.test.ts (ENOTDIR: not a directory).'],
    [['--report', 'r'.repeat(300)], '(ENAMETOOLONG: name too long).'],
    [['--report', tmpdir()], 'It is not a file.'],
    [['--epoch', '1'], "unknown option '--epoch'"],
    [['5'], 'too many arguments'],
  ])('%j gets one clear line and exit code 2', (args, message) => {
    const { code, written } = refusalOf(readOptions, args)
    expect(code).toBe(2)
    expect(written.trimEnd().split('\n')).toEqual([expect.stringContaining(message)])
  })

  test('native without its addon gets one clear line and exit code 2', async () => {
    const { code, stderr } = await start([], { BATCHNORM_PREBUILD: folder }).ended
    expect(code).toBe(2)
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^error: --batch-norm native: .*addon/),
    ])
  })

  /** The job in this process, brief; `onLine` hears of each line on stderr. */
  async function run(args: readonly string[], onLine = () => {}) {
    const written = { stdout: '', stderr: '' }
    const writer = (name: keyof typeof written, then = () => {}) => ({
      write(text: string) {
        written[name] += text
        then()
      },
    })
    const options = readOptions(['--epochs', '1', '--batch-size', '4000', ...args])
    const code = await runJob(options, 'the command', {
      stdout: writer('stdout'),
      stderr: writer('stderr', onLine),
      signal: new AbortController().signal,
    } as unknown as Surroundings)
    return { code, ...written }
  }

  test('trains, says how it went in plain lines, and writes the report', async () => {
    const report = join(folder, 'a report.html')
    const { code, stdout, stderr } = await run(['--batch-norm', 'typescript', '--report', report])
    expect(code).toBe(0)
    expect(
      stderr.match(/^batch norm (typescript|none) \| epoch 1 \| loss .* \| test .* left$/gm),
    ).toHaveLength(2)
    expect(stdout).toMatch(/^with batch norm: test accuracy \d.* %, .* ms a step, .* of it batch norm/m)
    expect(stdout).toMatch(/^without batch norm: test accuracy /m)
    expect(stdout).toContain(report)
    const { document } = parseHTML(readFileSync(report, 'utf8'))
    expect(document.querySelector('pre code')?.textContent).toBe('the command')
    expect(readdirSync(folder)).toEqual(['a report.html'])
    rmSync(report)
  })

  test('a report that cannot be written at the end costs no results: one line more, and exit code 1', async () => {
    const gone = join(folder, 'gone')
    mkdirSync(gone)
    const args = ['--batch-norm', 'none', '--report', join(gone, 'report.html')]
    const { code, stdout, stderr } = await run(args, () => rmSync(gone, { recursive: true, force: true }))
    expect(code).toBe(1)
    expect(stdout).toMatch(/^without batch norm: test accuracy .*\n$/)
    expect(stderr.trimEnd().split('\n').slice(1)).toEqual([
      expect.stringMatching(/^error: The report was not written: ENOENT/),
    ])
  })

  test.skipIf(process.platform === 'win32').each(['plain', 'a b', "it's", '$HOME `"\\*', ''])(
    '%j on the page is what a shell reads back',
    (argument) => {
      expect(execFileSync('sh', ['-c', `printf %s ${quoted(argument)}`], { encoding: 'utf8' })).toBe(argument)
    },
  )

  test('Ctrl-C leaves the report that was there, and no other file', async () => {
    const report = join(folder, 'report.html')
    writeFileSync(report, 'earlier')
    const args = [
      '--epochs',
      '1000',
      '--batch-size',
      '4000',
      '--batch-norm',
      'typescript',
      '--report',
      report,
    ]
    const { job, ended } = start(args)
    await once(job.stderr, 'data')
    job.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, stdout: '' })
    expect(readdirSync(folder)).toEqual(['report.html'])
    expect(readFileSync(report, 'utf8')).toBe('earlier')
  })
})
