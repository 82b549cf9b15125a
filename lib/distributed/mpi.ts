import process from 'node:process'
import { environmentVariable } from '../backend/environment.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { positiveInteger } from '../checks/scalars.ts'
import type { Collective } from './collective.ts'
import { CollectiveError } from './collective-error.ts'
import { guarded } from './guarded.ts'
import { sizeUnderMpirun } from './launcher.ts'
import { collectiveError, engineOf, loadModule, type NativeEngine } from './native-engine.ts'

/** Options of `mpi`. */
export interface MpiOptions {
  /** How long to wait for other ranks in each operation: 30,000 if left out. */
  timeoutMs?: number
}

const names = optionNames<MpiOptions>({ timeoutMs: true })

interface MpiModule {
  /** Null the second time. */
  create(timeoutMs: number): MpiEngine | null
}

interface MpiEngine extends NativeEngine {
  begin(): Promise<{ rank: number; size: number }>
  /** Closes it, and waits for MPI's own end, which waits for all ranks. */
  end(): void
  /** Closes it without MPI's own end. */
  abandon(): void
}

/**
 * The collective of a job that `mpirun -n 4 node train.mjs` has started. Its module is built on demand:
 * `npx batchnorm build --mpi`. A process can have it once, as MPI begins and ends once.
 *
 * @throws CollectiveError if the module or its library is not there
 */
export async function mpi(options: MpiOptions = {}): Promise<Collective> {
  const { timeoutMs = 30_000 } = optionsObject(options, names)
  positiveInteger('timeoutMs', timeoutMs)
  assertMpirun()
  const engine = loadModule<MpiModule>('mpi').create(timeoutMs)
  if (engine === null) {
    throw new TypeError(
      'Expected mpi() to be called once but received a second call (MPI begins once in a process)',
    )
  }
  const place = await engine.begin().catch((error) => {
    throw collectiveError(error)
  })
  // A rank that exits without MPI's own end is one that has failed to mpirun, which ends all others then.
  process.once('exit', (code) => (code === 0 ? engine.end() : engine.abandon()))
  return guarded(engineOf(engine, place))
}

/** Without mpirun each process would be alone, with rank 0 of 1, whatever the launcher has meant. */
function assertMpirun(): void {
  const size = environmentVariable('WORLD_SIZE')
  if (sizeUnderMpirun() !== undefined || size === undefined || size === '1') return
  throw new CollectiveError(
    'ERR_COLLECTIVE_UNAVAILABLE',
    `Expected mpi() to be called in a job of mpirun but received WORLD_SIZE=${size} without it ` +
      '(start the program by mpirun, or use gloo())',
  )
}
