/** One rank: comes together with the others, does what its words say, and prints what it found as one line of JSON. */
import { execFileSync } from 'node:child_process'
import { kill, pid } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Collective, CollectiveError, gloo, mpi, SyncBatchNorm } from '../../lib/distributed/index.ts'
import { hashOf, inputOfRank, randomValues } from '../support/rank-values.ts'

const [engine, scenario, victimEnds = ''] = process.argv.slice(2)
const { TIMEOUT_MS = '60000', HOST = '127.0.0.1', RENDEZVOUS, JOB_ID } = process.env
const timeoutMs = Number(TIMEOUT_MS)

const scenarios: Record<string, (collective: Collective) => Promise<object>> = {
  /** Sums of numbers made by chance, whose bits depend on the order in which they are added. */
  async sums(collective) {
    const synchronous = randomValues(collective.rank)
    collective.allReduceSum(synchronous, 'one')
    const asynchronous = randomValues(collective.rank)
    await collective.allReduceSumAsync(asynchronous, 'other')
    const empty = new Float64Array(0)
    collective.allReduceSum(empty)

    // Without a queue, 7 of 200 had wrong sums.
    const count = collective.size === 2 ? 200 : 20
    const overlapping = Array.from({ length: count }, (_, index) => new Float64Array(1 + index).fill(index))
    await Promise.all(overlapping.map((values) => collective.allReduceSumAsync(values)))
    const isRight = overlapping.every((values, index) =>
      values.every((value) => value === index * collective.size),
    )
    return {
      bits: [synchronous, asynchronous].map(hashOf),
      areRight: isRight && isSum(synchronous, collective.size),
    }
  },

  /** A batch norm of the batches of all, which waits for the others on this thread, and one that waits off it. */
  async layers(collective) {
    const input = inputOfRank(collective.rank)
    const options = { collective, dtype: 'float64' } as const
    const [one, other] = [new SyncBatchNorm(8, options), new SyncBatchNorm(8, options)]
    const here = [one.forward(input), one.backward(input)]
    const away = [await other.forwardAsync(input), await other.backwardAsync(input)]
    const statistics = [one, other].map(({ runningMean, runningVar }) => [
      ...runningMean.data,
      ...runningVar.data,
    ])
    return {
      bits: statistics.map((values) => hashOf(values)),
      areRight: here.every(({ data }, index) => hashOf(data) === hashOf(away[index].data)),
    }
  },

  /** The others wait for rank 0, which comes late: they still have time for themselves. */
  async waiting(collective) {
    let ticks = 0
    const timer = setInterval(() => ticks++, 10)
    if (collective.rank === 0) await sleep(300)
    await collective.allReduceSumAsync(new Float64Array(1))
    clearInterval(timer)
    return { ticks }
  },

  async length(collective) {
    collective.allReduceSum(new Float64Array(collective.rank === 0 ? 3 : 4), 'key')
    return {}
  },

  async key(collective) {
    await collective.allReduceSumAsync(new Float64Array(3), `layer${Math.min(collective.rank, 1)}`)
    return {}
  },

  /** Rank 0 is lost before its first operation. */
  async before(collective) {
    if (collective.rank === 0) await end()
    await collective.allReduceSumAsync(new Float64Array(1))
    return {}
  },

  async between(collective) {
    collective.allReduceSum(new Float64Array(1))
    if (collective.rank === 0) await end()
    collective.allReduceSum(new Float64Array(1))
    return {}
  },

  /** Of 8 MB, which are under way when rank 0 is lost. */
  async within(collective) {
    for (;;) {
      const operation = collective.allReduceSumAsync(new Float64Array(2 ** 20))
      if (collective.rank === 0) {
        await sleep(10)
        await end()
      }
      await operation
    }
  },

  /** Rank 0 closes while it waits, and lives on. */
  async closing(collective) {
    if (collective.rank !== 0) await sleep(200)
    const operation = collective.allReduceSumAsync(new Float64Array(1))
    if (collective.rank === 0) {
      await sleep(50)
      collective.close()
    }
    await operation
    return {}
  },

  /** Rank 0 exits while it waits. */
  async exiting(collective) {
    if (collective.rank === 0) {
      collective.allReduceSumAsync(new Float64Array(1)).catch(() => {})
      await sleep(50)
      process.exit(0)
    }
    await sleep(200)
    await collective.allReduceSumAsync(new Float64Array(1))
    return {}
  },
}

/** Whether these are the sums over all ranks. Each order of additions is allowed, and rounds as often. */
function isSum(sums: Float64Array, size: number): boolean {
  const terms = Array.from({ length: size }, (_, rank) => randomValues(rank))
  return sums.every((sum, index) => {
    const total = terms.reduce((before, values) => before + values[index], 0)
    const magnitude = terms.reduce((before, values) => before + Math.abs(values[index]), 0)
    return Math.abs(sum - total) <= size * 2 ** -52 * magnitude
  })
}

async function end(): Promise<void> {
  if (victimEnds === 'SIGKILL' || victimEnds === 'SIGSTOP') kill(pid, victimEnds)
  if (victimEnds === 'exit') process.exit(0)
  if (victimEnds === 'throw') throw new Error('thrown by rank 0')
  if (victimEnds === 'unplugged') execFileSync('ip', ['link', 'set', 'eth0', 'down'])
}

let rank = -1
function report(found: object): void {
  process.stdout.write(`${JSON.stringify({ rank, ...found })}\n`)
}

/** What every further call gives after an error. */
async function codesAfterwards(collective: Collective): Promise<unknown[]> {
  const calls = [
    async () => collective.allReduceSum(new Float64Array(1)),
    () => collective.allReduceSumAsync(new Float64Array(1)),
  ]
  const ends = await Promise.allSettled(calls.map((call) => call()))
  collective.close()
  collective.close()
  return ends.map((each) => (each.status === 'rejected' ? each.reason.code : 'none'))
}

let collective: Collective | undefined
try {
  collective =
    engine === 'mpi'
      ? await mpi({ timeoutMs })
      : await gloo({ timeoutMs, host: HOST, rendezvous: RENDEZVOUS, jobId: JOB_ID })
  rank = collective.rank
  report(await scenarios[scenario](collective))
  collective.close()
} catch (error) {
  if (!(error instanceof CollectiveError)) throw error
  const afterwards = collective && (await codesAfterwards(collective))
  report({ code: error.code, message: error.message, afterwards })
  // mpirun ends all at the first that fails: they have their say before.
  if (engine === 'mpi') await sleep(300)
  process.exitCode = 3
}
