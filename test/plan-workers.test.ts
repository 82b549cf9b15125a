/** `npm run plan-workers`: the model of what synchronizing costs, what it is fitted to, the table and the page. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { parseHTML } from 'linkedom'
import { afterAll, describe, expect, test } from 'vitest'
import { allReduceTime, type Network, ringWinsFrom } from '../cli/plan-workers/cost.ts'
import { measureNetwork, networkOf } from '../cli/plan-workers/measure.ts'
import { headerBytes, messagesOf, sumsFrom, wayOf } from '../cli/plan-workers/messages.ts'
import { readOptions } from '../cli/plan-workers/options.ts'
import { errorAlone, planFor, ringRanges } from '../cli/plan-workers/plan.ts'
import { reportOf } from '../cli/plan-workers/report.ts'
import { textOf } from '../cli/plan-workers/text.ts'
import type { Collective } from '../lib/distributed/collective.ts'
import type { Engine } from '../lib/distributed/engine.ts'
import { guarded } from '../lib/distributed/guarded.ts'
import { SyncBatchNorm } from '../lib/distributed/sync-batch-norm.ts'
import { tensor } from '../lib/index.ts'
import { refusalOf, startJob } from './support/command-line.ts'
import { localEngines } from './support/local-engine.ts'
import { onEachRank } from './support/ranks.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-plan-'))
afterAll(() => rmSync(folder, { recursive: true }))

const network = fc.record({
  alpha: fc.double({ min: 1e-8, max: 1, noNaN: true }),
  beta: fc.double({ min: 1e-12, max: 1e-6, noNaN: true }),
})
const ranks = fc.integer({ min: 2, max: 1024 })

describe('an all-reduce', () => {
  test('takes what its rounds take', () => {
    const unit = { alpha: 1, beta: 0 }
    const bandwidth = { alpha: 0, beta: 1 }
    const times = (each: Network) =>
      [2, 3, 4, 5, 1024].map((P) => [allReduceTime('tree', each, P, 60), allReduceTime('ring', each, P, 60)])
    expect(times(unit)).toEqual([
      [1, 2],
      [2, 4],
      [2, 6],
      [3, 8],
      [10, 2046],
    ])
    expect(times(bandwidth).map(([tree, ring]) => [tree / 60, ring / 60])).toEqual(
      [2, 3, 4, 5, 1024].map((P) => [Math.ceil(Math.log2(P)), expect.closeTo((2 * (P - 1)) / P, 12)]),
    )
  })

  test('is faster by a ring just above the length that is told, and by a tree below', () => {
    fc.assert(
      fc.property(network, ranks, fc.double({ min: 0.01, max: 100, noNaN: true }), (each, P, factor) => {
        fc.pre(Math.abs(factor - 1) > 1e-6)
        const bytes = P === 2 ? factor * 1e6 : ringWinsFrom(each, P) * factor
        const isFaster = allReduceTime('ring', each, P, bytes) < allReduceTime('tree', each, P, bytes)
        expect(isFaster).toBe(P > 2 && factor > 1)
      }),
    )
    expect(ringWinsFrom({ alpha: 1, beta: 1 }, 2)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('the messages of a layer', () => {
  test.each([
    [3, 2],
    [5, 4],
    [8192, 2],
    [8193, 2],
    [5462, 3],
  ])('of %d channels over %d ranks are those that SyncBatchNorm sends', async (channels, size) => {
    const bytes: number[] = []
    const [first, ...others] = localEngines(size)
    const recorded: Engine = {
      ...first,
      allReduceSumAsync(values) {
        bytes.push(values.byteLength)
        return first.allReduceSumAsync(values)
      },
    }
    await onEachRank([recorded, ...others].map(guarded), async (collective) => {
      const bn = new SyncBatchNorm(channels, { collective })
      const x = tensor(new Float32Array(2 * channels), [2, channels])
      await bn.forwardAsync(x)
      await bn.backwardAsync(x)
    })
    expect(messagesOf(channels, size)).toEqual(bytes)
  })

  test('are sums from the number of ranks on that is told', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 20 }), (channels) => {
        expect([wayOf(channels, sumsFrom(channels) - 1), wayOf(channels, sumsFrom(channels))]).toEqual([
          'slots',
          'sums',
        ])
      }),
    )
  })
})

describe('a plan', () => {
  const mpi = { alpha: 7.3e-7, beta: 3.74e-10 }

  test('is the sum over its layers, and its least is 2 ceil(log2 P) (alpha + 16 C beta) of each', () => {
    const channels = [64, 512]
    const { least, tree, ring } = planFor(mpi, channels, 100)
    const each = channels.map((count) => planFor(mpi, [count], 100))
    expect([tree, ring]).toEqual([
      expect.closeTo(each[0].tree + each[1].tree, 12),
      expect.closeTo(each[0].ring + each[1].ring, 12),
    ])
    expect(least).toBeCloseTo(2 * 7 * (2 * mpi.alpha + 16 * 576 * mpi.beta), 12)
  })

  test('is never below its least', () => {
    fc.assert(
      fc.property(network, fc.integer({ min: 1, max: 4096 }), ranks, (each, channels, P) => {
        const { least, tree } = planFor(each, [channels], P)
        expect(tree).toBeGreaterThanOrEqual(least)
      }),
    )
  })

  test('says for which ranks a ring is faster', () => {
    const plans = [true, false, true, true, true, false].map((isRing, index) => ({
      ...planFor(mpi, [64], index + 3),
      tree: 2,
      ring: isRing ? 1 : 2,
    }))
    expect(ringRanges(plans)).toBe('3, 5 to 7')
  })

  test('says what the variance of a rank alone is off by', () => {
    expect(errorAlone(66, 2)).toBe(0.25)
    expect(errorAlone(7, 4)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('measuring', () => {
  /** Two ranks on a clock of its own; each fifth operation is disturbed. */
  function fake({ alpha, beta }: Network): [Collective, () => number] {
    let [now, count] = [0, 0]
    const allReduceSum = ({ byteLength }: Float64Array) => {
      now += (2 * alpha + (headerBytes + byteLength) * beta) * (++count % 5 === 0 ? 30 : 1)
    }
    const collective = { rank: 0, size: 2, allReduceSum } as unknown as Collective
    return [collective, () => now]
  }

  test.each([
    { alpha: 3e-4, beta: 1e-9 },
    { alpha: 7e-7, beta: 4e-10 },
  ])('finds $alpha and $beta, whatever disturbs some operations', (network) => {
    const { alpha, beta } = measureNetwork(...fake(network))
    expect(alpha / network.alpha).toBeCloseTo(1, 6)
    expect(beta / network.beta).toBeCloseTo(1, 6)
  })

  test('weighs an error by the time that it is part of', () => {
    const times = [8, 800, 80_000, 8_000_000].map((bytes) => ({
      bytes,
      seconds: 2e-6 + (headerBytes + bytes) * 1e-9,
    }))
    times[3].seconds *= 1.02
    expect(networkOf(times).alpha / 1e-6).toBeCloseTo(1, 2)
  })

  test('refuses times that do not grow with the message', () => {
    expect(() => networkOf([8, 16, 32].map((bytes) => ({ bytes, seconds: 1 / bytes })))).toThrow(
      /^Expected times that grow with the message but measured 125 ms for 8 bytes, .*measure again/,
    )
  })
})

