/** Ranks as real processes, on Gloo and under mpirun: right sums, and an end within seconds for all when one is lost. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SyncBatchNorm } from '../lib/distributed/index.ts'
import { bundled, removeBundles } from './support/bundle.ts'
import { hasNetworkNamespaces, withHosts } from './support/hosts.ts'
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
import { hashOf, inputOfRank } from './support/rank-values.ts'
import { localCollectives, onEachRank } from './support/ranks.ts'

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
  for (const { bits, areRight } of found) {
    expect(areRight).toBe(true)
    expect(new Set(bits)).toEqual(new Set(found[0].bits))
    expect(new Set(bits).size).toBe(1)
  }
}

/** The running statistics have the bits that ranks of one process have, whatever the engine. */
async function expectLayers(found: Found[], size: number): Promise<void> {
  expectSums(found, size)
  const [expected] = await onEachRank(localCollectives(size), async (collective, rank) => {
    const bn = new SyncBatchNorm(8, { collective, dtype: 'float64' })
    await bn.forwardAsync(inputOfRank(rank))
    return hashOf([...bn.runningMean.data, ...bn.runningVar.data])
  })
  expect(found[0].bits?.[0]).toBe(expected)
}

const closed = ['ERR_COLLECTIVE_CLOSED', 'ERR_COLLECTIVE_CLOSED']

/** Each of the ranks has an error, with what it says, and is at its end from then on. */
function expectErrors(found: Found[], ranks: number[], code: RegExp, message = /./): void {
  expect(found.map(({ rank }) => rank)).toEqual(ranks)
  for (const each of found) {
    expect(each.code).toMatch(code)
    expect(each.message).toMatch(message)
    // Rank 0 may be gone before the others have got their collectives.
    expect(each.afterwards ?? closed).toEqual(closed)
  }
}

const mismatch = /^ERR_COLLECTIVE_MISMATCH$/
const lostOrLate = /^ERR_COLLECTIVE_(PEER_LOST|TIMEOUT)$/

