/**
 * This library and its peers, side by side: `npm run bench:peers`. README.md of this folder's parent
 * tells how it is done.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeMachine, lastLevelCache, machineLine } from '../../lib/measure/machine.ts'
import { elementsOf, nameOf, type Shape } from '../../lib/measure/shapes.ts'
import { extentOf } from '../../lib/shape.ts'
import { buildPrograms } from '../build.ts'
import { disagreement, expectationsOf } from './agreement.ts'
import { speedChart } from './chart.ts'
import { type Contestant, contestantsIn, type Operation } from './contestants.ts'
import { inputsOf, writeInputs } from './inputs.ts'
import { Measurements } from './measurements.ts'
import { readOptions } from './options.ts'
import { type Entry, measureRounds } from './rounds.ts'
import { summaryOf } from './summary.ts'
import { targetsTable, timesTables } from './tables.ts'
import { targetsOf } from './targets.ts'
import { Worker } from './worker.ts'

const options = readOptions(process.argv.slice(2))
const machine = describeMachine()
const measurements = new Measurements()
const scratch = new Map<string, number>()
/** What was left out, and why. */
const omissions: string[] = []
const folder = mkdtempSync(join(tmpdir(), 'batchnorm-peers-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

tell('Building the C++ programs')
const contestants = contestantsIn(buildPrograms('peers'))
const workers = await startAll(contestants)
for (const [index, shape] of options.shapes.entries()) {
  tell(`${nameOf(shape)}, ${index + 1} of ${options.shapes.length}`)
  await measure(shape)
}
for (const worker of workers) await worker.end()

const present = workers.map(({ contestant }) => contestant)
const cache = options.cache ?? lastLevelCache(machine)
const targets = targetsOf({ measurements, ...options, cache, scratch })
const misses = targets.filter(({ verdict }) => verdict === 'MISS').length
const passed = targets.filter(({ verdict }) => verdict === 'PASS').length
const sections = [
  machineLine(machine),
  workers.map(({ contestant, title }) => `${contestant.title}: ${title}`).join('\n'),
  timesTables(measurements, options.shapes, options.threads, present),
  targetsTable(targets),
  ...(omissions.length > 0 ? [`Left out:\n${omissions.join('\n')}`] : []),
  `${passed} targets met, ${misses} missed, ${targets.length - passed - misses} not measured`,
]
process.stdout.write(`${sections.join('\n\n')}\n`)
if (options.json !== undefined) {
  const versions = Object.fromEntries(workers.map(({ contestant, title }) => [contestant.name, title]))
  const summary = summaryOf({ machine, cache, versions, options, measurements, scratch, targets, omissions })
  writeFileSync(options.json, `${JSON.stringify(summary, null, 2)}\n`)
  const most = options.threads[options.threads.length - 1]
  const picture = speedChart(measurements, options.shapes, most, machineLine(machine))
  writeFileSync(options.json.replace(/(\.json)?$/, '.svg'), picture)
}

async function startAll(contestants: readonly Contestant[]): Promise<Worker[]> {
  const starts = await Promise.allSettled(contestants.map((contestant) => Worker.start(contestant)))
  for (const [index, start] of starts.entries()) {
    const { title, installation } = contestants[index]
    if (start.status === 'rejected') omit(`${title}: ${start.reason.message} (${installation})`)
  }
  return starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
}

async function measure(shape: Shape): Promise<void> {
  const extent = extentOf(shape, 'channels-first')
  const inputs = inputsOf(extent)
  writeInputs(folder, inputs)
  // About a thousand of the large result's values; a prime, to meet every channel.
  const stride = primeFrom(Math.ceil(elementsOf(shape) / 1000))
  const expected = expectationsOf(inputs, extent, stride)
  const entries: Entry[] = []
  for (const worker of workers) {
    const { contestant } = worker
    if (elementsOf(shape) > contestant.mostElements) continue
    await worker.load(folder, extent)
    for (const operation of contestant.operations) {
      for (const threads of contestant.singleThreaded ? [1] : options.threads) {
        const error = await disagreementOf(worker, operation, threads)
        if (error === null) entries.push({ worker, operation, threads })
        else omit(`${contestant.title}: ${operation} of ${nameOf(shape)}, ${threads} threads: ${error}`)
      }
    }
    if (contestant.name === 'native') {
      const { note } = await worker.time('scratch', 1, 1, 1)
      scratch.set(nameOf(shape), Number(note))
    }
  }
  await measureRounds(entries, shape, options.rounds, measurements)

  async function disagreementOf(
    worker: Worker,
    operation: Operation,
    threads: number,
  ): Promise<string | null> {
    const pass = operation === 'step' ? 'backward' : operation
    if (pass !== 'forward' && pass !== 'backward' && pass !== 'eval') return null
    return disagreement(await worker.values(operation, threads, stride), expected[pass])
  }
}

function primeFrom(least: number): number {
  const isPrime = (number: number) => {
    for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false
    return true
  }
  let number = Math.max(least, 2)
  while (!isPrime(number)) number++
  return number
}

function omit(what: string): void {
  omissions.push(what)
  tell(what)
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
