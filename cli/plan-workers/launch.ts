import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Failure } from '../failure.ts'
import type { Network } from './cost.ts'
import type { EngineName } from './options.ts'

const run = promisify(execFile)
const program = ['--import', 'tsx', fileURLToPath(new URL('rank.ts', import.meta.url))]

/** Alpha and beta between two ranks on this machine. */
export async function measureHere(engine: EngineName): Promise<Network> {
  const folder = mkdtempSync(join(tmpdir(), 'batchnorm-plan-workers-'))
  const ranks =
    engine === 'mpi'
      ? [start('mpirun', ['-n', '2', process.execPath, ...program, 'mpi'])]
      : [0, 1].map((rank) => start(process.execPath, [...program, 'gloo', folder, String(rank)]))
  try {
    const [{ stdout }] = await Promise.all(ranks)
    return JSON.parse(stdout)
  } catch (error) {
    const { message, stderr = '' } = error as { message: string; stderr?: string }
    const reason = stderr.match(/^.*Error[^:]*: (.*)$/m)?.[1] ?? message
    throw new Failure(`Expected two ranks to be timed by ${engine} but received: ${reason}`)
  } finally {
    await Promise.allSettled(ranks)
    rmSync(folder, { recursive: true })
  }
}

function start(command: string, args: readonly string[]) {
  return run(command, args, { timeout: 60_000 })
}