describe('the command line', () => {
  const required = ['--channels', '64,128', '--out', join(folder, 'page.html')]

  test.each([
    [[], 'required option .*--channels'],
    [['--channels', '64,,8'], 'Expected an integer from 1'],
    [[...required, '--ranks', '8..4'], 'Expected a range'],
    [[...required, '--ranks', '1..4'], 'Expected an integer from 2 to 1024'],
    [[...required, '--ranks', '2..4..8'], 'Expected a range'],
    [[...required, '--alpha', '0'], 'Expected a number above 0'],
    [[...required, '--measure', 'ucx'], 'Allowed choices are gloo, mpi'],
    [[...required, '--measure', 'mpi', '--beta', '1'], 'cannot be used with'],
    [[...required, '--batch', '1.5'], 'Expected an integer from 2'],
    [[...required, 'more'], 'too many arguments'],
  ])('%s is refused', (args, said) => {
    const { code, written } = refusalOf(readOptions, args)
    expect([code, written]).toEqual([2, expect.stringMatching(said)])
  })

  test('what is assumed is said, with its source; what is told, too', () => {
    const text = (...args: string[]) => textOf(reportOf(readOptions([...required, ...args])))
    expect(text()).toMatch(
      /^alpha: 3.1e-4 s a message \(assumed: .*Gloo.*\)\nbeta: 8e-10 s a byte \(assumed: /m,
    )
    expect(text('--alpha', '1e-6', '--beta', '1e-9')).toMatch(
      /^alpha: 1e-6 s a message \(--alpha\)\nbeta: 1e-9 s a byte \(--beta\)$/m,
    )
  })

  test('the job prints a table and writes a page with the same figures, and a text for its pictures', async () => {
    const out = join(folder, 'page.html')
    const args = ['--channels', '64,512', '--ranks', '3..1024', '--batch', '2048', '--out', out]
    const { code, stdout, stderr } = await startJob('cli/plan-workers/main.ts', args).ended
    expect([code, stderr]).toEqual([0, ''])
    const rows = stdout.split('\n').flatMap((line) => line.match(/^ *(\d+) {2,}(.*)$/)?.slice(1, 2) ?? [])
    expect(rows.map(Number)).toEqual([3, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    const text = readFileSync(out, 'utf8')
    const { document } = parseHTML(text)
    const cells = [...document.querySelectorAll('td')].map((cell) => cell.textContent)
    for (const cell of cells) expect(stdout).toContain(cell)
    expect(cells).toHaveLength(10 * (6 + 2))
    for (const svg of document.querySelectorAll('svg')) {
      expect(svg.getAttribute('aria-description')).toMatch(
        /^From 3 to 1024 ranks: sums alone .*; tree .*; ring /,
      )
      expect(svg.outerHTML).not.toContain('NaN')
    }
    expect(document.querySelectorAll('svg')).toHaveLength(2)
    expect(document.querySelectorAll('script, link, img, iframe')).toHaveLength(0)
  })
})
