/** The addon in several worker threads at once: each loads it, all compute the same bits, any may end. */
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, test } from 'vitest'
import { setNumThreads } from '../lib/backend/load.ts'
import { typescriptBackend } from '../lib/backend/typescript/index.ts'
import { startWorker } from './processes/start-worker.ts'
import type { Answer, Task } from './processes/worker.ts'
import { describeNativeAvailability, natives, select } from './support/backends.ts'
import { differences, everyResult, inputsOf, type Recipe } from './support/operations/index.ts'

const names = [
  'statistics',
  'normalize',
  'forward, propagate',
  'backward in training, iwb',
  'backward in eval, iwb',
]

/** Large enough that threads share it out. */
function recipe(seed: number): Recipe {
  return {
    type: 'float32',
    extent: seed % 2 === 0 ? { outer: 8193, channels: 33, inner: 1 } : { outer: 7, channels: 5, inner: 8193 },
    kind: 'another kind in each channel',
    gradientKind: 'normal',
    seed,
    eps: 1e-5,
    momentum: 0.1,
    offset: seed,
  }
}

function start(task: Task): Worker {
  return startWorker('worker.ts', task)
}

/** All answers of a worker, once it has ended by itself; an error in it is an error here. */
async function answersOf(worker: Worker): Promise<Answer[]> {
  const answers: Answer[] = []
  worker.on('message', (answer: Answer) => answers.push(answer))
  const [code] = await once(worker, 'exit')
  expect(code).toBe(0)
  return answers
}

describeNativeAvailability()

describe.runIf(natives.length > 0)('the addon in worker threads', () => {
  afterAll(() => setNumThreads(1))

  test('gives the same bits in four workers and the main thread at once, each with its own thread count', async () => {
    const rounds = 10
    const recipes = [1, 2, 3, 4].map(recipe)
    const expected = recipes.map((each) => everyResult(typescriptBackend, inputsOf(each), names))
    const workers = recipes.map((each, index) => start({ recipe: each, names, threads: index + 1, rounds }))
    let ended = false
    const answers = Promise.all(workers.map(answersOf)).finally(() => {
      ended = true
    })

    const native = select(natives[0])
    const inputs = inputsOf(recipes[0])
    while (!ended) {
      expect(differences(everyResult(native, inputs, names), expected[0])).toEqual([])
      await new Promise(setImmediate)
    }
    for (const [index, ofWorker] of (await answers).entries()) {
      expect(ofWorker).toHaveLength(rounds)
      for (const answer of ofWorker) expect(differences(answer, expected[index])).toEqual([])
    }
  })

  test('survives workers that are terminated in the middle of a computation', async () => {
    const expected = everyResult(typescriptBackend, inputsOf(recipe(2)), names)
    const task: Task = { recipe: recipe(2), names, threads: 4, rounds: Number.POSITIVE_INFINITY }
    const survivor = start({ ...task, rounds: 50 })
    const answers = answersOf(survivor)
    for (let time = 0; time < 3; time++) {
      const workers = [start(task), start(task)]
      const firstAnswers = await Promise.all(workers.map((worker) => once(worker, 'message')))
      for (const [answer] of firstAnswers) expect(differences(answer, expected)).toEqual([])
      expect(await Promise.all(workers.map((worker) => worker.terminate()))).toEqual([1, 1])
    }
    for (const answer of await answers) expect(differences(answer, expected)).toEqual([])
    expect(differences(everyResult(select(natives[0]), inputsOf(recipe(2)), names), expected)).toEqual([])
  })
})
