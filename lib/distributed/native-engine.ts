/** The native modules of the engines, each built on demand, and loaded when its engine is asked for. */
import { existsSync } from 'node:fs'
// By its namespace: webpack would follow a `createRequire` that is imported by name.
import * as module from 'node:module'
import { fileURLToPath, URL } from 'node:url'
import { CollectiveError, type CollectiveErrorCode } from './collective-error.ts'
import type { Engine } from './engine.ts'

/** An engine as its module has it. */
export interface NativeEngine {
  allReduce(values: Float64Array): void
  allReduceAsync(values: Float64Array): Promise<void>
  close(): void
}

/** How Debian has the library of an engine. */
export const packagesOf = { gloo: 'libgloo-dev', mpi: 'libopenmpi-dev openmpi-bin pkg-config' } as const

/** Where `batchnorm build` puts the module of an engine. tsdown.config.ts knows how deep a built file lies. */
export function fileOfModule(name: keyof typeof packagesOf): string {
  return fileURLToPath(
    new URL(`../../native/collectives/${name}/build/Release/${name}.node`, import.meta.url),
  )
}

/** @throws CollectiveError if it is not built, or its library is not there any more */
export function loadModule<Module>(name: keyof typeof packagesOf): Module {
  const file = fileOfModule(name)
  const remedy =
    `(install its library, on Debian: apt install ${packagesOf[name]}; ` +
    `then build it: npx batchnorm build --${name}, or in a clone: npm run build:${name})`
  if (!existsSync(file)) {
    const message = `Expected the module of ${name}() to be built but received no ${file} ${remedy}`
    throw new CollectiveError('ERR_COLLECTIVE_UNAVAILABLE', message)
  }
  try {
    return module.createRequire(import.meta.url)(file)
  } catch (cause) {
    const message = `Expected ${file} to load but received: ${(cause as Error).message} ${remedy}`
    throw new CollectiveError('ERR_COLLECTIVE_UNAVAILABLE', message, { cause })
  }
}

/** An engine that the guard can use. */
export function engineOf(native: NativeEngine, place: { rank: number; size: number }): Engine {
  return {
    ...place,
    allReduceSum(values) {
      try {
        native.allReduce(values)
      } catch (error) {
        throw collectiveError(error)
      }
    },
    async allReduceSumAsync(values) {
      try {
        await native.allReduceAsync(values)
      } catch (error) {
        throw collectiveError(error)
      }
    },
    close: () => native.close(),
  }
}

const words: Partial<Record<CollectiveErrorCode, string>> = {
  ERR_COLLECTIVE_PEER_LOST: 'Expected all ranks to be there but lost at least one',
  ERR_COLLECTIVE_TIMEOUT: 'Expected all ranks to come in time but waited in vain for at least one',
  ERR_COLLECTIVE_CLOSED: 'Expected the collective to stay open but it was closed',
}

/** The error of an engine, whose code is one of `CollectiveError`. */
export function collectiveError(error: unknown): CollectiveError {
  const { code, message } = error as { code: CollectiveErrorCode; message: string }
  return new CollectiveError(code, `${words[code] ?? 'The engine has failed'} (${message})`, { cause: error })
}
