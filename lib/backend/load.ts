/**
 * Which backend runs. The native addon serves if it loads, the TypeScript backend otherwise, and
 * a warning and `activeBackend().loadError` say why. The choice is made at the first use, so that a program may
 * call `useBackend` before, and can be made from the environment:
 *
 * - `BATCHNORM_BACKEND`: `native` (then an addon that does not load is an error) or `typescript`
 * - `BATCHNORM_INSTRUCTION_SET`: one of `supportedInstructionSets()`
 * - `BATCHNORM_NUM_THREADS`: a positive integer
 */
import process from 'node:process'
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'
import { describe, invalidValue } from '../checks/errors.ts'
import { oneOf, positiveInteger } from '../checks/scalars.ts'
import type { Backend } from './backend.ts'
import { environmentVariable } from './environment.ts'
import { loadNative, type Native } from './native.ts'
import { typescriptBackend } from './typescript/index.ts'

/** Who does the arithmetic: the addon of C++, or TypeScript. Both give the same bits. */
export type BackendName = Backend['name']

/** What computes now; see `activeBackend`. */
export interface ActiveBackend {
  /** The addon of C++ or TypeScript. */
  readonly name: BackendName
  /** `'avx512'`, `'avx2'`, `'sse2'`, `'neon'` or `'scalar'`; `null` for the TypeScript backend. */
  readonly instructionSet: string | null
  /** How many threads a call may use; the TypeScript backend uses 1. */
  readonly threads: number
  /** Why the native addon did not load, when it was tried last. */
  readonly loadError?: Error
}

/** A pool larger than any machine would only eat memory. */
const mostThreads = 1024

const backendNames: readonly BackendName[] = ['native', 'typescript']

let current: Backend | null = null
let native: Native | null = null
let loadError: Error | undefined
/** The last `setNumThreads`, for an addon that is loaded later. */
let threads: number | undefined

/** The backend that runs. */
export function currentBackend(): Backend {
  return current ?? start()
}

/** Which backend runs, how, and why not the native one. */
export function activeBackend(): ActiveBackend {
  const backend = currentBackend()
  const how =
    backend === native
      ? { instructionSet: native.instructionSet(), threads: native.threads() }
      : { instructionSet: null, threads: 1 }
  return { name: backend.name, ...how, ...(loadError && { loadError }) }
}

/**
 * Makes one backend run from now on; modules keep their state, and results keep their bits.
 *
 * @throws RangeError for an unknown name; Error, with the load error as its cause, if the addon does not load
 */
export function useBackend(name: BackendName): void {
  current = backendFor(oneOf('backend', name, backendNames), `useBackend('${name}')`)
}

/** The instruction sets that addon and processor support, best first; none if the addon does not load. */
export function supportedInstructionSets(): string[] {
  return openNative()?.supportedInstructionSets() ?? []
}

/**
 * Makes the native backend run on one instruction set.
 *
 * @throws RangeError that lists the supported ones; TypeError while the TypeScript backend runs, which has none
 */
export function useInstructionSet(name: string): void {
  const backend = currentBackend()
  if (native === null || backend !== native)
    throw withoutInstructionSets(`useInstructionSet(${describe(name)})`)
  native.useInstructionSet(oneOf('instructionSet', name, native.supportedInstructionSets()))
}

/**
 * How many threads a call of the native backend may use. It does not change a bit of any result, and
 * is remembered while the TypeScript backend runs, which uses one.
 *
 * @throws TypeError or RangeError for what is not an integer from 1 to 1024
 */
export function setNumThreads(count: number): void {
  threadCount('count', count)
  native?.setNumThreads(count)
  threads = count
}

/** The backend that the environment asks for, or the best that loads. */
function start(): Backend {
  const { backend, instructionSet } = readEnvironment()
  const chosen =
    backend === undefined ? (openNative() ?? fallback()) : backendFor(backend, `BATCHNORM_BACKEND=${backend}`)
  if (chosen === typescriptBackend && instructionSet !== undefined) {
    throw withoutInstructionSets(`BATCHNORM_INSTRUCTION_SET=${instructionSet}`)
  }
  current = chosen
  return chosen
}

/** The TypeScript backend, which nobody asked for: said once in a process, to whoever looks at stderr. */
function fallback(): Backend {
  const key = 'batchnorm.fallback'
  if (getEnvironmentData(key) === undefined) {
    // Workers that start later have it too.
    setEnvironmentData(key, true)
    process.emitWarning(
      `batchnorm runs its TypeScript backend: the same bits, but slower. ${loadError?.message}`,
      { code: 'BATCHNORM_TYPESCRIPT_BACKEND' },
    )
  }
  return typescriptBackend
}

/** The addon, set up as the environment says; `null`, and a `loadError`, if it does not load. */
function openNative(): Native | null {
  if (native !== null) return native
  let addon: Native
  try {
    addon = loadNative()
  } catch (error) {
    loadError = error as Error
    return null
  }
  const { instructionSet, numThreads } = readEnvironment()
  if (instructionSet !== undefined) {
    const supported = addon.supportedInstructionSets()
    addon.useInstructionSet(oneOf('BATCHNORM_INSTRUCTION_SET', instructionSet, supported))
  }
  const count = threads ?? numThreads
  if (count !== undefined) addon.setNumThreads(count)
  loadError = undefined
  native = addon
  return native
}

function backendFor(name: BackendName, asker: string): Backend {
  if (name === 'typescript') return typescriptBackend
  const addon = openNative()
  if (addon !== null) return addon
  throw new Error(
    `Expected the native addon to load for ${asker} but received: ${loadError?.message} ` +
      "('npx batchnorm doctor' says more; or use the 'typescript' backend)",
    { cause: loadError },
  )
}

interface Environment {
  readonly backend?: BackendName
  readonly instructionSet?: string
  readonly numThreads?: number
}

/** What the environment asks for; a variable that is empty, or may not be read, asks for nothing. */
function readEnvironment(): Environment {
  const BATCHNORM_BACKEND = environmentVariable('BATCHNORM_BACKEND')
  const BATCHNORM_INSTRUCTION_SET = environmentVariable('BATCHNORM_INSTRUCTION_SET')
  const BATCHNORM_NUM_THREADS = environmentVariable('BATCHNORM_NUM_THREADS')
  return {
    ...(BATCHNORM_BACKEND && { backend: oneOf('BATCHNORM_BACKEND', BATCHNORM_BACKEND, backendNames) }),
    ...(BATCHNORM_INSTRUCTION_SET && { instructionSet: BATCHNORM_INSTRUCTION_SET }),
    ...(BATCHNORM_NUM_THREADS && { numThreads: numThreadsOf(BATCHNORM_NUM_THREADS) }),
  }
}

function numThreadsOf(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw invalidValue('BATCHNORM_NUM_THREADS', 'a positive integer', text)
  return threadCount('BATCHNORM_NUM_THREADS', Number(text))
}

function threadCount(name: string, count: number): number {
  positiveInteger(name, count)
  if (count > mostThreads) throw invalidValue(name, `at most ${mostThreads}`, count)
  return count
}

function withoutInstructionSets(asker: string): TypeError {
  return new TypeError(
    `Expected the native backend for ${asker} but received the TypeScript backend, which has no ` +
      `instruction sets (${loadError ? `the addon did not load: ${loadError.message}` : "useBackend('native') first"})`,
    { cause: loadError },
  )
}
