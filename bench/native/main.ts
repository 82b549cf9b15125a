/**
 * The kernels from C++, in floors of the same run: `npm run bench:native`. README.md of this folder's
 * parent tells how it is done.
 */
import { join } from 'node:path'
import { lastLevelCache } from '../../cli/measure/machine.ts'
import { nameOf } from '../../cli/measure/shapes.ts'
import { buildPrograms } from '../build.ts'
import { goalsTable } from '../goals.ts'
import { describeProcessor, processorLine } from '../processor.ts'
import { saveSection } from '../results.ts'
import { casesOf, type ValueType } from './cases.ts'
import { goalsOf } from './goals.ts'
import { readOptions } from './options.ts'
import { type Measurement, run } from './program.ts'
import { comparisonTable, floorsTable, gainsTable } from './tables.ts'

/** How often two builds take turns on a case. */
const turns = 5

const options = readOptions(process.argv.slice(2))
const processor = describeProcessor()
tell('Building the program')
const program = join(buildPrograms('bench_native'), 'bench_native')
const cases = casesOf(options)
if (options.against === undefined) await measure()
else await compare(options.against)

async function measure(): Promise<void> {
  const measurements: Measurement[] = []
  let instructionSet = ''
  for (const [index, each] of cases.entries()) {
    tell(`${nameOf(each.shape)} ${each.type}, ${index + 1} of ${cases.length}`)
    const answer = await run(program, each, options)
    instructionSet = answer.instructionSet
    measurements.push(...answer.measurements)
  }
  const cache = options.cache === undefined ? lastLevelCache(processor) : options.cache * 2 ** 20
  const goals = goalsOf(measurements, cache)
  const tablesOf = (threads: number, make: (type: ValueType) => string) =>
    [...new Set(cases.filter((each) => each.threads.includes(threads)).map(({ type }) => type))].map(make)
  const sections = [
    `${processorLine(processor)}\n${instructionSet}`,
    ...tablesOf(1, (type) => floorsTable(measurements, type)),
    ...options.threads
      .filter((threads) => threads > 1)
      .flatMap((threads) => tablesOf(threads, (type) => gainsTable(measurements, type, threads))),
    goalsTable(goals),
  ]
  process.stdout.write(`${sections.join('\n\n')}\n`)
  if (options.save) {
    const { seconds } = options
    const settings = { instructionSet, seconds, cache }
    tell(`Kept in ${saveSection('native', { processor, settings, goals, measurements })}`)
  }
}

async function compare(other: string): Promise<void> {
  const ours: Measurement[] = []
  const theirs: Measurement[] = []
  const short = { ...options, seconds: options.seconds / turns }
  for (const [index, each] of cases.entries()) {
    tell(`${nameOf(each.shape)} ${each.type}, ${index + 1} of ${cases.length}`)
    for (let turn = 0; turn < turns; turn++) {
      ours.push(...(await run(program, each, short)).measurements)
      theirs.push(...(await run(other, each, short)).measurements)
    }
  }
  process.stdout.write(`${processorLine(processor)}\n\n${comparisonTable(ours, theirs)}\n`)
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
