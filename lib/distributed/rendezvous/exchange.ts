/** How ranks that know nothing of each other come together: each gives a value, and gets those of all. */
import { Buffer } from 'node:buffer'
import { setTimeout } from 'node:timers/promises'
import { CollectiveError } from '../collective-error.ts'

/** What a rank brings. */
export interface Exchange {
  readonly rank: number
  readonly size: number
  /** Of this attempt of the job: two attempts, or two jobs, do not meet. */
  readonly jobId: string
  readonly value: Buffer
  readonly deadline: Deadline
}

/** When an exchange has to be done. */
export class Deadline {
  readonly timeoutMs: number
  readonly #end: number

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs
    this.#end = performance.now() + timeoutMs
  }

  /** In milliseconds, at least 0. */
  get left(): number {
    return Math.max(0, this.#end - performance.now())
  }

  /** Waits a little before the next look; false when there is no time left. */
  async pause(): Promise<boolean> {
    if (this.left === 0) return false
    await setTimeout(Math.min(pauseMs, this.left))
    return true
  }
}

/** Between two looks. */
export const pauseMs = 20

/** Others are missing at the deadline. `how` ends the sentence. */
export function missingRanks(
  { rank, size, deadline }: Exchange,
  missing: readonly number[],
  how = '',
): CollectiveError {
  const shown = `${missing.slice(0, ranksShown).join(', ')}${missing.length > ranksShown ? ', ...' : ''}`
  const who =
    missing.length === 1 ? `rank ${shown} is missing` : `${missing.length} are missing, ranks ${shown}`
  return new CollectiveError(
    'ERR_COLLECTIVE_TIMEOUT',
    `Expected all ${size} ranks to come within ${deadline.timeoutMs} ms but ` +
      `${missing.length === 0 ? 'some are missing' : who} (as rank ${rank} sees it${how})`,
  )
}

const ranksShown = 16

/** The ranks of which nothing has been heard. */
export function ranksWithout(size: number, has: (rank: number) => boolean): number[] {
  return Array.from({ length: size }, (_, rank) => rank).filter((rank) => !has(rank))
}

/** Whether there is something of every rank. */
export function isComplete(ofRanks: readonly unknown[], size: number): boolean {
  return ranksWithout(size, (rank) => rank in ofRanks).length === 0
}

/** Somebody else has been this rank of this job. */
export function oldJob({ rank, jobId }: Exchange): CollectiveError {
  return new CollectiveError(
    'ERR_COLLECTIVE_MISMATCH',
    `Expected a new jobId but received '${jobId}', in which there has been a rank ${rank} ` +
      '(take another jobId for each attempt of a job)',
  )
}

/** What a rank says, as text; ranks of jobs of another size do not understand each other. */
export function announcement({ size, value }: Exchange): string {
  return JSON.stringify({ size, value: value.toString('base64') })
}

/** What another rank has said. */
export function valueIn(text: string, { rank, size }: Exchange, other: number): Buffer {
  const said = JSON.parse(text) as { size: number; value: string }
  if (said.size === size) return Buffer.from(said.value, 'base64')
  throw new CollectiveError(
    'ERR_COLLECTIVE_MISMATCH',
    `Expected all ranks to be of one size but rank ${rank} has size ${size}, and rank ${other} has size ${said.size}`,
  )
}
