/** The page of examples/production: its digits, its networks, its figures, and that its claims follow from them. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import { beforeAll, describe, expect, test } from 'vitest'
import { createModel } from '../cli/explain/network.ts'
import { trainModel } from '../cli/explain/training.ts'
import { PIXELS } from '../cli/training/digits.ts'
import { startTensorFlow } from '../cli/training/tensorflow.ts'
import { decided, inEverySeed } from '../examples/production/claims.ts'
import { ratios } from '../examples/production/client-charts.ts'
import { asClientsHave, domainEach, oneForAll, trainOnAll } from '../examples/production/clients.ts'
import { broughtBack, broughtBackText } from '../examples/production/drift-story.ts'
import { dimmed, inverted, rotated } from '../examples/production/looks.ts'
import { readOptions } from '../examples/production/options.ts'
import { productionPage, storiesOf } from '../examples/production/page.ts'
import { ARCHITECTURE, dealt, firstOf, scheduleOf } from '../examples/production/settings.ts'
import { conduct, type SeedOutcome, stepsOfStudy } from '../examples/production/study.ts'
import { configurations, describeNativeAvailability, natives, select } from './support/backends.ts'
import { refusalOf } from './support/command-line.ts'

/** Little training: every figure is there all the same. */
const settings = { seeds: [1], examples: 2560, epochs: 1 }
const display = { step: () => {}, stop: () => {} }

beforeAll(async () => {
  await startTensorFlow()
})

describe('looks', () => {
  const SIDE = 28
  const middle = (SIDE - 1) / 2
  const imageOf = (ink: (x: number, y: number) => number) =>
    Float32Array.from({ length: PIXELS }, (_, at) =>
      ink((at % SIDE) - middle, Math.floor(at / SIDE) - middle),
    )

  test.each([5, 20, 40, -33, 135])('%d degrees turn a plane as geometry does, clockwise', (degrees) => {
    const angle = (degrees / 180) * Math.PI
    const turned = rotated(degrees)(imageOf((x, y) => 0.5 + 0.01 * x + 0.02 * y))
    const expected = imageOf((x, y) => {
      const [fromX, fromY] = [
        Math.cos(angle) * x + Math.sin(angle) * y,
        Math.cos(angle) * y - Math.sin(angle) * x,
      ]
      return 0.5 + 0.01 * fromX + 0.02 * fromY
    })
    const inside = imageOf((x, y) => Math.hypot(x, y))
    const errors = turned.map((ink, at) => (inside[at] <= middle ? Math.abs(ink - expected[at]) : 0))
    expect(Math.max(...errors)).toBeLessThan(1e-6)
    // What comes from beyond the edge is paper.
    const corner = rotated(45)(imageOf(() => 1))[0]
    expect(corner).toBe(0)
  })

  test('no turn keeps the bits, image by image; a quarter takes what is right to below', () => {
    const ramp = imageOf((x) => x + middle)
    const two = Float32Array.of(...ramp, ...inverted(ramp))
    expect(rotated(0)(two)).toEqual(two)
    const quarter = rotated(90)(two)
    expect(quarter[27 * SIDE + 5]).toBeCloseTo(27, 4)
    expect(quarter[PIXELS + 27 * SIDE + 5]).toBeCloseTo(-26, 4)
    expect(dimmed(0.5)(ramp)[27]).toBe(13.5)
  })
})

describe('networks', () => {
  test('a module as a layer learns as the layer of batchnorm/tfjs does, and one domain as one batch norm', async () => {
    const examples = firstOf(dealt(settings, 1).training, 640)
    const losses: number[][] = [[], [], []]
    await trainOnAll(examples, oneForAll, settings, 1, (loss) => losses[0].push(loss))
    const model = createModel(ARCHITECTURE, 1)
    await trainModel(model, asClientsHave(examples), scheduleOf(settings), 1, (loss) => losses[1].push(loss))
    model.dispose()
    const { modules } = await trainOnAll(examples, domainEach, settings, 1, (loss) => losses[2].push(loss))
    expect(losses[0]).toHaveLength(10)
    expect(losses[0]).toEqual(losses[1])
    expect(losses[2]).not.toEqual(losses[1])
    for (const name of modules[0].domains)
      expect(modules[0].domain(name).numBatchesTracked?.data).toEqual(BigInt64Array.of(10n))
  })
})

