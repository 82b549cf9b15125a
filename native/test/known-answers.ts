/**
 * Prints known_answers.inc: what the TypeScript backend, the specification of the arithmetic, makes
 * of a few dozen seeded batches. The C++ tests compare with it, without Node.
 *
 *     npx tsx native/test/known-answers.ts > native/test/known_answers.inc
 *
 * With `native` as its argument: what the addon makes of them, which has to be the same.
 */
import type {
  Activated,
  Epilogue,
  Extent,
  KernelActivation,
  PerChannel,
  Running,
  Statistics,
  Values,
} from '../../lib/backend/backend.ts'
import { emptyMoments } from '../../lib/backend/moments.ts'
import { loadNative } from '../../lib/backend/native.ts'
import { typescriptBackend } from '../../lib/backend/typescript/index.ts'
import type { FloatType } from '../../lib/tensor/data-type.ts'
import { type HalfType, widened } from '../../lib/tensor/half.ts'

const backend = process.argv[2] === 'native' ? loadNative() : typescriptBackend

/** As in batch.h. */
interface Data {
  readonly scale: number
  readonly offset: number
  readonly specialEvery: number
}

interface Batch {
  readonly type: FloatType
  readonly extent: Extent
  readonly x: Values
  readonly gradOutput: Values
  readonly weight: PerChannel
  readonly bias: PerChannel
  readonly runningMean: PerChannel
  readonly runningVariance: PerChannel
  readonly residual: Values
}

const eps = 1e-5
const momentum = 0.1
const relu: KernelActivation = { name: 'relu', negativeSlope: 0 }
const leakyRelu: KernelActivation = { name: 'leakyRelu', negativeSlope: 0.01 }
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

/** What any bits may be, and how many words of 32 bits they come from. */
interface Special {
  readonly words: number
  readonly of: (words: Uint32Array) => number
}

const specials: Readonly<Record<'float32' | 'float64', Special>> = {
  float32: { words: 1, of: (words) => new Float32Array(words.buffer)[0] },
  float64: { words: 2, of: (words) => new Float64Array(words.buffer)[0] },
}

function batchOf(type: FloatType, size: Extent, data: Data, seed: number): Batch {
  const { outer, channels, inner } = size
  const integer = randomIntegers(seed)
  const isSpecial = ({ specialEvery }: Data) => specialEvery > 0 && integer() % specialEvery === 0

  function numbers(length: number, real: 'float32' | 'float64', ofData: Data): PerChannel {
    const { words, of } = specials[real]
    const Numbers = real === 'float32' ? Float32Array : Float64Array
    return new Numbers(length).map(() =>
      isSpecial(ofData)
        ? of(new Uint32Array(words).map(integer))
        : ofData.offset + ofData.scale * ((integer() | 0) / 2 ** 31),
    )
  }
  /** A sign, one of six exponents around the bias, and a fraction. */
  function halves(length: number, bias: number, fractionBits: number, ofData: Data): Uint16Array {
    return new Uint16Array(length).map(() => {
      const special = isSpecial(ofData)
      const word = integer()
      const exponent = bias - 3 + ((word >>> 16) % 6)
      const fraction = word & (2 ** fractionBits - 1)
      return special ? word : ((word >>> 31) << 15) | (exponent << fractionBits) | fraction
    })
  }
  function values(ofData: Data): Values {
    const length = outer * channels * inner
    if (type === 'bfloat16') return halves(length, 127, 7, ofData)
    if (type === 'float16') return halves(length, 15, 10, ofData)
    return numbers(length, type, ofData)
  }

  const half = type === 'bfloat16' || type === 'float16' ? type : undefined
  const perChannel = (ofData: Data) => numbers(channels, type === 'float64' ? type : 'float32', ofData)
  return {
    type,
    extent: { ...size, half },
    x: values(data),
    gradOutput: values(plain),
    weight: perChannel(plain),
    bias: perChannel(plain),
    runningMean: perChannel(plain),
    runningVariance: perChannel({ ...plain, offset: 1 }),
    residual: values(plain),
  }
}

/** 64-bit FNV-1a, over words of 32 bits instead of bytes; every NaN counts as the same one. */
function hash({ half }: Extent, ...arrays: Values[]): string {
  let value = 0xcbf29ce484222325n
  for (const array of arrays) {
    const numbers = array instanceof Uint16Array ? widened(array, half as HalfType) : array
    const canonical = numbers.map((number) => (Number.isNaN(number) ? Number.NaN : number))
    for (const word of new Uint32Array(canonical.buffer)) {
      value = BigInt.asUintN(64, (value ^ BigInt(word)) * 0x100000001b3n)
    }
  }
  return `0x${value.toString(16).padStart(16, '0')}`
}

type KeepingMoments = ReturnType<typeof emptyMoments>

function arraysOf({ mean, m2, meanLow }: KeepingMoments): Float64Array[] {
  return [mean, m2, meanLow]
}

function momentsOf(batch: Batch): KeepingMoments {
  const moments = emptyMoments(batch.extent.channels)
  backend.statistics(batch.x, batch.extent, moments)
  return moments
}

function batchStatistics(batch: Batch): Statistics {
  const { mean, m2, meanLow, count } = momentsOf(batch)
  return { mean, invstd: m2.map((value) => 1 / Math.sqrt(value / count + eps)), meanLow }
}

