/**
 * How long the event loop stands still while `forwardAsync` and `backwardAsync` work on 512 MiB:
 * `npm run bench:stall`. Beside them, for as long, nothing at all, and as many threads that only count.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Command } from 'commander'
import { threeDigits } from '../cli/measure/numbers.ts'
import { nameOf } from '../cli/measure/shapes.ts'
import { afterFirst, formatTable } from '../cli/table.ts'
import { writeText } from '../lib/checkpoints/write.ts'
import { activeBackend, BatchNorm1d, setNumThreads, tensor, useBackend } from '../lib/index.ts'
import { describeProcessor, processorLine } from './processor.ts'

interface Load {
  readonly name: string
  readonly threads: number
  /** Begins, and resolves when it is done. */
  readonly run: () => Promise<unknown>
}

/** Milliseconds; of an event loop in two conditions, each measured in calls of its own. */
interface Result {
  readonly name: string
  readonly threads: number
  /** Of a call. */
  readonly duration: number
  /** One that sleeps and is to be woken every millisecond: how late it was at most, and once in a hundred times. */
  readonly longestDelay: number
  readonly delay99: number
  /** One that never sleeps: the longest time from a turn to the next. */
  readonly longestTurn: number
  /** The same without the time that the main thread was ready and had no core; null where the system does not tell. */
  readonly longestOwnTurn: number | null
  readonly turns: number
}

const shape = [524288, 256]
const length = 524288 * 256
const repetitions = 5
const [space, zero] = [32, 48] // in ASCII

const { json } = new Command('npm run bench:stall --')
  .description('Measures how long the event loop stands still during asynchronous calls on 512 MiB.')
  .option('--json <file>', 'where to write all figures')
  .allowExcessArguments(false)
  .parse()
  .opts<{ json?: string }>()

const load = loadavg()[0]
useBackend('native')
const module = new BatchNorm1d(256)
const evaluation = new BatchNorm1d(256).eval()
const input = tensor(filled(), shape)
const gradOutput = tensor(filled(), shape)
const out = new Float32Array(length)

const results: Result[] = []
for (const threads of [1, 2]) {
  setNumThreads(threads)
  const { duration } = await measure({ name: '', threads, run: () => module.forwardAsync(input, { out }) })
  const loads: Load[] = [
    { name: 'nothing', threads: 0, run: () => setTimeout(duration) },
    { name: 'threads that count', threads, run: () => counting(threads, duration) },
    { name: 'forwardAsync, out', threads, run: () => module.forwardAsync(input, { out }) },
    { name: 'forwardAsync in eval, out', threads, run: () => evaluation.forwardAsync(input, { out }) },
    { name: 'backwardAsync, out', threads, run: () => module.backwardAsync(gradOutput, { out }) },
    { name: 'forwardAsync', threads, run: () => module.forwardAsync(input) },
    { name: 'backwardAsync', threads, run: () => module.backwardAsync(gradOutput) },
  ]
  for (const each of loads) {
    if (threads > 1 && each.threads === 0) continue
    process.stderr.write(`${each.name}, ${each.threads} threads\n`)
    results.push(await measure(each))
  }
}

const machine = describeProcessor()
const { instructionSet } = activeBackend()
const how = `${nameOf(shape)}, 512 MiB, ${instructionSet}, load average ${load.toFixed(1)} before`
process.stdout.write(`${processorLine(machine)}\n${how}: milliseconds\n\n`)
process.stdout.write(`${table(results)}\n`)
if (json !== undefined) {
  writeText(json, `${JSON.stringify({ machine, instructionSet, shape, load, results }, null, 2)}\n`)
}

/** Each loop is measured by itself: the one that spins would keep the one that sleeps awake. */
async function measure({ name, threads, run }: Load): Promise<Result> {
  await run()
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const begin = performance.now()
  delays.enable()
  for (let repetition = 0; repetition < repetitions; repetition++) await run()
  delays.disable()
  const duration = (performance.now() - begin) / repetitions
  const spinning = spin()
  for (let repetition = 0; repetition < repetitions; repetition++) await run()
  const delayOf = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - 1)
  return {
    name,
    threads,
    duration,
    longestDelay: delayOf(delays.max),
    delay99: delayOf(delays.percentile(99)),
    ...spinning.stop(),
  }
}

/** Turns the event loop as fast as it goes, until it is stopped. */
function spin() {
  const waited = waitForCore()
  let longestTurn = 0
  let longestOwnTurn = 0
  let turns = 0
  let last = performance.now()
  let lastWaited = waited.milliseconds()
  let next = setImmediate(turn)
  function turn(): void {
    const nowWaited = waited.milliseconds()
    const now = performance.now()
    longestTurn = Math.max(longestTurn, now - last)
    longestOwnTurn = Math.max(longestOwnTurn, now - last - (nowWaited - lastWaited))
    last = now
    lastWaited = nowWaited
    turns++
    next = setImmediate(turn)
  }
  return {
    stop: () => {
      clearImmediate(next)
      waited.close()
      return { longestTurn, longestOwnTurn: waited.isKnown ? longestOwnTurn : null, turns }
    },
  }
}

/**
 * How long the main thread has been ready to run and had to wait for a core, as Linux tells it.
 * https://www.kernel.org/doc/Documentation/scheduler/sched-stats.rst
 */
function waitForCore() {
  const path = '/proc/self/schedstat'
  if (!existsSync(path)) return { isKnown: false, milliseconds: () => 0, close: () => {} }
  const file = openSync(path, 'r')
  const text = Buffer.alloc(64)
  return {
    isKnown: true,
    // The second of three numbers, read without garbage: collections would be stalls of our own making.
    milliseconds: () => {
      readSync(file, text, 0, text.length, 0)
      let nanoseconds = 0
      for (let index = text.indexOf(' ') + 1; text[index] !== space; index++) {
        nanoseconds = 10 * nanoseconds + text[index] - zero
      }
      return nanoseconds / 1e6
    },
    close: () => closeSync(file),
  }
}

/** Threads that keep as many cores busy, and nothing else. */
async function counting(threads: number, duration: number): Promise<void> {
  const workers = Array.from({ length: threads }, () => new Worker('for (;;);', { eval: true }))
  await setTimeout(duration)
  await Promise.all(workers.map((worker) => worker.terminate()))
}

/** Values that no chunk finds constant, made fast. */
function filled(): Float32Array {
  const values = new Float32Array(length)
  const period = 65521
  for (let index = 0; index < period; index++) values[index] = Math.sin(index)
  for (let end = period; end < length; end *= 2) values.copyWithin(end, 0, Math.min(end, length - end))
  return values
}

function table(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.name,
    String(result.threads),
    threeDigits(result.duration),
    threeDigits(result.longestDelay),
    threeDigits(result.delay99),
    threeDigits(result.longestTurn),
    result.longestOwnTurn === null ? '-' : threeDigits(result.longestOwnTurn),
    String(result.turns),
  ])
  return formatTable(
    ['meanwhile', 'threads', 'a call', 'longest delay', '99 %', 'longest turn', 'its own', 'turns'],
    rows,
    afterFirst,
  )
}
