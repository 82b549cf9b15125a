/** What a process does on several threads, in several ways, and how it, or they, end. */
import type { Hashes, WorkName } from './known-work.ts'
import type { Random } from './random.ts'

const works = ['calls', 'asynchronous calls', 'saves'] as const
export const workerEnds = [
  'process.exit()',
  'exception',
  'rejection',
  'terminate()',
  'its last line',
] as const
export const mainEnds = [
  'SIGKILL',
  'SIGTERM',
  'process.exit()',
  'exception',
  'rejection',
  'its last line',
] as const

export type WorkerEnd = (typeof workerEnds)[number]
export type MainEnd = (typeof mainEnds)[number]

export const plannedExitCode = 7
export const plannedError = 'Expected no more work'

/** What a thread does, and how and when it ends. */
export interface ThreadPlan<End> {
  readonly works: readonly (typeof works)[number][]
  readonly poolThreads: number
  readonly end: End
  /** Milliseconds from the beginning of its work; for `terminate()`, and a process that dies early, of the thread. */
  readonly delay: number
  /** It ends itself in the middle of a call, from a getter of its argument; otherwise between two. */
  readonly isInCall: boolean
}

export interface Plan {
  readonly main: ThreadPlan<MainEnd>
  /** A signal comes while the process starts. */
  readonly isEarly: boolean
  readonly workers: readonly ThreadPlan<WorkerEnd>[]
}

/** What a thread of the process is told. */
export interface Duty {
  readonly plan: ThreadPlan<MainEnd | WorkerEnd>
  readonly workers: Plan['workers']
  /** All threads save to the same file. */
  readonly path: string
  readonly known: Record<WorkName, Hashes>
}

export function planOf(random: Random): Plan {
  return {
    main: threadPlanOf(random, mainEnds),
    isEarly: random.below(4) === 0,
    workers: Array.from({ length: random.below(4) }, () => threadPlanOf(random, workerEnds)),
  }
}

function threadPlanOf<End>(random: Random, ends: readonly End[]): ThreadPlan<End> {
  const chosen = works.filter(() => random.below(2) === 0)
  const own = chosen.length > 0 ? chosen : works
  return {
    works: own,
    poolThreads: 1 + random.below(4),
    end: ends[random.below(ends.length)],
    delay: random.below(120),
    isInCall: own.includes('calls') && random.below(2) === 0,
  }
}
