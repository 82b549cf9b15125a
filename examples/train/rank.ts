/** What a process is among the ranks of a job, and how it ends when it fails. */
import { type Collective, CollectiveError, gloo, mpi, solo } from '../../lib/distributed/index.ts'
import type { Options } from './options.ts'

/** Where the ranks that `startWorkers` has started find each other; other launchers set what `gloo` reads itself. */
export const RENDEZVOUS = 'BATCHNORM_TRAIN_RENDEZVOUS'

/** What a rank that fails tells the process that has started it. */
export interface RankFailure {
  readonly message: string
  /** Whether it is another rank's failure that has ended this one. */
  readonly isFromOthers: boolean
}

/** Joins the other ranks, if there are any. */
export async function joinRanks({ engine, workers }: Options): Promise<Collective> {
  const rendezvous = process.env[RENDEZVOUS]
  if (engine === 'mpi') return await mpi()
  if (rendezvous !== undefined) return await gloo({ rendezvous, jobId: 'train' })
  return engine === 'gloo' && workers === undefined ? await gloo() : solo()
}

/** Ends this rank when the process that has started it is gone. */
export function endWithParent(): void {
  process.once('disconnect', () => process.exit(1))
  process.channel?.unref()
}

/** Says what has gone wrong, to the process that has started this rank if there is one, and ends. */
export async function endAfter(error: unknown): Promise<never> {
  if (!(error instanceof CollectiveError)) throw error
  const failure: RankFailure = {
    message: error.message,
    isFromOthers: error.code === 'ERR_COLLECTIVE_PEER_LOST' || error.code === 'ERR_COLLECTIVE_CLOSED',
  }
  if (process.send) {
    await new Promise((resolve) => process.send?.(failure, resolve))
  } else {
    process.stderr.write(`error: ${error.message}\n`)
  }
  process.exit(1)
}