describe.runIf(isBuilt('gloo'))('gloo()', () => {
  const ranks = (size: number, words: readonly string[], environment = {}) =>
    glooRanks(program, size, words, { ...newJob(rendezvous), ...environment })

  test.each([2, 3, 4])('%i ranks have the same bits of the right sums', async (size) => {
    expectSums(foundBy(...(await ranks(size, ['sums']))), size)
    await expectLayers(foundBy(...(await ranks(size, ['layers']))), size)
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

  test.each(['between', 'within'])(
    'a rank that hangs %s operations is one after the timeout',
    async (when) => {
      const found = foundBy(...(await ranks(3, [when, 'SIGSTOP'], { TIMEOUT_MS: '3000' })))
      expectErrors(found, [1, 2], lostOrLate)
    },
  )

  test('a rank that closes fails at once, and the others are told', async () => {
    const [first, ...others] = foundBy(...(await ranks(3, ['closing'])))
    expectErrors([first], [0], /^ERR_COLLECTIVE_CLOSED$/)
    expectErrors(others, [1, 2], /^ERR_COLLECTIVE_PEER_LOST$/)
  })

  test('a process exits while an operation waits', async () => {
    const [first, ...others] = await ranks(3, ['exiting'])
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expectErrors(foundBy(...others), [1, 2], /^ERR_COLLECTIVE_PEER_LOST$/)
  })

  test('a rank that never joins is named by the others', async () => {
    const job = newJob(rendezvous)
    const start = (rank: string) =>
      startGroup(process.execPath, [program, 'gloo', 'sums'], {
        ...job,
        RANK: rank,
        WORLD_SIZE: '3',
        TIMEOUT_MS: '1500',
      })
    const ends = await Promise.all(['0', '2'].map((rank) => start(rank).end))
    for (const { found } of ends) {
      expect(found[0].code).toBe('ERR_COLLECTIVE_TIMEOUT')
      expect(found[0].message).toMatch(/rank 1 is missing/)
    }
  })
})

describe.runIf(isBuilt('gloo') && hasNetworkNamespaces())('gloo() on three hosts', () => {
  test('a host that falls off the network is an error on all, within the timeout', async () => {
    await withHosts(3, async (hosts) => {
      const job = newJob(`tcp://${hosts[0].address}:29500`)
      const ends = await Promise.all(
        hosts.map(({ command, address }, rank) => {
          const [first, ...words] = [...command, process.execPath, program, 'gloo', 'between', 'unplugged']
          const environment = {
            ...job,
            HOST: address,
            RANK: String(rank),
            WORLD_SIZE: '3',
            TIMEOUT_MS: '4000',
          }
          return startGroup(first, words, environment).end
        }),
      )
      expectErrors(foundBy(...ends), [0, 1, 2], lostOrLate)
    })
  })
})

describe.runIf(isBuilt('mpi'))('mpi()', () => {
  const ranks = (size: number, words: readonly string[], environment = {}) =>
    mpiRanks(program, size, words, environment)

  test.each([2, 3, 4])('%i ranks have the same bits of the right sums', async (size) => {
    const end = await ranks(size, ['sums'])
    expectSums(foundBy(end), size)
    expect(end).toMatchObject({ code: 0, stderr: '' })
    await expectLayers(foundBy(await ranks(size, ['layers'])), size)
  })

  test('the event loop runs on while a rank waits', async () => {
    const [, other] = foundBy(await ranks(2, ['waiting']))
    expect(other.ticks).toBeGreaterThan(5)
  })

  test.each(['length', 'key'])('another %s on one rank is an error on all', async (what) => {
    const end = await ranks(3, [what])
    expectErrors(foundBy(end), [0, 1, 2], mismatch, new RegExp(`another ${what} on some`))
    expect(end.code).toBe(3)
  })

  test.each([
    ['before', 'throw'],
    ['between', 'SIGKILL'],
    ['within', 'exit'],
  ])('a rank lost %s operations, by %s, ends the job with a code', async (when, how) => {
    const { code } = await ranks(3, [when, how], { TIMEOUT_MS: '3000' })
    expect(code).toBeGreaterThan(0)
  })

  test('a rank that hangs is an error on all others after the timeout', async () => {
    const end = await ranks(3, ['between', 'SIGSTOP'], { TIMEOUT_MS: '3000' })
    expectErrors(foundBy(end), [1, 2], /^ERR_COLLECTIVE_TIMEOUT$/)
    expect(end.code).toBe(3)
  })

  test('more ranks without mpirun are an error', async () => {
    const { found } = await startGroup(process.execPath, [program, 'mpi', 'sums'], { WORLD_SIZE: '2' }).end
    expect(found[0].code).toBe('ERR_COLLECTIVE_UNAVAILABLE')
    expect(found[0].message).toMatch(/WORLD_SIZE=2/)
  })
})

describe.each(['gloo', 'mpi'] as const)('%s() whose module', (name) => {
  const errorIn = async (package_: string) => {
    copyFileSync(program, join(package_, 'program.mjs'))
    const environment = { ...newJob(rendezvous), RANK: '0', WORLD_SIZE: '1' }
    const words = [join(package_, 'program.mjs'), name, 'sums']
    return foundBy(await startGroup(process.execPath, words, environment).end)[0]
  }
  const remedy = new RegExp(`apt install .*${name}.*npx batchnorm build --${name}`)

  test('is not built says how to install its library and how to build it', async () => {
    const { code, message } = await errorIn(temporaryFolder())
    expect(code).toBe('ERR_COLLECTIVE_UNAVAILABLE')
    expect(message).toMatch(remedy)
  })

  test('does not load says so, and why', async () => {
    const package_ = temporaryFolder()
    const built = join(package_, `native/collectives/${name}/build/Release`)
    mkdirSync(built, { recursive: true })
    writeFileSync(join(built, `${name}.node`), 'not a library')
    const { code, message } = await errorIn(package_)
    expect(code).toBe('ERR_COLLECTIVE_UNAVAILABLE')
    expect(message).toMatch(remedy)
    expect(message).toMatch(/file too short|invalid ELF header/)
  })
})