describe('the study', () => {
  describeNativeAvailability()
  const backends = [configurations[0], ...natives.slice(0, 1)]
  const outcomes: SeedOutcome[] = []
  let steps = 0

  beforeAll(async () => {
    for (const backend of backends) {
      select(backend)
      outcomes.push(...(await conduct(settings, { ...display, step: () => void steps++ })))
    }
  }, 60_000)

  test('takes as many steps as it says, and gives the same figures on both backends', () => {
    expect(steps).toBe(backends.length * stepsOfStudy(settings))
    for (const other of outcomes.slice(1)) expect(other).toEqual(outcomes[0])
  })

  test('undo gives every bit back, pooled is the union, averaged is less, and dimming is undone by its statistics', () => {
    const [{ series, pooling }] = outcomes
    for (const { undone, toTheBit, hasRecovered } of series) {
      expect(toTheBit).toBe(undone)
      expect(hasRecovered).toBe(true)
    }
    const last = series[1].steps.at(-1)
    expect(last?.recalibrated).toBeCloseTo(series[1].steps[0].recalibrated, 1)
    expect(last?.source).toBeLessThan((last?.recalibrated ?? 0) - 0.3)
    for (const { union, pooled, averaged } of pooling.layers) {
      expect(Math.max(...ratios(pooled, union).map((ratio) => Math.abs(ratio - 1)))).toBeLessThan(1e-6)
      expect(Math.max(...ratios(averaged, union))).toBeLessThanOrEqual(1 + 1e-6)
    }
    expect(pooling.refusal).toMatch(/clients\[2\]\.state\.running_var\[7\].*client 'dim'/)
  })

  test('an aborted study throws the reason', async () => {
    await expect(conduct(settings, display, AbortSignal.abort('enough'))).rejects.toBe('enough')
  })

  describe('claims follow from the figures', () => {
    type Change = (outcome: Writable<SeedOutcome>, seed: number) => void
    /** The verdict on a claim when the outcome is so changed for each of three seeds. */
    const verdict = (claim: RegExp, change: Change) => {
      const seeds = [1, 2, 3].map((seed, index) => {
        const outcome = structuredClone(outcomes[0]) as Writable<SeedOutcome>
        change(outcome, index)
        return { ...outcome, seed }
      })
      const found = storiesOf(seeds as SeedOutcome[], { ...settings, seeds: [1, 2, 3] }).flatMap(
        ({ claims }) => claims.filter((each) => claim.test(each.claim)),
      )
      expect(found).toHaveLength(1)
      return found[0].holds
    }
    const gaining =
      (points: readonly number[]): Change =>
      (outcome, seed) => {
        for (const step of outcome.series.flatMap(({ steps }) => steps)) {
          step.adapted = step.adapted.map(() => step.source + points[seed] / 100)
          step.recalibrated = step.source + points[seed] / 100
        }
        outcome.domains.each = outcome.domains.one.map((share) => share + points[seed] / 100)
        outcome.domains.newcomer.own = outcome.domains.newcomer.one + points[seed] / 100
        outcome.pooling.pooled = outcome.pooling.averaged.map((share) => share + points[seed] / 100)
      }

    test.each([
      /turned.*adapting by 16/,
      /dimmed.*adapting by 256/,
      /dimmed.*recalibrating/,
      /^Pooled statistics tell more/,
      /^tilted: a domain/,
      /a domain added.*one batch norm for all/,
    ])('%s', (claim) => {
      expect(verdict(claim, gaining([20, 21, 22]))).toBe(true)
      expect(verdict(claim, gaining([0, 0.1, -0.1]))).toBe(false)
      expect(verdict(claim, gaining([20, 0, -20]))).toBeNull()
    })

    const lossWhenSeen = (points: number) => (outcome: Writable<SeedOutcome>) => {
      for (const { steps } of outcome.series) {
        for (const [index, step] of steps.entries()) step.hasDrifted = index >= 2
        steps[2].source = steps[0].source - points / 100
      }
    }
    const drifting = (series: number, from: number) => (outcome: Writable<SeedOutcome>) => {
      for (const [index, step] of outcome.series[series].steps.entries()) step.hasDrifted = index >= from
    }
    type Edit = (outcome: Writable<SeedOutcome>) => void
    const asItIs = () => {}
    const never = Number.POSITIVE_INFINITY
    test.each<[RegExp, Edit, Edit]>([
      [/are no drift/, (outcome) => [0, 1].map((series) => drifting(series, 1)(outcome)), drifting(1, 0)],
      [/turned.*drift is seen/, lossWhenSeen(4), lossWhenSeen(6)],
      [/dimmed.*drift is seen/, lossWhenSeen(4), drifting(1, never)],
      [/recovered/, asItIs, ({ series: [first] }) => Object.assign(first, { hasRecovered: false })],
      [/undo\(\)/, asItIs, ({ series: [first] }) => Object.assign(first, { toTheBit: first.undone - 1 })],
      [/^Pooled, each variance/, asItIs, ({ pooling }) => pooling.layers[1].pooled.splice(3, 1, 1e9)],
      [/^Averaged/, asItIs, ({ pooling: { layers } }) => layers[0].averaged.splice(5, 1, layers[0].union[5])],
    ])('%s', (claim, so, notSo) => {
      expect(verdict(claim, so)).toBe(true)
      expect(verdict(claim, notSo)).toBe(false)
      expect(verdict(claim, (outcome, seed) => (seed === 1 ? notSo : so)(outcome))).toBeNull()
    })

    test('one seed decides what is so or not, and no difference of accuracies', () => {
      expect([inEverySeed([true]), inEverySeed([false])]).toEqual([true, false])
      expect(decided('more', [0.1], [0.9])).toBeNull()
    })

    test('what comes back is the share of what was lost, in words where there is none', () => {
      const outcome = structuredClone(outcomes[0].series[0]) as Writable<SeedOutcome['series'][number]>
      outcome.steps[0].source = 0.9
      const texts = [
        [0.5, 0.8],
        [0.5, 0.4],
        [0.895, 0.9],
      ].map(([source, recalibrated]) => {
        Object.assign(outcome.steps[1], { source, recalibrated })
        return broughtBackText(broughtBack(outcome, 1, (step) => step.recalibrated))
      })
      expect(texts).toEqual(['75 %', 'nothing', '–'])
    })
  })

  test.each([1, 3])(
    'the page of %d seeds is one file, with a text for every picture and every claim',
    (count) => {
      const seeds = [7, 8, 9].slice(0, count)
      const several = { ...settings, seeds }
      const stories = storiesOf(
        seeds.map((seed) => ({ ...outcomes[0], seed })),
        several,
      )
      const command = 'npm run production -- --out "<b>&.html"'
      const text = productionPage(stories, { command, settings: several, environment: [['Node.js', 'v20']] })
      expect(text.length).toBeLessThan(5e5)
      expect(
        text.match(
          /<(script|link|img|iframe|object|embed)|@import|url\((?!#)|\bsrc=|href="[^#]|NaN|undefined|Infinity/i,
        ),
      ).toBeNull()
      const { document } = parseHTML(text)
      const pictures = [...document.querySelectorAll('svg')]
      // Nine steps of two series and four clients; the others for a screen and for a phone.
      expect(pictures).toHaveLength(2 * 9 + 4 + 2 * (2 * 2 + 3 + 1))
      for (const picture of pictures) {
        expect(picture.getAttribute('role')).toBe('img')
        expect(picture.getAttribute('aria-label')).toBeTruthy()
        expect(picture.getAttribute('aria-description')).toMatch(/\d|exchanged|ink/)
      }
      const content = document.querySelector('main')?.textContent
      for (const { claim, measured } of stories.flatMap(({ claims }) => claims)) {
        expect(content).toContain(claim)
        expect(content).toContain(measured)
      }
      expect(document.querySelector('pre code')?.textContent).toBe(command)
      expect(document.querySelector('.facts')?.textContent).toContain(seeds.join(', '))
    },
  )
})

describe('command line', () => {
  test('lists its options, and reads seeds', () => {
    const { code, written } = refusalOf(readOptions, ['--help'])
    expect(code).toBe(0)
    for (const option of ['seeds', 'epochs', 'examples', 'out']) expect(written).toContain(`--${option}`)
    expect(readOptions(['--seeds', '4,0,9', '--examples', '2560'])).toMatchObject({
      seeds: [4, 0, 9],
      examples: 2560,
      epochs: 3,
    })
  })

  test.each([
    [['--seeds', '1,,2'], 'Expected an integer from 0 to 2147483647.'],
    [['--seeds', '1,2,1'], 'Expected each seed once but received 1 again.'],
    [['--seeds', '0,1,2,3,4,5,6,7,8,9,10'], 'Expected at most 10 seeds.'],
    [['--examples', '2559'], 'Expected an integer from 2560 to 10000.'],
    [['--epochs', '0'], 'Expected an integer from 1 to 100.'],
    [['--out', join(tmpdir(), 'no-such-folder', 'page.html')], 'no-such-folder (ENOENT'],
    [['--quick'], "unknown option '--quick'"],
  ])('%j ends with exit code 2', (args, message) => {
    const { code, written } = refusalOf(readOptions, args)
    expect(code).toBe(2)
    expect(written).toContain(message)
  })
})

type Writable<Value> = { -readonly [Key in keyof Value]: Writable<Value[Key]> }
