/**
 * Prints known_answers.inc: what the TypeScript backend, the specification of the arithmetic, makes
 * of a few dozen seeded batches. The C++ tests compare with it, without Node.
 *
 *     npx tsx native/test/known-answers.ts > native/test/known_answers.inc
 *
 * With `native` as its argument: what the addon makes of them, which has to be the same.
 */
import type { Extent, Moments, Statistics } from '../../lib/backend/backend.ts'
import { loadNative } from '../../lib/backend/native.ts'
import { typescriptBackend } from '../../lib/backend/typescript/index.ts'

const backend = process.argv[2] === 'native' ? loadNative() : typescriptBackend

/** As in batch.h. */
interface Data {
  readonly scale: number
  readonly offset: number
  readonly specialEvery: number
}

interface Batch {
  readonly extent: Extent
  readonly x: Float32Array
  readonly gradOutput: Float32Array
  readonly weight: Float32Array
  readonly bias: Float32Array
  readonly runningMean: Float32Array
  readonly runningVariance: Float32Array
}

const eps = 1e-5
const momentum = 0.1
const plain: Data = { scale: 1, offset: 0, specialEvery: 0 }

/** Values of both layouts, around the boundaries of rows, chunks, segments and tiles. */
const extents: [outer: number, channels: number, inner: number][] = [
  [2, 1, 1],
  [63, 1, 1],
  [4097, 1, 1],
  [70001, 1, 1],
  [3, 3, 1],
  [1500, 3, 1],
  [5, 10, 1],
  [64, 16, 1],
  [65, 17, 1],
  [64, 100, 1],
  [129, 31, 1],
  [1023, 64, 1],
  [1100, 65, 1],
  [2049, 33, 1],
  [2, 1025, 1],
  [33, 2049, 1],
  [2, 1, 2],
  [9, 3, 7],
  [700, 5, 19],
  [70, 16, 63],
  [2, 40, 49],
  [1, 1, 64],
  [3, 2, 65],
  [40, 3, 127],
  [5, 4, 784],
  [17, 3, 1400],
  [2, 1, 4095],
  [1, 2, 4096],
  [3, 2, 12289],
  [1, 1, 70001],
]

const datas: Data[] = [
  plain,
  { scale: 1e-2, offset: 1e4, specialEvery: 0 },
  { scale: 1, offset: -1e6, specialEvery: 0 },
  { scale: 1e18, offset: 0, specialEvery: 0 },
  { scale: 1e30, offset: 0, specialEvery: 0 },
  { scale: 1e-30, offset: 0, specialEvery: 0 },
  { scale: 1e-41, offset: 0, specialEvery: 0 },
  { scale: 0, offset: 0.1, specialEvery: 0 },
  { scale: 1, offset: 0, specialEvery: 1000 },
  { scale: 1, offset: 0, specialEvery: 1 },
]

