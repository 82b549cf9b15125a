/**
 * This library and its peers, side by side: `npm run bench:peers`. README.md of this folder's parent
 * tells how it is done.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { elementsOf, nameOf } from '../../cli/measure/shapes.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { extentOf } from '../../lib/tensor/shape.ts'
import { buildPrograms } from '../build.ts'
import { goalsTable } from '../goals.ts'
import { describeProcessor, processorLine } from '../processor.ts'
import { saveSection } from '../results.ts'
import { disagreement, expectationsOf } from './agreement.ts'
import {
  type Contestant,
  type ContestantName,
  columnOf,
  contestantsIn,
  type Operation,
} from './contestants.ts'
import { prepareDebian13 } from './debian-13.ts'
import { goalsOf } from './goals.ts'
import { inputsOf, writeInputs } from './inputs.ts'
import { Measurements } from './measurements.ts'
import { readOptions } from './options.ts'
import { writePicture } from './picture.ts'
import { type Entry, measureRounds } from './rounds.ts'
import { timesTables } from './tables.ts'
import { Worker } from './worker.ts'

const options = readOptions(process.argv.slice(2))
const processor = describeProcessor()
const measurements = new Measurements()
/** What was left out, and why. */
const omissions: string[] = []
// Where the process of Debian 13 sees it too.
const folder = mkdtempSync(
  join(options.debian13 === undefined ? tmpdir() : join(options.debian13, 'tmp'), 'batchnorm-peers-'),
)
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

tell('Building the C++ programs')
const programs = buildPrograms('peers')
const debian13 = options.debian13 === undefined ? undefined : prepareDebian13(options.debian13, folder, omit)
if (debian13 === undefined)
  omit('PyTorch and oneDNN of Debian 13 (debootstrap trixie FOLDER; --debian-13 FOLDER)')
const workers = await startAll(contestantsIn(programs, debian13))
for (const [index, shape] of options.shapes.entries()) {
  tell(`${nameOf(shape)}, ${index + 1} of ${options.shapes.length}`)
  await measure(shape)
}
for (const worker of workers) await worker.end()

const goals = goalsOf({ measurements, ...options })
const tables = timesTables({
  measurements,
  ...options,
  contestants: workers.map(({ contestant }) => contestant),
  columnOf: (name) => workerOf(name).column,
  productOf: (name) => workerOf(name).product,
})
const sections = [
  processorLine(processor),
  workers.map(({ column, title }) => `${column}: ${title}`).join('\n'),
  tables,
  goalsTable(goals),
  ...(omissions.length > 0 ? [`Left out:\n${omissions.join('\n')}`] : []),
]
process.stdout.write(`${sections.join('\n\n')}\n`)
if (options.save) {
  const versions = Object.fromEntries(workers.map(({ contestant, title }) => [contestant.name, title]))
  const settings = { rounds: options.rounds, unit: 'microseconds', versions, omissions }
  tell(`Kept in ${saveSection('peers', { processor, settings, goals, measurements: measurements.all() })}`)
  tell(`Picture in ${writePicture()}`)
}

function workerOf(wanted: ContestantName): Worker {
  return workers.find(({ contestant }) => contestant.name === wanted) as Worker
}

async function startAll(contestants: readonly Contestant[]): Promise<Worker[]> {
  const starts = await Promise.allSettled(contestants.map((contestant) => Worker.start(contestant)))
  for (const [index, start] of starts.entries()) {
    const { installation } = contestants[index]
    const column = columnOf(contestants[index])
    if (start.status === 'rejected') omit(`${column}: ${start.reason.message} (${installation})`)
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
        else omit(`${worker.column}: ${operation} of ${nameOf(shape)}, ${threads} threads: ${error}`)
      }
    }
  }
  await measureRounds(entries, shape, options.rounds, measurements)

  async function disagreementOf(
    worker: Worker,
    operation: Operation,
    threads: number,
  ): Promise<string | null> {
    const pass = operation === 'step' ? 'backward' : operation
    if (pass === 'copy' || worker.contestant.name === 'floor') return null
    try {
      return disagreement(await worker.values(operation, threads, stride), expected[pass])
    } catch (error) {
      return (error as Error).message
    }
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
