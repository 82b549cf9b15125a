/** A process of support/ends.ts, and each of its threads: works as its plan says until it ends, or is ended. */
import { writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { BatchNorm1d, saveSafetensors, setNumThreads, type Tensor, tensor } from '../../lib/index.ts'
import { type Duty, plannedError, plannedExitCode, type WorkerEnd } from '../support/end-plan.ts'
import { batchOf, hashOf } from '../support/known-work.ts'

const duty: Duty = isMainThread ? JSON.parse(process.argv[2]) : workerData
const { path, known, plan, workers } = duty

let isOver = false
let pending = 0

/** At once: the process may be gone the next moment. */
function report(what: string): void {
  writeSync(1, `${isMainThread ? 'main' : 'a worker'}: ${what}\n`)
}

function check(what: string, result: Tensor<Float32Array>, hash: string): void {
  if (hashOf(result) !== hash) report(`wrong bits of ${what}`)
}

const endings: Readonly<Record<string, () => void>> = {
  'process.exit()': () => process.exit(plannedExitCode),
  exception: () => {
    throw new Error(plannedError)
  },
  rejection: () => void Promise.reject(new Error(plannedError)),
  'its last line': () => {
    isOver = true
  },
}
const end = (isMainThread && plan.end === 'its last line' ? undefined : endings[plan.end]) ?? (() => {})

const batch = batchOf('called')
const moment = performance.now() + plan.delay
/** The end comes within the call that looks at its argument then. */
const argument = {
  get data() {
    if (plan.isInCall && performance.now() >= moment) end()
    return batch.data
  },
  shape: batch.shape,
}

function call(): void {
  const bn = new BatchNorm1d(batch.shape[1])
  check('forward', bn.forward(argument), known.called.y)
  check('backward', bn.backward(batch), known.called.gradInput)
}

let saves = 0
function save(): void {
  const length = [200_000, 10, 5000][saves++ % 3]
  saveSafetensors(path, { values: tensor(new Float32Array(length).fill(length), [length]) })
}

function keepCalling(): void {
  if (isOver) return
  if (plan.works.includes('calls')) call()
  if (plan.works.includes('saves')) save()
  setImmediate(keepCalling)
}

/** Two calls are under way from now on. */
function keepStarting(): void {
  const batch = batchOf('started')
  const [forward, backward] = [1, 2].map(() => new BatchNorm1d(batch.shape[1]))
  backward.forward(batch)
  const repeat = async (what: string, hash: string, start: () => Promise<Tensor<Float32Array>>) => {
    while (!isOver) {
      pending++
      check(what, await start(), hash)
      pending--
    }
  }
  repeat('forwardAsync', known.started.y, () => forward.forwardAsync(batch))
  repeat('backwardAsync', known.started.gradInput, () => backward.backwardAsync(batch))
}

/** Code and error. Node.js gives 0 to a worker that is terminated before it runs. */
const rightEnds: Readonly<Record<WorkerEnd, readonly string[]>> = {
  'process.exit()': [`${plannedExitCode} `],
  exception: [`1 ${plannedError}`],
  rejection: [`1 ${plannedError}`],
  'terminate()': ['1 ', '0 '],
  'its last line': ['0 '],
}

/** Starts a worker, ends it if its plan says so, and waits until it has ended as it should. */
function workerEnded(plan: Duty['workers'][number]): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...duty, plan, workers: [] } })
  let message = ''
  worker.on('error', (error: Error) => {
    message = error.message
  })
  if (plan.end === 'terminate()') setTimeout(() => worker.terminate(), plan.delay)
  return new Promise((resolve) => {
    worker.on('exit', (code) => {
      if (!rightEnds[plan.end].includes(`${code} ${message}`)) report(`${plan.end} gave ${code} ${message}`)
      resolve()
    })
  })
}

process.on('exit', () => {
  if (plan.end === 'its last line' && pending > 0) report(`${pending} calls were not waited for`)
})
setNumThreads(plan.poolThreads)
if (plan.works.includes('asynchronous calls')) keepStarting()
keepCalling()
if (!plan.isInCall) setTimeout(end, plan.delay)
if (isMainThread) {
  writeSync(1, 'working\n')
  await Promise.all(workers.map(workerEnded))
  if (plan.end === 'its last line') {
    await workerEnded({ ...plan, end: 'its last line', delay: 0 })
    isOver = true
  }
}
