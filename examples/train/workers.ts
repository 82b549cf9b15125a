import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RankFailure, RENDEZVOUS } from './rank.ts'

export interface Workers {
  readonly ranks: readonly ChildProcess[]
  /** What came of them: an exit code, and a line to show if it is not 0. */
  readonly ended: Promise<{ code: number; error?: string }>
}

/** How long the others have to end by themselves, after one has failed. */
const GRACE_MILLISECONDS = 5000

/**
 * Starts the ranks of a job on this machine, each with the same arguments. They meet in a temporary folder. When one
 * fails the others end too.
 *
 * @param output - whether the first rank writes to the terminal
 */
export function startWorkers(
  count: number,
  args: readonly string[],
  { checkpoint, output = 'inherit' }: { checkpoint?: string; output?: 'inherit' | 'ignore' } = {},
): Workers {
  const folder = mkdtempSync(join(tmpdir(), 'batchnorm-train-'))
  const threads = Math.max(1, Math.floor(availableParallelism() / count))
  const ranks = Array.from({ length: count }, (_, rank) =>
    fork(join(import.meta.dirname, 'main.ts'), args, {
      execArgv: ['--import', 'tsx'],
      env: {
        BATCHNORM_NUM_THREADS: String(threads),
        ...process.env,
        RANK: String(rank),
        WORLD_SIZE: String(count),
        [RENDEZVOUS]: `file:${folder}`,
      },
      stdio: ['ignore', rank === 0 ? output : 'ignore', output, 'ipc'],
    }),
  )

  const failures: (RankFailure & { rank: number })[] = []
  let timer: NodeJS.Timeout | undefined
  const ends = ranks.map(async (job, rank) => {
    let told: RankFailure | undefined
    job.on('message', (failure) => {
      told = failure as RankFailure
    })
    const [code, signal] = await once(job, 'close')
    if (code === 0) return
    const message = signal ? `it was ended by ${signal}` : `it ended with exit code ${code}`
    failures.push({ rank, ...(told ?? { message, isFromOthers: false }) })
    timer ??= setTimeout(() => {
      for (const other of ranks) other.kill('SIGKILL')
    }, GRACE_MILLISECONDS)
  })
  const ended = Promise.all(ends).then(() => {
    clearTimeout(timer)
    rmSync(folder, { recursive: true })
    if (failures.length === 0) return { code: 0 }
    const { rank, message } = failures.find(({ isFromOthers }) => !isFromOthers) ?? failures[0]
    const error = `Rank ${rank} has failed, and ended the job: ${message}.${remedyWith(checkpoint)}`
    return { code: 1, error }
  })
  return { ranks, ended }
}

function remedyWith(checkpoint: string | undefined): string {
  if (checkpoint === undefined || !existsSync(checkpoint)) return ''
  return ` --resume ${checkpoint} goes on from the last checkpoint.`
}