function runningStatistics(batch: Batch): Statistics {
  const { mean, m2: invstd, meanLow } = emptyMoments(batch.extent.channels)
  const statistics = { mean, invstd, meanLow }
  backend.evalStatistics({ mean: batch.runningMean, variance: batch.runningVariance }, eps, statistics)
  return statistics
}

function statisticsAnswer(batch: Batch): string {
  return hash(batch.extent, ...arraysOf(momentsOf(batch)))
}

function mergeAnswer(batch: Batch): string {
  const into = momentsOf(batch)
  const from = {
    count: 17,
    mean: Float64Array.from(batch.runningMean),
    m2: Float64Array.from(batch.runningVariance),
    meanLow: Float64Array.from(batch.bias, (value) => value * 2 ** -54),
  }
  backend.merge(into, from)
  return hash(batch.extent, ...arraysOf(into))
}

function forwardAnswer(batch: Batch, epilogue?: Epilogue): string {
  const { x, extent, weight, bias } = batch
  const moments = emptyMoments(batch.extent.channels)
  const invstd = new Float64Array(extent.channels)
  const running: Running = {
    mean: batch.runningMean.slice(),
    variance: batch.runningVariance.slice(),
    correction: 1,
  }
  const y = x.slice()
  const settings = { eps, momentum, nonFinite: 'propagate' } as const
  backend.forward(x, extent, settings, { weight, bias }, running, moments, invstd, y, epilogue)
  return hash(extent, ...arraysOf(moments), invstd, running.mean, running.variance, y)
}

function normalizeAnswer(batch: Batch, epilogue?: Epilogue): string {
  const statistics = runningStatistics(batch)
  const y = batch.x.slice()
  backend.normalize(batch.x, batch.extent, statistics, { weight: batch.weight, bias: null }, y, epilogue)
  return hash(batch.extent, statistics.mean, statistics.invstd, y)
}

function backwardAnswer(batch: Batch, training: boolean, activated?: Activated): string {
  const { x, gradOutput, extent } = batch
  const statistics = training ? batchStatistics(batch) : runningStatistics(batch)
  const weight = training ? batch.weight : null
  const gradients = {
    input: x.slice(),
    weight: batch.weight.slice(),
    bias: batch.weight.slice(),
    residual: activated ? x.slice() : null,
  }
  backend.backward(gradOutput, x, extent, statistics, weight, training, gradients, activated)
  const residual = gradients.residual ? [gradients.residual] : []
  return hash(extent, gradients.input, gradients.weight, gradients.bias, ...residual)
}

/** With the sums of the batch, taken for those of twice as many values. */
function halvesAnswer(batch: Batch): string {
  const { x, gradOutput, extent, weight } = batch
  const { outer, channels, inner } = extent
  const statistics = batchStatistics(batch)
  const activated = { activation: relu, output: batch.residual }
  const sums = { gradient: new Float64Array(channels), product: new Float64Array(channels) }
  const gradients = { input: x.slice(), residual: x.slice() }
  backend.gradientSums(gradOutput, x, extent, statistics, sums, activated)
  const count = 2 * outer * inner
  backend.inputGradient(gradOutput, x, extent, statistics, weight, sums, count, gradients, activated)
  return hash(extent, sums.gradient, sums.product, gradients.input, gradients.residual)
}

function print(
  type: FloatType,
  [outer, channels, inner]: [number, number, number],
  data: Data,
  seed: number,
) {
  const batch = batchOf(type, { outer, channels, inner }, data, seed)
  const { residual } = batch
  const answers = [
    statisticsAnswer(batch),
    mergeAnswer(batch),
    forwardAnswer(batch),
    normalizeAnswer(batch),
    backwardAnswer(batch, true),
    backwardAnswer(batch, false),
    forwardAnswer(batch, { activation: leakyRelu, residual }),
    normalizeAnswer(batch, { activation: relu, residual: null }),
    backwardAnswer(batch, true, { activation: relu, output: residual }),
    backwardAnswer(batch, false, { activation: leakyRelu, output: residual }),
    halvesAnswer(batch),
  ]
  const { scale, offset, specialEvery } = data
  const recipe = `{{${outer}, ${channels}, ${inner}}, {${scale}, ${offset}, ${specialEvery}}, ${seed}}`
  console.log(`{Type::${type}, ${recipe},`)
  for (let first = 0; first < answers.length; first += 4) {
    const row = answers.slice(first, first + 4).join(', ')
    console.log(`${first === 0 ? ' {' : '  '}${row}${first + 4 < answers.length ? ',' : '}},'}`)
  }
}

const otherTypes = ['float64', 'bfloat16', 'float16'] as const

console.log('// Made by known-answers.ts: {type, {extent, data, seed}, {answers}}.')
console.log('// clang-format off')
for (const [index, extent] of extents.entries()) {
  const seed = 1000 * (index + 1)
  const kind = 1 + (index % (datas.length - 1))
  // Every extent with plain data, with another kind, and as another type.
  print('float32', extent, plain, seed)
  print('float32', extent, datas[kind], seed + kind)
  print(otherTypes[index % otherTypes.length], extent, index % 2 === 0 ? plain : datas[8], seed + 100)
}
