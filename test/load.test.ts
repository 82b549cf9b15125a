/** Which backend serves, and what is said when the addon does not load. Each case is a process of its own. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadAddon } from '../lib/backend/addon.ts'
import {
  activeBackend,
  setNumThreads,
  supportedInstructionSets,
  useBackend,
  useInstructionSet,
} from '../lib/index.ts'
import { describeNativeAvailability, natives } from './support/backends.ts'
import { bundled, removeBundles } from './support/bundle.ts'
import { addForeignAddon } from './support/foreign-addon.ts'
import { inherited } from './support/processes.ts'

/** What a process says: the JSON of `expression`, or the error that it threw. */
async function inProcess(expression: string, environment: Record<string, string> = {}) {
  const { stdout } = await promisify(execFile)(process.execPath, [program, expression], {
    env: { ...inherited, BATCHNORM_PREBUILD: undefined, ...environment },
  })
  return JSON.parse(stdout)
}

let program: string
beforeAll(async () => {
  program = await bundled(new URL('processes/loading.ts', import.meta.url))
})

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-load-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
  removeBundles()
})

/** A folder without an addon, one whose addon is no library, and one whose addon is of another package. */
const absent = { BATCHNORM_PREBUILD: join(folder, 'absent') }
const broken = { BATCHNORM_PREBUILD: join(folder, 'broken') }
mkdirSync(join(folder, 'broken', 'build', 'Release'), { recursive: true })
writeFileSync(join(folder, 'broken', 'build', 'Release', 'batchnorm.node'), 'not a library')
const foreign = { BATCHNORM_PREBUILD: join(folder, 'foreign') }
addForeignAddon(join(folder, 'foreign'))

const typescript = { name: 'typescript', instructionSet: null, threads: 1 }

describe('an addon that does not load', () => {
  test.concurrent.each([
    { title: 'absent', environment: absent, reason: /No native build was found/ },
    { title: 'broken', environment: broken, reason: /batchnorm\.node/ },
    {
      title: 'of another package',
      environment: foreign,
      reason: /batchnorm\.node to be the addon of 'batchnorm@.*' but received that of another package/,
    },
  ])('$title: the TypeScript backend serves, and loadError says why', async ({ environment, reason }) => {
    const result = await inProcess('[active(), supportedInstructionSets()]', environment)
    expect(result).toEqual([{ ...typescript, loadError: expect.stringMatching(reason) }, []])
  })

  const forward = 'new batchnorm.BatchNorm1d(1).forward(batchnorm.tensor([[1], [2]]))'
  test.concurrent.each<[string, string, Record<string, string>]>([
    ['BATCHNORM_BACKEND=native', 'active()', { BATCHNORM_BACKEND: 'native' }],
    ['BATCHNORM_BACKEND=native', forward, { BATCHNORM_BACKEND: 'native' }],
    ["useBackend('native')", "useBackend('native')", {}],
  ])('is an error for %s: %s', async (asker, expression, environment) => {
    const error = await inProcess(expression, { ...absent, ...environment })
    expect(error.kind).toBe('Error')
    expect(error.message).toContain(
      `Expected the native addon to load for ${asker} but received: No native build`,
    )
    expect(error.cause).toContain('No native build was found')
  })

  test.concurrent('useBackend leaves the backend that runs as it was', async () => {
    const result = await inProcess("[active(), attempt(() => useBackend('native')).kind, active()]", absent)
    expect(result[1]).toBe('Error')
    expect(result[2]).toEqual(result[0])
  })

  test.concurrent('cannot give the instruction set that is asked for', async () => {
    const error = await inProcess('active()', { ...absent, BATCHNORM_INSTRUCTION_SET: 'scalar' })
    expect(error.message).toContain(
      'Expected the native backend for BATCHNORM_INSTRUCTION_SET=scalar but received the TypeScript backend, ' +
        'which has no instruction sets (the addon did not load: No native build was found',
    )
  })
})

describe('the environment', () => {
  test.concurrent('BATCHNORM_BACKEND=typescript does not even try the addon', async () => {
    expect(await inProcess('active()', { ...broken, BATCHNORM_BACKEND: 'typescript' })).toEqual(typescript)
  })

  test.concurrent('an empty variable asks for nothing', async () => {
    const empty = { BATCHNORM_BACKEND: '', BATCHNORM_INSTRUCTION_SET: '', BATCHNORM_NUM_THREADS: '' }
    expect(await inProcess('active().name', { ...absent, ...empty })).toBe('typescript')
  })

  test.concurrent('that may not be read asks for nothing, as in Deno without --allow-env', async () => {
    const names = ['BACKEND', 'INSTRUCTION_SET', 'NUM_THREADS', 'PREBUILD'].map((name) => `BATCHNORM_${name}`)
    const get = `get(_, name) { if (${JSON.stringify(names)}.includes(name)) throw new Error('denied') }`
    const denies = `Object.defineProperty(process, 'env', { value: new Proxy({}, { ${get} }) })`
    expect(await inProcess(`(${denies}, active())`)).toEqual(await inProcess('active()'))
  })

  test.concurrent.each<[Record<string, string>, string]>([
    [
      { BATCHNORM_BACKEND: 'wasm' },
      "RangeError: Expected BATCHNORM_BACKEND to be one of native, typescript but received 'wasm'",
    ],
    [
      { BATCHNORM_NUM_THREADS: 'two' },
      "RangeError: Expected BATCHNORM_NUM_THREADS to be a positive integer but received 'two'",
    ],
    [
      { BATCHNORM_NUM_THREADS: '0', BATCHNORM_BACKEND: 'typescript' },
      "RangeError: Expected BATCHNORM_NUM_THREADS to be a positive integer but received '0'",
    ],
    [
      { BATCHNORM_NUM_THREADS: '100000' },
      'RangeError: Expected BATCHNORM_NUM_THREADS to be at most 1024 but received 100000',
    ],
    [
      { BATCHNORM_BACKEND: 'typescript', BATCHNORM_INSTRUCTION_SET: 'avx2' },
      'TypeError: Expected the native backend for BATCHNORM_INSTRUCTION_SET=avx2 but received the TypeScript ' +
        "backend, which has no instruction sets (useBackend('native') first)",
    ],
  ])('%o is an error', async (environment, message) => {
    const { kind, message: said } = await inProcess('active()', environment)
    expect(`${kind}: ${said}`).toBe(message)
  })
})

