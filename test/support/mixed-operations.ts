/**
 * 200 mixed operations, and one hash over the bits of everything that comes out of them. Their data are made of
 * integers alone: Math.log and its like have other last bits in other versions of JavaScript.
 */
import { createHash, type Hash } from 'node:crypto'
import {
  BatchNorm1d,
  type BatchNormOptions,
  type DataType,
  type ForwardOptions,
  functional,
  Moments,
  type Tensor,
  type TensorData,
  tensor,
} from '../../lib/index.ts'
import type { ParameterType } from '../../lib/tensor/data-type.ts'
import { isHalf, widened } from '../../lib/tensor/half.ts'
import { product } from '../../lib/tensor/shape.ts'
import { Random } from './random.ts'

const operations = 200
const types: readonly DataType[] = ['float32', 'float64', 'bfloat16', 'float16']

/** What comes out with this version of the arithmetic; `npm run reproducibility` prints it. */
export const expectedHash = '6ff914da1fdbadddbd56fe643ad202f9be802c4ca7b2e707bfe9e9adf84a973f'

/** The SHA-256 over the results, as hexadecimal digits. */
export function hashOfMixedOperations(): string {
  const hash = createHash('sha256')
  for (let seed = 0; seed < operations; seed++) addOperation(hash, new Random(seed))
  return hash.digest('hex')
}

/** A module in training, in eval and in training again, forward and backward; moments; second gradients. */
function addOperation(hash: Hash, random: Random): void {
  const dtype = pick(random, types)
  const shape = shapeOf(random)
  const options = optionsOf(random, dtype)
  const bn = new BatchNorm1d(channelsOf(shape, options), options)
  for (const [, { data }] of bn.namedParameters()) data.set(numbers(random, data.length, 1, 0.5))
  for (const training of [true, false, true]) {
    bn.train(training)
    const x = valuesOf(random, shape, dtype)
    add(hash, bn.forward(x, callOf(random, shape, options)))
    add(hash, bn.backward(valuesOf(random, shape, dtype)))
  }
  for (const tensor of Object.values(bn.stateDict())) add(hash, tensor)
  for (const { grad } of bn.parameters()) add(hash, { data: grad })
  if (random.below(4) === 0) addFunctions(hash, random, shape, options)
}

function addFunctions(
  hash: Hash,
  random: Random,
  shape: number[],
  { layout }: BatchNormOptions<ParameterType>,
): void {
  const [x, gradOutput, gradGradInput] = [1, 2, 3].map(() => valuesOf(random, shape, 'float64'))
  const { mean, invstd, meanLow, count } = functional.batchNormStats(x, { layout })
  for (const data of [mean, invstd, meanLow, Moments.of(x, { layout }).variance()]) add(hash, { data })
  const facts = { count, mean, meanLow, invstd, layout }
  const second = functional.batchNormDoubleBackward(gradOutput, x, { ...facts, gradGradInput })
  for (const each of [second.gradInput, second.gradWeight, second.gradGradOutput]) add(hash, each)
}

/** Mostly small; one in 16 is large enough for several threads. */
function shapeOf(random: Random): number[] {
  const isLarge = random.below(16) === 0
  const samples = 4 + random.below(isLarge ? 400 : 40)
  const channels = 1 + random.below(70)
  return random.below(2) === 0
    ? [samples, channels]
    : [samples, channels, 1 + random.below(isLarge ? 30 : 10)]
}

function channelsOf(shape: readonly number[], { layout }: BatchNormOptions<ParameterType>): number {
  return layout === 'channels-last' ? (shape.at(-1) as number) : shape[1]
}

/** No `positiveScale`: its softplus is JavaScript's. */
function optionsOf(random: Random, dtype: DataType): BatchNormOptions<ParameterType> {
  return {
    dtype: dtype === 'float64' ? 'float64' : 'float32',
    singleValue: 'running',
    eps: pick(random, [1e-5, 1e-3, 0]),
    momentum: pick(random, [0.1, null, 0.5]),
    layout: pick(random, ['channels-first', 'channels-last']),
    scale: random.below(4) > 0,
    center: random.below(4) > 0,
    activation: pick(random, [null, null, 'relu', 'leakyRelu']),
    ...pick<BatchNormOptions<ParameterType>>(random, [
      {},
      {},
      { virtualBatchSize: 2 + random.below(5) },
      { renorm: { rMax: 1.5, dMax: 0.5 } },
      { useBatchStats: false, updateStats: true },
      { trackRunningStats: false, singleValue: 'throw' },
    ]),
  }
}

function callOf(random: Random, shape: number[], { dtype }: BatchNormOptions<ParameterType>): ForwardOptions {
  const [samples] = shape
  const flags = Array.from({ length: samples }, (_, sample) => sample < 4 || random.below(3) > 0)
  const weights = Array.from({ length: samples }, () => 1 + random.below(4))
  const residual = dtype === 'float64' ? valuesOf(random, shape, dtype) : undefined
  return pick<ForwardOptions>(random, [{}, {}, { mask: flags }, { weights }, { residual }])
}

/** An offset, a scale, and numbers in between. */
function valuesOf(random: Random, shape: readonly number[], dtype: DataType): Tensor {
  const offset = pick(random, [0, 0, 3, dtype === 'float16' ? 100 : 1e6])
  const scale = pick(random, [1, 1, 0.01, 30])
  return tensor(numbers(random, product(shape), offset, scale), shape, { dtype: dtype as 'float32' })
}

function numbers(random: Random, length: number, offset: number, scale: number): Float64Array {
  const result = new Float64Array(length)
  for (let index = 0; index < length; index++) {
    result[index] = offset + scale * (random.uniform() + random.uniform() - 1)
  }
  return result
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)]
}

function add(hash: Hash, { data, dtype }: { readonly data: TensorData; readonly dtype?: DataType }): void {
  const bits = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
  const values = isHalf(dtype) ? widened(data as Uint16Array, dtype) : data
  // NaN equals NaN: its sign and payload are those of the processor, or of the compiler.
  for (let index = 0; index < values.length; index++) {
    if (Number.isNaN(values[index]))
      bits.fill(0xff, index * data.BYTES_PER_ELEMENT, (index + 1) * data.BYTES_PER_ELEMENT)
  }
  hash.update(bits)
}
