/**
 * What a call leaves for the garbage collector: `npm run bench:garbage`. The heap is read before and
 * after a thousand calls, with a young generation so large that no collection comes in between;
 * `--trace-gc`, given to Node.js, shows that none does.
 */

import { median } from '../cli/measure/numbers.ts'
import { afterFirst, formatTable } from '../cli/table.ts'
import { activeBackend, BatchNorm1d, functional, type Tensor, tensor } from '../lib/index.ts'

const calls = 1000
const batches = 21
const samples = 32
const channels = 64

const x = Float32Array.from({ length: samples * channels }, (_, index) => Math.sin(index))
const input = tensor(x, [samples, channels])
const out = new Float32Array(x.length)
const weight = new Float32Array(channels).fill(1)
const runningMean = new Float32Array(channels)
const runningVar = new Float32Array(channels).fill(1)
const training = new BatchNorm1d(channels)
const evaluation = new BatchNorm1d(channels).eval()

/** So that no call's result can be found useless. */
let last: Tensor = input

const operations: Readonly<Record<string, () => void>> = {
  'nothing, a Tensor of out alone': () => {
    last = tensor(out, input.shape)
  },
  'forward, out': () => {
    last = training.forward(input, { out })
  },
  'backward, out': () => {
    last = training.backward(input, { out })
  },
  'eval, out': () => {
    last = evaluation.forward(input, { out })
  },
  'functional.batchNorm, out': () => {
    last = functional.batchNorm(input, { weight, runningMean, runningVar, training: true, out })
  },
  forward: () => {
    last = training.forward(input)
  },
}

const rows = Object.entries(operations).map(([name, run]) => {
  for (let call = 0; call < 20 * calls; call++) run()
  const measured = Array.from({ length: batches }, () => growth(run))
  const of = (part: 'heap' | 'arrays') => Math.round(median(measured.map((each) => each[part])) / calls)
  return [name, String(of('heap')), String(of('arrays'))]
})
const { name, instructionSet } = activeBackend()
process.stdout.write(`(${samples}, ${channels}), ${instructionSet ?? name}: bytes a call\n\n`)
process.stdout.write(`${formatTable(['', 'heap', 'arrays'], rows, afterFirst)}\n`)
if (last.data.length !== x.length) process.exit(1)

function growth(run: () => void): { heap: number; arrays: number } {
  globalThis.gc?.()
  const before = process.memoryUsage()
  for (let call = 0; call < calls; call++) run()
  const after = process.memoryUsage()
  return { heap: after.heapUsed - before.heapUsed, arrays: after.arrayBuffers - before.arrayBuffers }
}
