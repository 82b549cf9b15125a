/** Ranks as real processes, on Gloo and under mpirun: right sums, and an end within seconds for all when one is lost. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundled, removeBundles } from './support/bundle.ts'
import { randomValues } from './support/rank-values.ts'
import {
  type Found,
  glooRanks,
  isBuilt,
  mpiRanks,
  newJob,
  type RankEnd,
  startGroup,
  temporaryFolder,
} from './support/rank-processes.ts'

const folder = temporaryFolder()
const rendezvous = `file:${folder}`
let program: string

beforeAll(async () => {
  program = await bundled(new URL('processes/rank.ts', import.meta.url))
})
afterAll(removeBundles)

/** What each rank has found, by rank. */
function foundBy(...ends: RankEnd[]): Found[] {
  const all = ends.flatMap(({ found }) => found).sort((one, other) => one.rank - other.rank)
  if (all.length === 0) throw new Error(ends.map(({ stderr }) => stderr).join('\n'))
  return all
}

function expectSums(found: Found[], size: number): void {
  expect(found.map(({ rank }) => rank)).toEqual(Array.from({ length: size }, (_, rank) => rank))
  const [{ synchronous = [] }] = found
  for (const { synchronous: one, asynchronous: other, overlapping } of found) {
    expect(one).toEqual(synchronous)
    expect(other).toEqual(synchronous)
    expect(overlapping).toBe(true)
  }
  const terms = Array.from({ length: size }, (_, rank) => randomValues(rank))
  synchronous.forEach((sum, index) => {
    const exact = terms.reduce((total, values) => total + values[index], 0)
    const size = terms.reduce((total, values) => total + Math.abs(values[index]), 0)
    // Each order of additions is allowed, and rounds as often.
    expect(Math.abs(sum - exact)).toBeLessThanOrEqual(terms.length * 2 ** -52 * size)
  })
}

const closed = ['ERR_COLLECTIVE_CLOSED', 'ERR_COLLECTIVE_CLOSED']

/** Each of the ranks has an error, with what it says, and is at its end from then on. */
function expectErrors(found: Found[], ranks: number[], code: RegExp, message = /./): void {
  expect(found.map(({ rank }) => rank)).toEqual(ranks)
  for (const each of found) {
    expect(each.code).toMatch(code)
    expect(each.message).toMatch(message)
    expect(each.afterwards).toEqual(closed)
  }
}

const mismatch = /^ERR_COLLECTIVE_MISMATCH$/
const lostOrLate = /^ERR_COLLECTIVE_(PEER_LOST|TIMEOUT)$/

describe.runIf(isBuilt('gloo'))('gloo()', () => {
  const ranks = (size: number, words: readonly string[], environment = {}) =>
    glooRanks(program, size, words, { ...newJob(rendezvous), ...environment })

  test.each([2, 3, 4])('%i ranks have the same bits of the right sums', async (size) => {
    expectSums(foundBy(...(await ranks(size, ['sums']))), size)
  })

  test('the event loop runs on while a rank waits', async () => {
    const [, other] = foundBy(...(await ranks(2, ['waiting'])))
    expect(other.ticks).toBeGreaterThan(5)
  })

  test.each(['length', 'key'])('another %s on one rank is an error on all', async (what) => {
    const found = foundBy(...(await ranks(3, [what])))
    expectErrors(found, [0, 1, 2], mismatch, new RegExp(`another ${what} on some`))
  })

  test.each([
    ['before', 'SIGKILL'],
    ['before', 'throw'],
    ['between', 'SIGKILL'],
    ['between', 'exit'],
    ['within', 'SIGKILL'],
    ['within', 'exit'],
  ])('a rank lost %s operations, by %s, is an error on all others', async (when, how) => {
    const found = foundBy(...(await ranks(3, [when, how])))
    expectErrors(found, [1, 2], /^ERR_COLLECTIVE_PEER_LOST$/)
  })

  test.each(['between', 'within'])('a rank that hangs %s operations is one after the timeout', async (when) => {
    const found = foundBy(...(await ranks(3, [when, 'SIGSTOP'], { TIMEOUT_MS: '1000' })))
    expectErrors(found, [1, 2], lostOrLate)
  })

  test('a rank that closes fails at once, and the others are told', async () => {
    const [first, ...others] = foundBy(...(await ranks(3, ['closing'])))
    expectErrors([first], [0], /^ERR_COLLECTIVE_CLOSED$/)
    expectErrors(others, [1, 2], /^ERR_COLLECTIVE_PEER_LOST$/)
  })

  test('a process exits while an operation waits', async () => {
    const ends = await ranks(3, ['leaving'])
    expect(ends[0]).toMatchObject({ code: 0, stderr: '' })
  })

  test('a rank that never joins is named by the others', async () => {
    const job = newJob(rendezvous)
    const start = (rank: string) =>
      startGroup(process.execPath, [program, 'gloo', 'sums'], {
        ...job,
        RANK: rank,
        WORLD_SIZE: '3',
        TIMEOUT_MS: '500',
      })
    const ends = await Promise.all(['0', '2'].map((rank) => start(rank).end))
    for (const { found } of ends) {
      expect(found[0].code).toBe('ERR_COLLECTIVE_TIMEOUT')
      expect(found[0].message).toMatch(/rank 1 is missing/)
    }
  })
})
