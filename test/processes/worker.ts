/** What a worker thread of workers.test.ts does: it loads the addon for itself and computes. */
import { parentPort, workerData } from 'node:worker_threads'
import { currentBackend, setNumThreads, useBackend } from '../../lib/backend/load.ts'
import type { FloatArray } from '../support/bits.ts'
import { everyResult, inputsOf, type Recipe } from '../support/operations/index.ts'

/** `rounds` is Infinity for a worker that is to be terminated. */
export interface Task {
  readonly recipe: Recipe
  readonly names: readonly string[]
  readonly threads: number
  readonly rounds: number
}

/** The results of each round. */
export type Answer = Record<string, FloatArray>

const { recipe, names, threads, rounds } = workerData as Task
useBackend('native')
setNumThreads(threads)
const inputs = inputsOf(recipe)
for (let round = 0; round < rounds; round++) {
  const answer: Answer = everyResult(currentBackend(), inputs, names)
  // Of a worker that runs until it is terminated, the first answer is proof enough that it works.
  if (round === 0 || Number.isFinite(rounds)) parentPort?.postMessage(answer)
}
