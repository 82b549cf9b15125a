/** A slice of a batch norm does to its channels what the whole does to them. */
import { describe, expect, test } from 'vitest'
import { SyncBatchNorm } from '../lib/distributed/index.ts'
import { solo } from '../lib/distributed/solo.ts'
import {
  type AnyBatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  LazyBatchNorm1d,
  type ParameterType,
  recalibrate,
  slice,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { filled, normal, snapshot } from './support/module.ts'

const channels = 6
const chosen = [4, 0, 5]
const of = <Values extends { readonly [channel: number]: unknown }>(values: Values) =>
  chosen.map((channel) => values[channel])

/** The chosen channels of [N, C]. */
function columns({ data, shape: [samples, count] }: Tensor): Tensor {
  return tensor(
    Float32Array.from({ length: samples * chosen.length }, (_, index) => {
      const [sample, place] = [Math.floor(index / chosen.length), index % chosen.length]
      return data[sample * count + chosen[place]]
    }),
    [samples, chosen.length],
  )
}

const options: BatchNormOptions[] = [
  {},
  { affine: false },
  { scale: false, momentum: null },
  { center: false, eps: 1e-3, nonFinite: 'skip' },
  { positiveScale: true, activation: 'leakyRelu', negativeSlope: 0.1 },
  { trackRunningStats: false },
  { virtualBatchSize: 4, singleValue: 'running' },
  { renorm: { rMax: 2, dMax: 1 } },
  { useBatchStats: true, updateStats: false, trainAffine: false, reuse: true },
]

describeEachBackend('a slice', () => {
  test.each(options)(
    'gives the bits of the whole in its channels, forward, backward and after: %j',
    (each) => {
      for (const training of [true, false]) {
        const whole = filled(new BatchNorm1d(channels, each)).train(training)
        const part = slice(whole, chosen)
        expect([part.constructor, part.training, `${part}`]).toEqual([
          BatchNorm1d,
          training,
          `${whole}`.replace(`${channels}`, `${chosen.length}`),
        ])
        expect(part.options).toEqual(whole.options)
        const [x, g] = [normal([11, channels], 1), normal([11, channels], 2)]
        expect(difference(part.forward(columns(x)).data, columns(whole.forward(x)).data)).toBeNull()
        expect(difference(part.backward(columns(g)).data, columns(whole.backward(g)).data)).toBeNull()
        const [mine, theirs] = [snapshot(part), snapshot(whole)]
        for (const [key, value] of Object.entries(theirs.state)) {
          expect(Array.from<unknown>(mine.state[key])).toEqual(value.length === 1 ? [...value] : of(value))
        }
        expect(mine.gradients.map((gradient) => [...gradient])).toEqual(theirs.gradients.map(of))
      }
    },
  )
})

test.each<[string, AnyBatchNorm]>([
  ['BatchNorm2d', new BatchNorm2d(channels, { layout: 'channels-last' })],
  ['BatchNorm3d of float64', new BatchNorm3d(channels, { dtype: 'float64' })],
  ['SyncBatchNorm', new SyncBatchNorm(channels, { collective: solo() })],
])('%s stays what it is', (_, whole) => {
  const part = slice(filled(whole as AnyBatchNorm), chosen)
  expect(part.constructor).toBe(whole.constructor)
  expect(part.options).toEqual(whole.options)
  expect([part.dtype, part.numFeatures]).toEqual([whole.dtype, 3])
  const running = (bn: AnyBatchNorm) => bn.runningVar?.data as Float64Array
  expect([...running(part)]).toEqual(of(running(whole)))
})

test('a lazy module with channels is what it has become', () => {
  const lazy = new LazyBatchNorm1d()
  lazy.forward(normal([5, 4], 1))
  expect(slice(lazy, 2)).toBeInstanceOf(BatchNorm1d)
})

test('a number takes the first channels, an array those that it names, typed or not', () => {
  const whole = filled(new BatchNorm1d(channels))
  const bias = (given: number | ArrayLike<number>) => [...slice(whole, given).bias.data]
  expect(bias(2)).toEqual([...whole.bias.data.slice(0, 2)])
  expect(bias(channels)).toEqual([...whole.bias.data])
  for (const given of [chosen, Uint8Array.from(chosen), Int32Array.from(chosen), Float32Array.from(chosen)]) {
    expect(bias(given)).toEqual(of(whole.bias.data))
  }
  expect(slice(slice(whole, chosen), [1]).stateDict()).toEqual(slice(whole, [chosen[1]]).stateDict())
})

test('freezing, what is trained and what decays go along; a slice of a frozen one thaws', () => {
  const whole = filled(new BatchNorm1d(channels))
  Object.assign(whole.weight, { requiresGrad: false, decay: true })
  const settings = (bn: BatchNorm1d) =>
    bn.parameters().map(({ requiresGrad, decay }) => [requiresGrad, decay])
  expect(settings(slice(whole, chosen))).toEqual(settings(whole))
  const part = slice(whole.freeze(), chosen)
  expect([part.frozen, part.normalizesWithBatch]).toEqual([true, false])
  expect(part.unfreeze().options).toEqual(whole.unfreeze().options)
})

test('copies: neither sees what is done to the other, and gradients start at 0', async () => {
  const whole = filled(new BatchNorm1d(channels))
  whole.forward(normal([7, channels], 1))
  whole.backward(normal([7, channels], 2))
  const before = snapshot(whole)
  const part = slice(whole, chosen)
  expect(part.parameters().every(({ grad }) => grad.every((each) => each === 0))).toBe(true)
  part.weight.data.fill(9)
  await recalibrate(part, [normal([7, 3], 3)])
  expect(snapshot(whole)).toEqual(before)
  const state = snapshot(part)
  whole.resetParameters()
  expect(snapshot(part)).toEqual(state)
})

describe('what cannot be is an error', () => {
  const whole = new BatchNorm1d<ParameterType>(channels)
  const number = 'channels to be a number of channels from 1 to 6, or an array of such channels, but received'
  test.each<[message: string, given: unknown]>([
    [`${number} 0`, 0],
    [`${number} 7`, 7],
    [`${number} 1.5`, 1.5],
    [`${number} NaN`, Number.NaN],
    [`${number} '2'`, '2'],
    [`${number} undefined`, undefined],
    [`${number} an object`, { length: 2 }],
    ['channels to be an array of 1 to 6 channels but received []', []],
    ['channels to be an array of 1 to 6 channels', Array(2 ** 32 - 1)],
    ['channels[1] to be a channel from 0 to 5 but received 6', [0, 6]],
    ['channels[0] to be a channel from 0 to 5 but received -1', [-1]],
    ['channels[1] to be a channel from 0 to 5 but received 0.5', [2, 0.5]],
    ['channels[2] to be another channel than channels[0] but received 1', [1, 3, 1]],
    ['channels[0] to be a channel but received true', [true, false]],
    ['channels[1] to be a channel but received undefined', [1, undefined, 2]],
    ['channels[0] to be a channel but received 1n', BigInt64Array.of(1n)],
  ])('%s', (message, given) => {
    expect(() => slice(whole, given as number)).toThrow(`Expected ${message}`)
  })

  test('what is no batch norm, and one that does not know its channels', () => {
    expect(() => slice({} as never, 1)).toThrow('Expected module to be a batch norm but received an object')
    expect(() => slice(new LazyBatchNorm1d(), 1)).toThrow('to know its number of channels')
  })
})
