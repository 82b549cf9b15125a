/**
 * The interleaving. In every round each contestant has one short turn for each operation and number
 * of threads, in an order that is drawn anew; so what the machine does meanwhile (another program, a
 * change of its clock) falls on all of them alike.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Shape } from '../../lib/tensor/shape.ts'
import { Random } from '../../test/support/random.ts'
import type { Operation } from './contestants.ts'
import type { Measurements } from './measurements.ts'
import type { Worker } from './worker.ts'

export interface Entry {
  readonly worker: Worker
  readonly operation: Operation
  readonly threads: number
}

interface Turn extends Entry {
  /** How many calls a sample is the mean of, so that reading the clock does not show. */
  readonly calls: number
  readonly samples: number
}

/** Of a sample and of a turn, in microseconds. */
const shortestSample = 50
const lengthOfTurn = 10_000
const mostSamples = 100
/** For the threads of the last one to go to sleep: OpenMP's spin for some milliseconds. */
const betweenTurns = 20

export async function measureRounds(
  entries: readonly Entry[],
  shape: Shape,
  rounds: number,
  measurements: Measurements,
): Promise<void> {
  const turns: Turn[] = []
  for (const entry of entries) turns.push(await plan(entry))
  const random = new Random(rounds)
  for (let round = 0; round < rounds; round++) {
    for (const { worker, operation, threads, calls, samples } of shuffled(turns, random)) {
      await pause(betweenTurns)
      const { microseconds, note } = await worker.time(operation, threads, calls, samples)
      measurements.add({ contestant: worker.contestant.name, operation, shape, threads }, microseconds, note)
    }
  }
}

/** How long its turns are, from a first try, which also warms it up. */
async function plan(entry: Entry): Promise<Turn> {
  const attempt = async (samples: number) => {
    const { microseconds } = await entry.worker.time(entry.operation, entry.threads, 1, samples)
    return Math.max(Math.min(...microseconds), 0.1)
  }
  const first = await attempt(1)
  const time = first > lengthOfTurn / 10 ? first : await attempt(10)
  const calls = Math.ceil(shortestSample / time)
  const samples = Math.floor(lengthOfTurn / (calls * time))
  return { ...entry, calls, samples: Math.min(Math.max(samples, 2), mostSamples) }
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last--) {
    const other = random.below(last + 1)
    ;[order[last], order[other]] = [order[other], order[last]]
  }
  return order
}
