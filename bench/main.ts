/** The library from JavaScript, call by call: `npm run bench`. */

import { ratio, threeDigits } from '../cli/measure/numbers.ts'
import { nameOf } from '../cli/measure/shapes.ts'
import { type Timing, timingOf } from '../cli/measure/timing.ts'
import { afterFirst, formatTable } from '../cli/table.ts'
import { writeText } from '../lib/checkpoints/write.ts'
import { activeBackend, useBackend } from '../lib/index.ts'
import { type Case, casesByShape } from './cases.ts'
import { readOptions } from './options.ts'
import { describeProcessor, processorLine } from './processor.ts'

interface Result extends Omit<Case, 'run'>, Timing {
  /** How many times as long as the copy of the same array. */
  readonly timesCopy: number
}

const { filter, json } = readOptions(process.argv.slice(2))
const machine = describeProcessor()
const { instructionSet, threads, loadError } = activeBackend()
if (loadError) process.stderr.write(`The native backend is not measured: ${loadError.message}\n`)

const results: Result[] = []
for (const cases of casesByShape()) {
  const wanted = cases.filter(
    (each) => titleOf(each).includes(filter) && !(each.backend === 'native' && loadError),
  )
  if (wanted.length === 0) continue
  const [copy] = cases
  process.stderr.write(`${nameOf(copy.shape)}\n`)
  const copyTime = (await timingOf(copy, copy.shape)).median
  for (const each of wanted) results.push(await resultOf(each, copyTime))
}

const how = `native backend: ${instructionSet ?? 'not loaded'}, up to ${threads} threads`
process.stdout.write(`${processorLine(machine)}\n${how}\n\n${table(results)}\n`)
if (json !== undefined) {
  writeText(json, `${JSON.stringify({ machine, instructionSet, threads, results }, null, 2)}\n`)
}

async function resultOf({ run, ...each }: Case, copyTime: number): Promise<Result> {
  if (each.backend !== null) useBackend(each.backend)
  const timing = await timingOf({ ...each, run }, each.shape)
  return { ...each, ...timing, timesCopy: timing.median / copyTime }
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
  return formatTable(['', 'median us', 'quartiles', 'GB/s', 'x copy'], rows, afterFirst)
}
