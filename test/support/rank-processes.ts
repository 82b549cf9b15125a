/** Ranks as processes of their own. All end: each group has a deadline, and is killed at its end. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileOfModule } from '../../lib/distributed/native-engine.ts'

export interface RankEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** What it printed as lines of JSON. */
  readonly found: Found[]
  readonly stderr: string
}

/** What a rank has found; see test/processes/rank.ts. */
export interface Found {
  readonly rank: number
  readonly code?: string
  readonly message?: string
  readonly afterwards?: readonly string[]
  readonly ticks?: number
  /** Of the sums of a synchronous and of an asynchronous operation. */
  readonly bits?: readonly string[]
  readonly areRight?: boolean
}

const deadlineMs = 110_000

/** Whether an engine's module is built; it says so if not. */
export function isBuilt(name: 'gloo' | 'mpi'): boolean {
  if (existsSync(fileOfModule(name))) return true
  console.warn(`NOT TESTED: ${name}(). Build it with "npm run build:${name}"`)
  return false
}

interface Group {
  readonly end: Promise<RankEnd>
  kill(): void
}

/** Starts a program in a process group of its own. */
export function startGroup(
  command: string,
  words: readonly string[],
  environment: Record<string, string> = {},
): Group {
  const child = spawn(command, words, { detached: true, env: { ...clean, ...environment } })
  const kill = () => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  const end = new Promise<RankEnd>((resolve, reject) => {
    const deadline = setTimeout(kill, deadlineMs)
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (text) => {
      stdout += text
    })
    child.stderr.on('data', (text) => {
      stderr += text
    })
    child.on('error', reject)
    // What it has started, too.
    child.on('exit', kill)
    child.on('close', (code, signal) => {
      clearTimeout(deadline)
      const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
      try {
        resolve({ code, signal, found: lines.map((line) => JSON.parse(line)), stderr })
      } catch (error) {
        reject(error)
      }
    })
  })
  return { end, kill }
}

/** What this process was started with tells its children nothing. */
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(RANK|WORLD_SIZE|MASTER_|OMPI_|PMI|GLOO_)/.test(name)),
)

let jobs = 0

/** Where the ranks of a job meet, and by which name. */
export function newJob(rendezvous: string): Record<string, string> {
  return { RENDEZVOUS: rendezvous, JOB_ID: `job-${process.pid}-${jobs++}` }
}

/** Ranks on Gloo, each a process. One that stops itself is killed when the others have ended. */
export async function glooRanks(
  program: string,
  size: number,
  words: readonly string[],
  environment: Record<string, string>,
): Promise<RankEnd[]> {
  const groups = Array.from({ length: size }, (_, rank) =>
    startGroup(process.execPath, [program, 'gloo', ...words], {
      ...environment,
      RANK: String(rank),
      WORLD_SIZE: String(size),
    }),
  )
  const [first, ...others] = groups
  await Promise.all(others.map(({ end }) => end))
  if (words.includes('SIGSTOP')) first.kill()
  return Promise.all(groups.map(({ end }) => end))
}

/** Ranks under mpirun: its end, with what all of them printed. */
export function mpiRanks(
  program: string,
  size: number,
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<RankEnd> {
  const { end } = startGroup(
    'mpirun',
    ['--oversubscribe', '-n', String(size), process.execPath, program, 'mpi', ...words],
    {
      ...environment,
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    },
  )
  return end
}

/** A folder that is removed when this process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'batchnorm-ranks-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