describe.skipIf(natives.length === 0)('the native backend', () => {
  const sets = natives.map(({ instructionSet }) => instructionSet as string)

  test.concurrent('serves by itself, on the best instruction set', async () => {
    const [active, supported] = await inProcess('[active(), supportedInstructionSets()]')
    expect(active).toMatchObject({ name: 'native', instructionSet: sets[0] })
    expect(active).not.toHaveProperty('loadError')
    expect(supported).toEqual(sets)
  })

  test.concurrent.each(sets)(
    'BATCHNORM_INSTRUCTION_SET=%s and BATCHNORM_NUM_THREADS=3 are taken',
    async (set) => {
      const environment = {
        BATCHNORM_INSTRUCTION_SET: set,
        BATCHNORM_NUM_THREADS: '3',
        BATCHNORM_BACKEND: 'native',
      }
      expect(await inProcess('active()', environment)).toEqual({
        name: 'native',
        instructionSet: set,
        threads: 3,
      })
    },
  )

  test.concurrent('BATCHNORM_INSTRUCTION_SET that is not supported lists those that are', async () => {
    const error = await inProcess('[1, 2].map(() => attempt(active))', { BATCHNORM_INSTRUCTION_SET: 'mmx' })
    const message = `Expected BATCHNORM_INSTRUCTION_SET to be one of ${sets.join(', ')} but received 'mmx'`
    expect(error, 'and stays an error').toEqual(Array(2).fill({ kind: 'RangeError', message }))
  })

  test
    .runIf(process.platform === 'linux')
    .concurrent('serves if that of another C library lies beside it', async () => {
      const prebuilds = join(folder, 'both/prebuilds', `${process.platform}-${process.arch}`)
      mkdirSync(prebuilds, { recursive: true })
      writeFileSync(join(prebuilds, 'batchnorm.node'), 'not a library')
      copyFileSync(loadAddon().file, join(prebuilds, 'batchnorm.musl.node'))
      const active = await inProcess('active()', { BATCHNORM_PREBUILD: join(folder, 'both') })
      expect(active).toMatchObject({ name: 'native' })
    })

  test.concurrent('setNumThreads before the addon is loaded is not forgotten', async () => {
    const environment = { BATCHNORM_NUM_THREADS: '2' }
    expect(await inProcess('[setNumThreads(3), active().threads]', environment)).toEqual([null, 3])
  })
})

describe('choosing at run time', () => {
  beforeEach(() => useBackend('typescript'))
  afterEach(() => useBackend('typescript'))

  test('an unknown backend is an error that lists the known ones, and changes nothing', () => {
    const message = "Expected backend to be one of native, typescript but received 'gpu'"
    expect(() => useBackend('gpu' as never)).toThrow(new RangeError(message))
    expect(activeBackend()).toMatchObject(typescript)
  })

  test('the TypeScript backend has no instruction sets', () => {
    expect(() => useInstructionSet('avx2')).toThrow(TypeError)
    expect(() => useInstructionSet('avx2')).toThrow(
      /Expected the native backend for useInstructionSet\('avx2'\) but received the TypeScript backend/,
    )
  })

  test.each([0, -1, 1.5, Number.NaN, '2', undefined])('%s threads are an error', (count) => {
    expect(() => setNumThreads(count as never)).toThrow(
      /^Expected count to be a positive integer but received/,
    )
  })

  describe.skipIf(natives.length === 0)('with the addon', () => {
    test('every choice is in force, and an unknown instruction set changes nothing', () => {
      useBackend('native')
      for (const set of supportedInstructionSets()) {
        useInstructionSet(set)
        expect(activeBackend()).toMatchObject({ name: 'native', instructionSet: set })
      }
      const before = activeBackend()
      const sets = supportedInstructionSets().join(', ')
      expect(() => useInstructionSet('mmx')).toThrow(
        new RangeError(`Expected instructionSet to be one of ${sets} but received 'mmx'`),
      )
      expect(activeBackend()).toEqual(before)
    })

    test('setNumThreads holds across a change of the backend', () => {
      useBackend('native')
      const before = activeBackend().threads
      useBackend('typescript')
      setNumThreads(before + 1)
      expect(activeBackend().threads).toBe(1)
      useBackend('native')
      expect(activeBackend().threads).toBe(before + 1)
      setNumThreads(before)
    })
  })
})

describeNativeAvailability()
