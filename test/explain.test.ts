/** The experiment of cli/explain: its parts, its answers on a small study, the page, and the command line. */
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { parseHTML } from 'linkedom'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerActivation } from '../cli/explain/activation/experiment.ts'
import { activationSection } from '../cli/explain/activation/section.ts'
import { answerGamma } from '../cli/explain/gamma/experiment.ts'
import { gammaSection } from '../cli/explain/gamma/section.ts'
import {
  type Architecture,
  createModel,
  largestOf,
  type Network,
  networkOf,
  run,
} from '../cli/explain/network.ts'
import { readOptions } from '../cli/explain/options.ts'
import { explanationOf } from '../cli/explain/page.ts'
import { answerScale } from '../cli/explain/scale/experiment.ts'
import { scaleSection } from '../cli/explain/scale/section.ts'
import { SPREAD, spirals, TURNS } from '../cli/explain/spirals.ts'
import { conduct, type Study, stepsOfStudy, TASKS, type Tasks } from '../cli/explain/study.ts'
import { learn } from '../cli/explain/training.ts'
import { rowsOf } from '../cli/training/examples.ts'
import { tensorsOf, trainStep } from '../cli/training/learning.ts'
import {
  holdsFor,
  pairedDifference,
  relationText,
  spreadOf,
  spreadText,
  wilsonInterval,
} from '../cli/training/statistics.ts'
import { startTensorFlow } from '../cli/training/tensorflow.ts'
import { toAffine } from '../lib/index.ts'
import { configurations, describeNativeAvailability, natives, select, share } from './support/backends.ts'
import { refusalOf, startJob } from './support/command-line.ts'

/** A study short enough to run often: it has every figure of the whole one, from less training. */
const tasks: Tasks = {
  digits: {
    ...TASKS.digits,
    counts: { training: 1280, test: 512 },
    schedule: { ...TASKS.digits.schedule, epochs: 2 },
  },
  spirals: { ...TASKS.spirals, schedule: { ...TASKS.spirals.schedule, epochs: 60 } },
}
const seeds = [1, 2]

beforeAll(async () => {
  await startTensorFlow()
})

describe('spirals', () => {
  test('every point lies beside the arm of its class and far from the other, and a seed gives the same points', () => {
    const { training, test } = spirals({ training: 300, test: 200 }, 1)
    expect([training.count, test.count]).toEqual([300, 200])
    expect(spirals({ training: 300, test: 200 }, 1).training).toEqual(training)
    expect(spirals({ training: 300, test: 200 }, 2).training).not.toEqual(training)
    const distance = (x: number, y: number, label: number) => {
      const points = Array.from({ length: 4001 }, (_, index) => {
        const radius = index / 4000
        const angle = 2 * Math.PI * TURNS * radius + label * Math.PI
        return Math.hypot(x - radius * Math.cos(angle), y - radius * Math.sin(angle))
      })
      return Math.min(...points)
    }
    for (const { inputs, labels } of [training, test]) {
      labels.forEach((label, index) => {
        const [x, y] = inputs.subarray(2 * index, 2 * index + 2)
        expect(distance(x, y, label)).toBeLessThanOrEqual(SPREAD * Math.SQRT2 + 1e-3)
        expect(distance(x, y, 1 - label)).toBeGreaterThan(SPREAD * Math.SQRT2)
      })
    }
  })
})

