/**
 * `npm run soak`: whether memory stays what it is over many calls, and the bits right with many threads.
 * It prints a table, and ends with an error where a goal is missed. RSS is of the whole process.
 */
import { once } from 'node:events'
import { Command } from 'commander'
import { formatTable } from '../cli/table.ts'
import { BatchNorm1d, tensor } from '../lib/index.ts'
import { startWorker } from '../test/processes/start-worker.ts'
import { hashOfMixedOperations } from '../test/support/mixed-operations.ts'
import { describeProcessor, processorLine } from './processor.ts'

const { calls, workers, minutes } = new Command('npm run soak --')
  .option('--calls <number>', 'of each kind', Number, 1_000_000)
  .option('--workers <number>', 'that come and go', Number, 1000)
  .option('--minutes <number>', 'of eight threads at once', Number, 10)
  .allowExcessArguments(false)
  .parse()
  .opts<{ calls: number; workers: number; minutes: number }>()

const shape = [32, 64]
const x = tensor(
  Float32Array.from({ length: 2048 }, (_, index) => (index % 37) - 18),
  shape,
)
const large = tensor(new Float32Array(2 ** 20).fill(1), [1024, 1024])
const goalOfCalls = 1.05
const mostOfLoop = 400

const y = new Float32Array(2048)

const kinds: Record<string, (bn: BatchNorm1d) => unknown> = {
  'fresh outputs': (bn) => bn.forward(x),
  out: (bn) => bn.forward(x, { out: y }),
  'disposed of': (bn) => bn.forward(x).dispose(),
  'forward and backward': (bn) => bn.backward(bn.forward(x)),
  asynchronous: (bn) => bn.forwardAsync(x),
}

interface Row {
  readonly what: string
  readonly count: number
  readonly before: string
  readonly after: string
  readonly isGood: boolean
}

const rows = [...(await soaked()), loopOfLarge(), await ofWorkers(), await ofThreads()]
console.log(`${processorLine(describeProcessor())}\n`)
console.log(
  formatTable(
    ['what', 'count', 'before', 'after', 'goal'],
    rows.map(({ what, count, before, after, isGood }) => [
      what,
      count,
      before,
      after,
      isGood ? 'met' : 'MISSED',
    ]),
  ),
)
if (rows.some(({ isGood }) => !isGood)) process.exitCode = 1

/** RSS after a hundredth of the calls, and after all. */
async function soaked(): Promise<Row[]> {
  const rows: Row[] = []
  for (const [what, call] of Object.entries(kinds)) {
    const bn = new BatchNorm1d(64)
    await repeat(calls / 100, () => call(bn))
    const before = mebibytes()
    await repeat(calls, () => call(bn))
    const after = mebibytes()
    const isGood = after <= before * goalOfCalls
    rows.push({ what, count: calls, before: `${before} MiB`, after: `${after} MiB`, isGood })
  }
  return rows
}

/** Calls with a turn of the event loop now and then. */
async function repeat(count: number, call: () => unknown): Promise<void> {
  for (let index = 0; index < count; index++) {
    const result = call()
    if (result instanceof Promise) await result
    else if (index % 1000 === 0) await new Promise(setImmediate)
  }
}

/** Outputs of 4 MiB that are dropped, without a turn of the event loop. */
function loopOfLarge(): Row {
  const bn = new BatchNorm1d(1024)
  const count = Math.ceil(calls / 100)
  const before = mebibytes()
  let most = 0
  for (let index = 0; index < count; index++) {
    bn.forward(large)
    if (index % 100 === 0) most = Math.max(most, mebibytes())
  }
  const isGood = most <= before + mostOfLoop
  return {
    what: 'a loop of 4 MiB outputs',
    count,
    before: `${before} MiB`,
    after: `at most ${most} MiB`,
    isGood,
  }
}

/** Threads that load the library, compute, and end, eight at a time; the last hundred beside the first. */
async function ofWorkers(): Promise<Row> {
  let before = 0
  for (let started = 0; started < workers; started += 8) {
    await Promise.all(Array.from({ length: 8 }, () => ended('once')))
    if (before === 0 && started >= workers / 10) before = mebibytes()
  }
  const after = mebibytes()
  const isGood = after <= before * 1.2
  return { what: 'workers', count: workers, before: `${before} MiB`, after: `${after} MiB`, isGood }
}

/** Eight threads whose backend, instruction set and number of threads change meanwhile: the same hash each time. */
async function ofThreads(): Promise<Row> {
  const expected = hashOfMixedOperations()
  const answers = await Promise.all(Array.from({ length: 8 }, () => ended(String(minutes * 60_000))))
  const hashes = answers.flat()
  const isGood = hashes.length >= 8 && hashes.every((hash) => hash === expected)
  return {
    what: 'hashes of eight threads',
    count: hashes.length,
    before: '',
    after: isGood ? 'equal' : 'NOT EQUAL',
    isGood,
  }
}

/** What a thread sends until it ends. */
async function ended(work: string): Promise<string[]> {
  const worker = startWorker('../../bench/soak-worker.ts', work)
  const answers: string[] = []
  worker.on('message', (answer: string) => answers.push(answer))
  const [exitCode] = await once(worker, 'exit')
  if (exitCode !== 0) throw new Error(`a worker ended with ${exitCode}`)
  return answers
}

function mebibytes(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20)
}
