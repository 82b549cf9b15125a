/** Calls of a module, in any order, with arguments that are right or are not; now and then memory goes in between. */
import { isDeepStrictEqual } from 'node:util'
import { type BatchNorm, BatchNorm1d, type BatchNormOptions, Moments, tensor } from '../../lib/index.ts'
import { badValues } from '../support/bad-values.ts'
import { snapshot } from '../support/module.ts'
import type { Random } from '../support/random.ts'
import { Fault, isOurs, pick, type Target } from './target.ts'

const [samples, channels] = [4, 3]
const length = samples * channels
const shape = [samples, channels]
const wrong = Object.values(badValues)

export const calls: Target = {
  name: 'calls',
  async run(random) {
    const bn = moduleOf(random)
    const steps = 1 + random.below(6)
    for (let step = 0; step < steps; step++) {
      const { name, call } = pick(random, methods)(bn, random)
      const before = snapshot(bn)
      try {
        await call()
      } catch (error) {
        if (!isOurs(error)) throw new Fault(`${name} threw ${(error as Error)?.stack ?? error}`)
        if (!isDeepStrictEqual(snapshot(bn), before))
          throw new Fault(`${name} changed the module, and threw ${error}`)
      }
    }
  },
}

function moduleOf(random: Random): BatchNorm {
  const options = pick<BatchNormOptions>(random, [
    {},
    { activation: 'relu' },
    { momentum: null, nonFinite: 'throw' },
    { virtualBatchSize: 2 },
    { renorm: true },
    { positiveScale: true },
    { affine: false },
    { trackRunningStats: false },
    { reuse: true },
    { useBatchStats: false },
  ])
  return new BatchNorm1d(channels, options).train(random.below(2) === 0)
}

type Method = (bn: BatchNorm, random: Random) => { readonly name: string; readonly call: () => unknown }

// biome-ignore lint/suspicious/noExplicitAny: the wrong types are what is tried
type Anything = any

const methods: readonly Method[] = [
  (bn, random) => {
    const [x, options] = [inputOf(random), callOptions(random, bn)]
    return { name: 'forward', call: () => bn.forward(x, options) }
  },
  (bn, random) => {
    const [x, options] = [inputOf(random), callOptions(random, bn)]
    return { name: 'forwardAsync', call: () => interrupted(random, x, bn.forwardAsync(x, options)) }
  },
  (bn, random) => {
    bn.forward(
      tensor(
        Float32Array.from({ length }, () => random.uniform()),
        shape,
      ),
    )
    const [gradOutput, options] = [inputOf(random), random.below(2) === 0 ? {} : { out: arrayOf(random) }]
    return { name: 'backward', call: () => bn.backward(gradOutput, options as Anything) }
  },
  (bn, random) => {
    const gradOutput = inputOf(random)
    return {
      name: 'backwardAsync',
      call: () => interrupted(random, gradOutput, bn.backwardAsync(gradOutput)),
    }
  },
  (bn, random) => {
    const state: Record<string, unknown> = { ...bn.stateDict() }
    const key = pick(random, [...Object.keys(state), 'other'])
    state[key] = pick(random, wrong)()
    return { name: `loadStateDict, ${key}`, call: () => bn.loadStateDict(state as Anything) }
  },
  (bn, random) => {
    const name = pick(random, [
      'eps',
      'momentum',
      'training',
      'useBatchStats',
      'weight',
      'layout',
      'trainAffine',
    ])
    const value = pick(random, wrong)()
    return { name: `set ${name}`, call: () => Reflect.set(bn, name, value) }
  },
  (_, random) => {
    const [batch, others] = [inputOf(random), inputOf(random)]
    return { name: 'Moments.of', call: () => Moments.of(batch).merge(Moments.of(others)).variance() }
  },
  (bn, random) => {
    const method = pick(random, ['zeroGrad', 'freeze', 'unfreeze', 'resetRunningStats', 'stateDict'] as const)
    return { name: method, call: () => bn[method]() }
  },
]

/** Mostly what fits; otherwise another shape, another kind of memory, or anything. */
function inputOf(random: Random): Anything {
  const data = Float32Array.from({ length }, () => random.uniform() - 0.5)
  const kinds: (() => unknown)[] = [
    () => ({ data: arrayOf(random), shape }),
    () => tensor(data, shape),
    () => tensor(data, [channels, samples]),
    () => ({ data, shape: [channels, samples], strides: [1, channels] }),
    () => ({ data, shape, strides: [random.below(9) - 4, random.below(9) - 4], offset: random.below(12) }),
    () => ({ data: withSpecials(random, data), shape }),
    () => new Proxy({ data, shape }, {}),
    () => ({
      get data() {
        return random.below(2) === 0 ? data : arrayOf(random)
      },
      shape,
    }),
    () => pick(random, wrong)(),
  ]
  return random.below(2) === 0 ? tensor(data, shape) : pick(random, kinds)()
}

function withSpecials(random: Random, data: Float32Array): Float32Array {
  data[random.below(length)] = pick(random, [Number.NaN, Number.POSITIVE_INFINITY, 3e38, -3e38, 1e-45, -0])
  return data
}

/** Memory of every kind: its own, a part of a larger one, shared, or one that can be resized. */
function arrayOf(random: Random): Float32Array {
  const bytes = 4 * length
  const Resizable = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer
  return pick(random, [
    () => new Float32Array(length),
    () => new Float32Array(new ArrayBuffer(bytes + 8), 4, length),
    () => new Float32Array(new SharedArrayBuffer(bytes)),
    () => new Float32Array(new Resizable(bytes, { maxByteLength: 2 * bytes })),
    () => new Float32Array(length - 1),
  ])()
}

function callOptions(random: Random, bn: BatchNorm): Anything {
  return pick<() => unknown>(random, [
    () => ({}),
    () => ({ out: arrayOf(random) }),
    () => ({ out: bn.weight?.data ?? arrayOf(random) }),
    () => ({ residual: inputOf(random) }),
    () => ({ mask: Array.from({ length: samples }, () => random.below(2)) }),
    () => ({ weights: Array.from({ length: samples }, () => random.below(3)) }),
    () => ({ [pick(random, ['out', 'mask', 'lengths', 'weights', 'masks'])]: pick(random, wrong)() }),
    () => ({
      get out() {
        return bn.forward(tensor(new Float32Array(length), shape)).data
      },
    }),
    () => pick(random, wrong)(),
  ])()
}

/** Takes the memory of the input away, or calls again, while the call works. */
async function interrupted(random: Random, input: Anything, pending: Promise<unknown>): Promise<unknown> {
  const { buffer } = (input?.data ?? {}) as { buffer?: ArrayBuffer }
  try {
    if (random.below(3) === 0 && buffer instanceof ArrayBuffer)
      structuredClone(buffer, { transfer: [buffer] })
  } catch {
    // It cannot be transferred.
  }
  return pending
}