describe('statistics', () => {
  test('the spread is the mean and the standard deviation that divides by n - 1', () => {
    expect(spreadOf([1, 2, 3, 4])).toEqual({ mean: 2.5, deviation: Math.sqrt(5 / 3) })
  })

  // 3 +- t(0.975, 4) * sqrt(2.5) / sqrt(5); the table of Student's t has 2.776.
  test.each([
    [[0, 0, 0, 0, 0], [1, 2, 3, 4, 5], 3, 1.037, 4.963],
    [[3, 3, 3, 3, 3], [1, 2, 3, 4, 5], 0, -1.963, 1.963],
    [[1, 2], [2, 1], 0, -12.706, 12.706],
  ])('the difference of %j and %j is %d, from %d to %d', (before, after, mean, from, to) => {
    const difference = pairedDifference(before, after)
    expect(difference.mean).toBe(mean)
    expect(difference.interval[0]).toBeCloseTo(from, 3)
    expect(difference.interval[1]).toBeCloseTo(to, 3)
  })

  // Points; the margin is one. Whether 0 is in the interval decides nothing.
  test.each([
    [[-0.29, 0.15], 'equivalent', true, true, false],
    [[-0.3, -0.1], 'equivalent', true, true, false],
    [[-1.96, 0.8], 'not decided', null, true, false],
    [[-0.5, 1.5], 'not decided', null, null, null],
    [[0.2, 1.5], 'not decided', null, null, null],
    [[1.2, 3], 'different', false, false, true],
    [[-3, -1.2], 'different', false, true, false],
  ] as const)('the interval %j is %s', ([from, to], relation, same, noMore, more) => {
    const difference = { mean: (from + to) / 200, interval: [from / 100, to / 100] } as const
    expect(relationText(difference)).toMatch(new RegExp(`^${relation}: .*1 point$`))
    expect(holdsFor('same', difference)).toBe(same)
    expect(holdsFor('no more', difference)).toBe(noMore)
    expect(holdsFor('more', difference)).toBe(more)
  })

  test('a spread has a unit on both sides of its ±', () => {
    expect(spreadText([0.95, 0.96])).toBe('95.50 % ± 0.71 points')
  })

  // The first by Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [0, 20, 0, 0.1611],
    [20, 20, 0.8389, 1],
  ])('Wilson’s interval of %d in %d is %d to %d', (successes, count, from, to) => {
    const interval = wilsonInterval(successes, count)
    expect(interval[0]).toBeCloseTo(from, 4)
    expect(interval[1]).toBeCloseTo(to, 4)
  })
})

describe('networks', () => {
  const sizes = [2, 16, 8, 2]
  const architectures: Architecture[] = [
    { sizes: [2, 2], batchNorm: 'none', activation: 'none' },
    { sizes, batchNorm: 'with gamma', activation: 'none' },
    { sizes, batchNorm: 'with gamma', activation: 'relu' },
    { sizes, batchNorm: 'without gamma', activation: 'tanh' },
  ]

  test.each(architectures)(
    '%j: a trained model in this library’s terms gives its logits up to rounding',
    (architecture) => {
      const { training } = spirals({ training: 64, test: 0 }, 1)
      const model = createModel(architecture, 1)
      const examples = tensorsOf(training)
      const optimizer = tf.train.adam(0.1)
      for (let step = 0; step < 3; step++)
        trainStep(
          model,
          optimizer,
          examples,
          training.labels.map((_, row) => row),
        )
      const network = networkOf(model, architecture)
      const expected = (model.predict(examples.inputs) as tf.Tensor).dataSync<'float32'>()
      const changes = run(network, rowsOf(training)).data.map((logit, at) => logit - expected[at])
      expect(largestOf(changes)).toBeLessThan(roundingOf(network, training))
      expect(
        network.batchNorms.every(
          ({ weight }) => (weight !== null) === (architecture.batchNorm === 'with gamma'),
        ),
      ).toBe(true)
      // Three steps have moved every gamma, or it would not matter where they are.
      for (const { weight } of network.batchNorms)
        expect(weight?.data.some((gamma) => gamma === 1) ?? false).toBe(false)
    },
  )

  test('no tensor outlives a training', async () => {
    const split = spirals({ training: 64, test: 16 }, 1)
    const { numTensors } = tf.memory()
    await learn(architectures[2], split, { epochs: 2, batchSize: 32, learningRate: 0.1 }, 1, () => {})
    expect(tf.memory().numTensors).toBe(numTensors)
  })
})

