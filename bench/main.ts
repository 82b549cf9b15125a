/** The library from JavaScript, call by call: `npm run bench`. */
import { writeFileSync } from 'node:fs'
import { measure } from 'mitata'
import { activeBackend, useBackend } from '../lib/index.ts'
import { type Case, casesByShape, copyName } from './cases.ts'
import { readOptions } from './options.ts'
import { describeMachine, machineLine } from './support/machine.ts'
import { ratio, threeDigits } from './support/numbers.ts'
import { bytesOf, nameOf } from './support/shapes.ts'
import { formatTable } from './support/table.ts'

interface Result extends Omit<Case, 'run'> {
  /** Of a call, in microseconds. */
  readonly median: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
  readonly gigabytesPerSecond: number
  /** How many times as long as the copy of the same array. */
  readonly timesCopy: number
}

/** Calls of up to 10 microseconds are timed 512 at a time; no collection is asked for before. */
const precision = { min_cpu_time: 150e6, batch_threshold: 10_000, batch_samples: 512, gc: false }

const { filter, json } = readOptions(process.argv.slice(2))
const machine = describeMachine()
const { instructionSet, threads, loadError } = activeBackend()
if (loadError) process.stderr.write(`The native backend is not measured: ${loadError.message}\n`)

const results: Result[] = []
for (const cases of casesByShape()) {
  const wanted = cases.filter(
    (each) => titleOf(each).includes(filter) && !(each.backend === 'native' && loadError),
  )
  if (wanted.length === 0) continue
  const copy = cases.find(({ name }) => name === copyName) as Case
  process.stderr.write(`${nameOf(copy.shape)}\n`)
  const copyTime = (await measure(copy.run, precision)).p50
  for (const each of wanted) results.push(await resultOf(each, copyTime))
}

const how = `native backend: ${instructionSet ?? 'not loaded'}, up to ${threads} threads`
process.stdout.write(`${machineLine(machine)}\n${how}\n\n${table(results)}\n`)
if (json !== undefined) {
  writeFileSync(json, `${JSON.stringify({ machine, instructionSet, threads, results }, null, 2)}\n`)
}

async function resultOf({ run, ...each }: Case, copyTime: number): Promise<Result> {
  if (each.backend !== null) useBackend(each.backend)
  const { p25, p50, p75 } = await measure(run, precision)
  return {
    ...each,
    median: p50 / 1000,
    lowerQuartile: p25 / 1000,
    upperQuartile: p75 / 1000,
    gigabytesPerSecond: (bytesOf(each.shape) * each.passes) / p50,
    timesCopy: p50 / copyTime,
  }
}

function titleOf({ shape, backend, name }: Pick<Case, 'shape' | 'backend' | 'name'>): string {
  return [nameOf(shape), backend, name].filter(Boolean).join(' ')
}

function table(results: readonly Result[]): string {
  const rows = results.map((result) => [
    titleOf(result),
    threeDigits(result.median),
    `${threeDigits(result.lowerQuartile)} - ${threeDigits(result.upperQuartile)}`,
    ratio(result.gigabytesPerSecond),
    ratio(result.timesCopy),
  ])
  return formatTable(['', 'median us', 'quartiles', 'GB/s', 'x copy'], rows)
}
