/**
 * `npm run soak`: whether memory stays what it is over many calls, and the bits right with many threads.
 * It prints a table, and ends with an error where a goal is missed. RSS is of the whole process.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Command } from 'commander'
import { formatTable } from '../cli/table.ts'
import { BatchNorm1d, tensor } from '../lib/index.ts'
import { bundled } from '../test/support/bundle.ts'
import { hashOfMixedOperations } from '../test/support/mixed-operations.ts'
import { describeProcessor, processorLine } from './processor.ts'
import type { Memory, Soaked } from './soak-calls.ts'
import { control, kinds } from './soak-kinds.ts'

const { calls, workers, minutes } = new Command('npm run soak --')
  .option('--calls <number>', 'of each kind', Number, 1_000_000)
  .option('--workers <number>', 'that come and go', Number, 1000)
  .option('--minutes <number>', 'of eight threads at once', Number, 10)
  .allowExcessArguments(false)
  .parse()
  .opts<{ calls: number; workers: number; minutes: number }>()

const goalOfCalls = 1.05
const mostOfLoop = 400
/** The youngest objects have a space of one size, and dropped arrays are freed at once, by this thread. */
const collected = ['--expose-gc', '--max-semi-space-size=1', '--single-threaded-gc']

interface Row {
  readonly what: string
  readonly count: number
  readonly before: string
  readonly after: string
  /** `null` where there is no goal. */
  readonly isGood: boolean | null
}

const programs = {
  calls: await bundled(new URL('soak-calls.ts', import.meta.url)),
  worker: await bundled(new URL('soak-worker.ts', import.meta.url)),
}
const rows: Row[] = []
for await (const row of soaked()) {
  rows.push(row)
  console.error(`${row.what}: ${row.before} -> ${row.after}`)
}
console.log(`${processorLine(describeProcessor())}\n`)
console.log(
  formatTable(
    ['what', 'count', 'before', 'after', 'goal'],
    rows.map(({ what, count, before, after, isGood }) => [
      what,
      count,
      before,
      after,
      isGood === null ? '' : isGood ? 'met' : 'MISSED',
    ]),
  ),
)
if (rows.some(({ isGood }) => isGood === false)) process.exitCode = 1

async function* soaked(): AsyncGenerator<Row> {
  yield* ofCalls('collected', collected)
  yield* ofCalls("at V8's own pace", [])
  yield loopOfLarge()
  yield ofWorkers()
  yield ofThreads()
}

/** Memory after a hundredth of the calls, and after all, of each kind in a process of its own. */
async function* ofCalls(how: string, flags: readonly string[]): AsyncGenerator<Row> {
  for (const kind of Object.keys(kinds)) {
    const child = fork(programs.calls, [kind, String(calls)], { execArgv: [...flags] })
    const [[{ before, after }]]: [[Soaked], unknown] = await Promise.all([
      once(child, 'message') as Promise<[Soaked]>,
      once(child, 'exit'),
    ])
    const hasGoal = how === 'collected' && kind !== control
    const isGood = hasGoal ? after.rss <= before.rss * goalOfCalls : null
    yield { what: `${kind}, ${how}`, count: calls, before: told(before), after: told(after), isGood }
  }
}

function told({ rss, heap }: Memory): string {
  return `${rss} MiB, V8's heap ${heap}`
}

/** Outputs of 4 MiB that are dropped, without a turn of the event loop. */
function loopOfLarge(): Row {
  const bn = new BatchNorm1d(1024)
  const large = tensor(new Float32Array(2 ** 20).fill(1), [1024, 1024])
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
  const worker = new Worker(programs.worker, { workerData: work })
  const answers: string[] = []
  worker.on('message', (answer: string) => answers.push(answer))
  const [exitCode] = await once(worker, 'exit')
  if (exitCode !== 0) throw new Error(`a worker ended with ${exitCode}`)
  return answers
}

function mebibytes(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20)
}