describe('the study', () => {
  describeNativeAvailability()
  /** One native is enough: the instruction sets have other tests. */
  const backends = [configurations[0], ...natives.slice(0, 1)]
  const studies: Study[] = []
  let steps = 0

  beforeAll(async () => {
    const display = { step: () => void steps++, stop: () => {} }
    for (const backend of backends) {
      select(backend)
      studies.push(await conduct(tasks, seeds, display))
    }
  }, 120_000)

  test('takes as many steps as it says', () => {
    expect(steps).toBe(backends.length * stepsOfStudy(tasks, seeds))
  })

  test('the same seeds give the same answers, bit for bit, on both backends', () => {
    const answers = backends.map((backend, index) => {
      select(backend)
      return [answerGamma, answerActivation, answerScale].map((answer) => answer(studies[index]))
    })
    for (const others of answers.slice(1)) expect(others).toEqual(answers[0])
  })

  test('an aborted study throws the reason', async () => {
    const display = { step: () => {}, stop: () => {} }
    await expect(conduct(tasks, seeds, display, AbortSignal.abort('enough'))).rejects.toBe('enough')
  })

  describe('gamma', () => {
    test('absorbed and folded, the ReLU network gives its logits up to rounding; tanh refuses, and is right to', () => {
      const [study] = studies
      const { absorbed, folded, movedPastTanh, refusal } = answerGamma(study)
      const bound = roundingOf(study.digits.trained.relu[0].network, study.digits.split.test)
      for (const { largestChange, toldDifferently, accuracy, accuracyBefore } of [absorbed, folded]) {
        expect(largestChange).toBeGreaterThan(0)
        expect(largestChange).toBeLessThan(bound)
        expect(toldDifferently).toBe(0)
        expect(accuracy).toBe(accuracyBefore)
        expect(accuracy).toBe(study.digits.trained.relu[0].accuracy)
      }
      expect(movedPastTanh.largestChange).toBeGreaterThan(
        roundingOf(study.digits.trained.tanh[0].network, study.digits.split.test),
      )
      expect(refusal).toMatch(/'tanh'/)
    })

    test('the accuracies are those of the trainings, seed by seed', () => {
      const { digits } = studies[0]
      const accuracies = (name: keyof typeof digits.trained) =>
        digits.trained[name].map(({ accuracy }) => accuracy)
      expect(answerGamma(studies[0])).toMatchObject({
        relu: { withGamma: accuracies('relu'), withoutGamma: accuracies('reluWithoutGamma') },
        tanh: { withGamma: accuracies('tanh'), withoutGamma: accuracies('tanhWithoutGamma') },
      })
      expect(digits.trained.reluWithoutGamma[0].network.batchNorms[0].weight).toBeNull()
    })
  })

  describe('activation', () => {
    test('the stack collapses into one Linear that gives its logits up to rounding; with ReLU it does not', () => {
      const { digits, spirals } = studies[0]
      const answer = answerActivation(studies[0])
      for (const [name, { trained, split }] of Object.entries({ digits, spirals })) {
        const { largestChange, toldDifferently } = answer[name as 'digits'].collapsed
        expect(largestChange).toBeLessThan(roundingOf(trained.stack[0].network, split.test))
        expect(toldDifferently).toBe(0)
      }
      expect(answer.refusal).toMatch(/'relu'/)
    })

    test('the plane is divided by a straight line, but for the network with ReLU', () => {
      const { regions } = answerActivation(studies[0])
      const [logistic, stack, relu] = regions.map(({ margins }) => bendOf(margins))
      expect(logistic).toBeLessThan(1e-3)
      expect(stack).toBeLessThan(1e-3)
      expect(relu).toBeGreaterThan(0.1)
    })

    test('only ReLU learns the spirals', () => {
      const { losses, accuracies } = answerActivation(studies[0]).spirals
      for (const [index] of seeds.entries()) {
        expect(losses.relu[index]).toBeLessThan(losses.logistic[index] / 2)
        // What a straight line can do at best: both are on their way there.
        expect(losses.stack[index]).toBeGreaterThan(losses.logistic[index] * 0.95)
        expect(accuracies.relu[index]).toBeGreaterThan(accuracies.stack[index] + 0.15)
      }
    })
  })

  test('scale: every claim holds, and a batch of 4 has no value beyond 2', () => {
    const answer = answerScale(studies[0])
    expect(answer.sizes.map(({ bound }) => bound)).toEqual([3, 31, 255].map(Math.sqrt))
    expect(answer.sizes[0].shares[1]).toBe(1)
    expect(answer.sizes[0].shares[0]).toBeLessThan(answer.sizes[2].shares[0])
    const notBorneOut = scaleSection(answer).claims.filter(({ holds }) => !holds)
    expect(notBorneOut).toEqual([])
  })

  describe('the page', () => {
    const origin = {
      command: 'npm run explain --',
      seed: 4711,
      seeds: 3,
      environment: [['Node.js', 'v20']] as const,
    }
    const pageOf = () => {
      const [study] = studies
      const sections = [
        gammaSection(answerGamma(study)),
        activationSection(answerActivation(study)),
        scaleSection(answerScale(study)),
      ]
      return { sections, text: explanationOf(sections, origin) }
    }

    test('is one file below 2 MB that needs no other, with a text for every picture, the claims and the seed', () => {
      const { sections, text } = pageOf()
      const { document } = parseHTML(text)
      expect(text.length).toBeLessThan(2e6)
      expect(
        text.match(
          /<(script|link|img|iframe|object|embed)|@import|url\((?!#)|\bsrc=|href="[^#]|NaN|undefined|Infinity/i,
        ),
      ).toBeNull()
      const pictures = [...document.querySelectorAll('svg')]
      // Three regions; the others for a screen and for a phone: two, one and two.
      expect(pictures).toHaveLength(3 + 2 * (2 + 1 + 2))
      for (const picture of pictures) {
        expect(picture.getAttribute('role')).toBe('img')
        expect(picture.getAttribute('aria-label')).toBeTruthy()
        expect(picture.getAttribute('aria-description')).toMatch(/\d/)
      }
      const content = document.querySelector('main')?.textContent
      for (const { claim, measured } of sections.flatMap(({ claims }) => claims)) {
        expect(content).toContain(claim)
        expect(content).toContain(measured)
      }
      expect(content).toContain('npm run explain -- --seed 4711')
      expect(content).toContain('4711 to 4713')
    })

    test('shows the code that ran, as a user would write it', () => {
      const { document } = parseHTML(pageOf().text)
      for (const name of ['gamma', 'activation', 'scale']) {
        const file = join(import.meta.dirname, `../cli/explain/${name}/snippet.ts`)
        const source = readFileSync(file, 'utf8').trimEnd()
        const shown = document.querySelector(`#${name} pre code`)?.textContent
        expect(shown).toContain("from 'batchnorm'")
        expect(source).toBe(shown?.replaceAll("'batchnorm'", "'../../../lib/index.ts'"))
      }
    })

    test('says so where a claim is not borne out, or not decided', () => {
      const { sections } = pageOf()
      const [{ claims }] = sections
      const verdicts = (holds: boolean | null) => {
        const changed = { ...sections[0], claims: claims.map((claim) => ({ ...claim, holds })) }
        const { document } = parseHTML(explanationOf([changed], origin))
        return [...document.querySelectorAll('.verdict')].map(({ textContent }) => textContent)
      }
      expect(verdicts(true)).toEqual(claims.map(() => 'yes'))
      expect(verdicts(false)).toEqual(claims.map(() => 'not here'))
      expect(verdicts(null)).toEqual(claims.map(() => 'not decided'))
    })
  })
})

describe('command line', () => {
  test('--help lists every option, with exit code 0', () => {
    const { code, written } = refusalOf(readOptions, ['--help'])
    expect(code).toBe(0)
    for (const option of ['seed', 'out', 'help']) expect(written).toContain(`--${option}`)
  })

  test.each([
    [['--seed', '-1'], 'Expected an integer from 0 to 2147483647.'],
    [['--seed', '1.5'], 'Expected an integer from 0 to 2147483647.'],
    [['--out', join(tmpdir(), 'no-such-folder', 'page.html')], 'no-such-folder (ENOENT: no such file or'],
    [['--out', tmpdir()], 'It is not a file.'],
    [['--sed', '1'], "unknown option '--sed'"],
    [['5'], 'too many arguments'],
  ])('%j gets one clear line and exit code 2', (args, message) => {
    const { code, written } = refusalOf(readOptions, args)
    expect(code).toBe(2)
    expect(written.trimEnd().split('\n')).toEqual([expect.stringContaining(message)])
  })

  describe('Ctrl-C', () => {
    let folder: string
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'batchnorm-explain-'))
    })
    afterAll(() => {
      rmSync(folder, { recursive: true })
    })

    const commands: [string, string[]][] = [
      ['cli/explain/main.ts', []],
      ['cli/main.ts', ['explain']],
    ]
    test.each(share(commands, 2))(
      '%s leaves the page that was there, and no other file',
      async (main, words) => {
        const page = join(folder, 'page.html')
        writeFileSync(page, 'earlier')
        const { job, ended } = startJob(main, [...words, '--out', page])
        await once(job.stderr, 'data')
        job.kill('SIGINT')
        const { code, stdout, stderr } = await ended
        expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
        expect(stderr).toMatch(/^digits \| logistic \| seed 1 \| loss .* \| \d+ s left$/m)
        expect(stderr).toMatch(/Interrupted: no page written\.\n$/)
        expect(readdirSync(folder)).toEqual(['page.html'])
        expect(readFileSync(page, 'utf8')).toBe('earlier')
      },
    )
  })
})

