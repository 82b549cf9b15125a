/**
 * Every configuration that the tests run on: the TypeScript backend, and the native backend once for
 * each instruction set that this processor supports.
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../lib/backend/backend.ts'
import {
  activeBackend,
  currentBackend,
  supportedInstructionSets,
  useBackend,
  useInstructionSet,
} from '../../lib/backend/load.ts'

/** `npm run test:all`, the long campaigns: every case of what `npm test` takes a share of. */
export const isThorough = Boolean(process.env.BATCHNORM_ALL_TESTS)

/**
 * All of them in `npm run test:all`, else every `step`-th. From one of different `first` the shares differ, so that
 * suites that have the same cases meet all of them between them.
 */
export function share<Case>(cases: readonly Case[], step: number, first = 0): Case[] {
  return cases.filter((_, index) => isThorough || index % step === first % step)
}

export interface Configuration {
  /** For a test's title: `typescript`, `native avx2`, ... */
  readonly title: string
  readonly backend: 'native' | 'typescript'
  readonly instructionSet: string | null
}

/** Makes `configuration` the one that runs, proves it, and returns its backend. */
export function select(configuration: Configuration): Backend {
  useBackend(configuration.backend)
  if (configuration.instructionSet !== null) useInstructionSet(configuration.instructionSet)
  expectRunning(configuration)
  return currentBackend()
}

function expectRunning({ backend, instructionSet }: Configuration): void {
  expect(activeBackend()).toMatchObject({ name: backend, instructionSet })
}

/** The TypeScript backend: the specification that the others are compared with. */
const typescript: Configuration = { title: 'typescript', backend: 'typescript', instructionSet: null }

/** The native backend on every supported instruction set, best first. Empty when the addon is not built. */
export const natives: Configuration[] = []

let nativeError: unknown
try {
  useBackend('native')
  for (const instructionSet of supportedInstructionSets()) {
    natives.push({ title: `native ${instructionSet}`, backend: 'native', instructionSet })
  }
} catch (error) {
  nativeError = error
  console.warn(`NOT TESTED: the native backend. Build it with "npm run build:native". ${error}`)
}

export const configurations: readonly Configuration[] = [typescript, ...natives]

/** Whether the native backend can be tested. A continuous-integration run without it fails. */
export function describeNativeAvailability(): void {
  test.skipIf(nativeError !== undefined && !process.env.CI)('the native addon loads', () => {
    expect(nativeError).toBeUndefined()
    expect(natives.map(({ instructionSet }) => instructionSet)).toContain('scalar')
  })
}

/**
 * One `describe` for each configuration, selected before its tests, with proof before and after
 * each of them that this configuration is the one that runs. `place` is its place among them: that
 * from which its share of many cases may begin.
 */
export function describeEachBackend(
  name: string,
  suite: (configuration: Configuration, place: number) => void,
): void {
  describe(name, () => {
    describeNativeAvailability()
    for (const [place, configuration] of configurations.entries()) {
      describe(configuration.title, () => {
        beforeAll(() => {
          select(configuration)
        })
        afterEach(() => {
          expectRunning(configuration)
        })
        suite(configuration, place)
      })
    }
  })
}

/** One test for each native configuration, which gets its backend; a skipped one when there is none. */
export function testEachNative(check: (backend: Backend) => void): void {
  if (natives.length === 0) test.skip('native: not built')
  for (const configuration of natives) test(configuration.title, () => check(select(configuration)))
}