/** xorshift32 (Marsaglia 2003). */
function randomIntegers(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function batchOf([outer, channels, inner]: [number, number, number], data: Data, seed: number): Batch {
  const integer = randomIntegers(seed)
  const bits = new Uint32Array(1)
  const special = new Float32Array(bits.buffer)
  const values = (length: number, { scale, offset, specialEvery }: Data) =>
    Float32Array.from({ length }, () => {
      if (specialEvery > 0 && integer() % specialEvery === 0) {
        bits[0] = integer()
        return special[0]
      }
      return offset + scale * ((integer() | 0) / 2 ** 31)
    })
  return {
    extent: { outer, channels, inner },
    x: values(outer * channels * inner, data),
    gradOutput: values(outer * channels * inner, plain),
    weight: values(channels, plain),
    bias: values(channels, plain),
    runningMean: values(channels, plain),
    runningVariance: values(channels, { ...plain, offset: 1 }),
  }
}

/** 64-bit FNV-1a, over words of 32 bits instead of bytes; every NaN counts as the same one. */
function hash(...arrays: (Float32Array | Float64Array)[]): string {
  let value = 0xcbf29ce484222325n
  for (const array of arrays) {
    const canonical = array.map((number) => (Number.isNaN(number) ? Number.NaN : number))
    for (const word of new Uint32Array(canonical.buffer)) {
      value = BigInt.asUintN(64, (value ^ BigInt(word)) * 0x100000001b3n)
    }
  }
  return `0x${value.toString(16).padStart(16, '0')}`
}

function momentsOf({ x, extent }: Batch): Moments {
  const moments = { count: 0, mean: new Float64Array(extent.channels), m2: new Float64Array(extent.channels) }
  backend.statistics(x, extent, moments)
  return moments
}

function batchStatistics(batch: Batch): Statistics {
  const { mean, m2, count } = momentsOf(batch)
  return { mean, invstd: m2.map((value) => 1 / Math.sqrt(value / count + eps)) }
}

function runningStatistics({ extent, runningMean, runningVariance }: Batch): Statistics {
  const statistics = { mean: new Float64Array(extent.channels), invstd: new Float64Array(extent.channels) }
  backend.evalStatistics({ mean: runningMean, variance: runningVariance }, eps, statistics)
  return statistics
}

function statisticsAnswer(batch: Batch): string {
  const { mean, m2 } = momentsOf(batch)
  return hash(mean, m2)
}

function mergeAnswer(batch: Batch): string {
  const into = momentsOf(batch)
  const from = {
    count: 17,
    mean: Float64Array.from(batch.runningMean),
    m2: Float64Array.from(batch.runningVariance),
  }
  backend.merge(into, from)
  return hash(into.mean, into.m2, from.mean, from.m2)
}

function forwardAnswer(batch: Batch): string {
  const { x, extent, weight, bias } = batch
  const moments = { count: 0, mean: new Float64Array(extent.channels), m2: new Float64Array(extent.channels) }
  const invstd = new Float64Array(extent.channels)
  const running = { mean: batch.runningMean.slice(), variance: batch.runningVariance.slice() }
  const y = new Float32Array(x.length)
  const settings = { eps, momentum, nonFinite: 'propagate' } as const
  backend.forward(x, extent, settings, { weight, bias }, running, moments, invstd, y)
  return hash(moments.mean, moments.m2, invstd, running.mean, running.variance, y)
}

function normalizeAnswer(batch: Batch): string {
  const statistics = runningStatistics(batch)
  const y = new Float32Array(batch.x.length)
  backend.normalize(batch.x, batch.extent, statistics, { weight: batch.weight, bias: null }, y)
  return hash(statistics.mean, statistics.invstd, y)
}

function backwardAnswer(batch: Batch, training: boolean): string {
  const { x, gradOutput, extent } = batch
  const statistics = training ? batchStatistics(batch) : runningStatistics(batch)
  const weight = training ? batch.weight : null
  const gradients = {
    input: new Float32Array(x.length),
    weight: new Float32Array(extent.channels),
    bias: new Float32Array(extent.channels),
  }
  backend.backward(gradOutput, x, extent, statistics, weight, training, gradients)
  return hash(gradients.input, gradients.weight, gradients.bias)
}

console.log('// Made by known-answers.ts: {{extent, data, seed}, {answers}}.')
console.log('// clang-format off')
for (const [index, extent] of extents.entries()) {
  // Every extent with plain data, and with another kind.
  for (const data of [plain, datas[1 + (index % (datas.length - 1))]]) {
    const seed = 1000 * (index + 1) + datas.indexOf(data)
    const batch = batchOf(extent, data, seed)
    const answers = [
      statisticsAnswer(batch),
      mergeAnswer(batch),
      forwardAnswer(batch),
      normalizeAnswer(batch),
      backwardAnswer(batch, true),
      backwardAnswer(batch, false),
    ]
    const { scale, offset, specialEvery } = data
    console.log(`{{{${extent.join(', ')}}, {${scale}, ${offset}, ${specialEvery}}, ${seed}},`)
    console.log(` {${answers.slice(0, 3).join(', ')},`)
    console.log(`  ${answers.slice(3).join(', ')}}},`)
  }
}