/**
 * How much float32 may change a logit, to first order: two forms of a network, each with as many
 * roundings on the way as the longest sum has terms and two more a layer, of sums no larger than those
 * of the sizes of their terms.
 */
function roundingOf(
  { linears, batchNorms }: Network,
  { inputs, count }: { inputs: Float32Array; count: number },
): number {
  let roundings = 0
  let largest = 0
  const features = inputs.length / count
  for (let row = 0; row < count; row++) {
    let sizes = Float64Array.from(inputs.subarray(row * features, (row + 1) * features), Math.abs)
    roundings = 0
    linears.forEach(({ weight: { data, shape }, bias }, layer) => {
      const [outs, ins] = shape
      const shift = (bias as { data: Float32Array }).data
      roundings += ins + 8
      sizes = Float64Array.from({ length: outs }, (_, out) =>
        sizes.reduce(
          (sum, size, input) => sum + size * Math.abs(data[out * ins + input]),
          Math.abs(shift[out]),
        ),
      )
      const norm = batchNorms[layer] && toAffine(batchNorms[layer])
      if (norm) sizes = sizes.map((size, c) => size * Math.abs(norm.scale[c]) + Math.abs(norm.shift[c]))
    })
    largest = Math.max(largest, ...sizes)
  }
  return 2 * roundings * 2 ** -24 * largest
}

/** How far margins on a square grid are from those of a plane, relative to the largest: 0 for an affine function. */
function bendOf(margins: Float32Array): number {
  const size = Math.sqrt(margins.length)
  const largest = margins.reduce((most, margin) => Math.max(most, Math.abs(margin)), 0)
  const corner = (column: number, row: number) => margins[row * size + column]
  let bend = 0
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const across = (column / (size - 1)) * (corner(size - 1, 0) - corner(0, 0))
      const up = (row / (size - 1)) * (corner(0, size - 1) - corner(0, 0))
      bend = Math.max(bend, Math.abs(corner(column, row) - (corner(0, 0) + across + up)))
    }
  }
  return bend / largest
}
