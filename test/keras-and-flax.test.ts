/**
 * What the tests of Keras 3 and of Flax expect of their batch norms, asked of ours: their shapes, options and numbers
 * (keras/src/layers/normalization/batch_normalization_test.py, tests/linen/linen_test.py and
 * tests/nnx/nn/normalization_test.py). What they compute is computed here from the formula that both publish, in float64.
 */
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  type BatchNormOptions,
  type Conventions,
  fromConvention,
  parameterGroups,
  tensor,
  toConvention,
} from '../lib/index.ts'
import { normal } from './support/module.ts'
import {
  type Batch,
  expectNear,
  type Floats,
  type Framework,
  filled,
  type Layer,
  layerOf,
  moduleOf,
  moved,
  movingOf,
  normalized,
  ofBatch,
  placeOf,
  promise,
  said,
  spread,
} from './support/published.ts'

interface Row {
  readonly name: string
  readonly framework: Framework
  readonly shape: number[]
  readonly axis?: 1 | -1
  readonly layer?: Partial<Layer>
  /** How often the layer is applied in training, to its own output. */
  readonly times?: number
  readonly data?: number[]
  readonly mask?: number[]
  /** The moving statistics that their test expects, to three decimals. */
  readonly moving?: { readonly mean: number[]; readonly variance: number[] }
}

const plain = (channels: number) => ({ gamma: filled(channels, 1), beta: filled(channels, 0), momentum: 0 })
const flax = { momentum: 0.9, epsilon: 1e-5 }

const axes = [-1, 1] as const
const shapes = [
  [5, 2, 3],
  [5, 3, 3, 2],
]
const starts = axes.flatMap((axis) =>
  shapes.flatMap((shape) =>
    [0, 1].flatMap((mean) => [0, 1].map((variance) => [axis, shape, mean, variance] as const)),
  ),
)

const rows: Row[] = [
  { name: 'vectors', framework: 'keras', shape: [2, 3] },
  { name: 'images', framework: 'keras', shape: [2, 4, 4, 3] },
  ...starts.map(([axis, shape, mean, variance]): Row => {
    const channels = shape.at(axis) as number
    return {
      name: `axis ${axis} of ${shape}, from mean ${mean} and variance ${variance}`,
      framework: 'keras',
      shape,
      axis,
      layer: { ...plain(channels), mean: filled(channels, mean), variance: filled(channels, variance) },
      times: 3,
      moving: { mean: filled(channels, 0), variance: filled(channels, 1) },
    }
  }),
  ...[0, 0.1, 1].map((left): Row => {
    return {
      name: `sequences of which those of ${left} are masked`,
      framework: 'keras',
      shape: [10, 4, 2],
      layer: plain(2),
      data: filled(10, 0).flatMap(() => [1, 5, 2, 5, left, left, left, left]),
      mask: filled(10, 0).flatMap(() => [1, 1, 0, 0]),
      moving: { mean: [1.5, 5], variance: [0.25, 0] },
    }
  }),
  {
    name: 'ones, all of which count',
    framework: 'keras',
    shape: [1, 2, 3, 4],
    layer: plain(4),
    data: filled(24, 1),
    mask: filled(6, 1),
    moving: { mean: filled(4, 1), variance: filled(4, 0) },
  },
  { name: '[N, L, C]', framework: 'flax', shape: [4, 3, 2], layer: flax },
  {
    name: '[N, L, C] with NaN where the mask is 0',
    framework: 'flax',
    shape: [4, 3, 2],
    layer: flax,
    mask: [1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1],
  },
  // With an axis_name too, which tells devices apart.
  { name: 'applied twice', framework: 'flax', shape: [2, 4], layer: { epsilon: 1e-5 }, times: 2 },
  { name: 'nnx, vectors', framework: 'flax', shape: [10, 5], layer: { epsilon: 1e-5 } },
]

describe.each(['float32', 'float64'] as const)('training and then inference, in %s', (dtype) => {
  test.each(rows)('$framework: $name', ({ framework, shape, axis = -1, mask, data, moving, ...row }) => {
    const channels = shape.at(axis) as number
    const [gamma, beta] = [21, 22].map((seed) => [...normal([channels], seed).data])
    let layer = layerOf(channels, { gamma, beta, ...row.layer })
    const x = data ? tensor(Float64Array.from(data), shape, { dtype }) : spread(shape, dtype)
    let batch: Batch = { x: x as Floats, axis, mask }
    if (!data) {
      x.data.forEach((_, index) => {
        if (mask?.[placeOf(batch, index).position] === 0) x.data[index] = Number.NaN
      })
    }
    const count = mask ? mask.filter((counts) => counts === 1).length : x.data.length / channels
    const module = moduleOf(framework, layer, batch, count)
    const limit = promise[dtype]
    for (let time = 0; time < (row.times ?? 1); time++) {
      const now = ofBatch(layer, batch)
      layer = moved(layer, now)
      const y = module.forward(batch.x, mask && { mask }) as Floats
      expectNear(y.data, normalized(now, batch), limit)
      const theirs = movingOf(framework, module, count)
      expectNear(theirs.mean, layer.mean, limit)
      expectNear(theirs.variance, layer.variance, limit)
      batch = { ...batch, x: y }
    }
    const theirs = { ...layer, ...movingOf(framework, module, count) }
    if (moving) {
      expectNear(theirs.mean, moving.mean, 1e-3)
      expectNear(theirs.variance, moving.variance, 1e-3)
    }
    // Their inference takes the biased variance as it is.
    const y = moduleOf(framework, theirs, batch)
      .eval()
      .forward(batch.x, mask && { mask }) as Floats
    expectNear(y.data, normalized(layer, batch), limit)
  })
})

describe('Keras', () => {
  test.each([
    [true, 2],
    [false, 0],
  ])('center and scale %j: %d trainable weights, and two that are not', (affine, trainable) => {
    const start = { moving_mean: filled(3, 0), moving_variance: filled(3, 1) }
    const vectors = affine ? { gamma: filled(3, 1), beta: filled(3, 0) } : {}
    const { options } = fromConvention('keras', { center: affine, scale: affine, ...vectors, ...start })
    const bn = new BatchNorm1d(3, options)
    expect(bn.parameters()).toHaveLength(trainable)
    const { parameters } = toConvention('keras', bn, { valuesPerChannel: 2 })
    expect(Object.values(parameters).filter(ArrayBuffer.isView)).toHaveLength(trainable + 2)
  })

  test('a batch that is masked throughout gives what it is', () => {
    const bn = new BatchNorm1d(5, { affine: false, eps: 1e-3 })
    const y = bn.forward(tensor(new Float32Array(20), [4, 5]), { mask: [0, 0, 0, 0] })
    expect(y.data).toEqual(new Float32Array(20))
  })

  test('trainable = false normalizes with the moving statistics in training; true again, with the batch', () => {
    const x = spread([200, 4, 4, 3], 'float32')
    const bn = moduleOf('keras', layerOf(3, { momentum: 0.8, epsilon: 1e-7 }), { x, axis: -1 })
    const trained = () => parameterGroups(bn.parameters(), 0.1).flatMap(({ parameters }) => parameters)
    bn.freeze().train()
    expect(trained()).toEqual([])
    expectNear((bn.forward(x) as Floats).data, [...x.data], 1e-6)
    bn.unfreeze()
    expect(trained()).toHaveLength(2)
    for (let time = 1; time < 10; time++) bn.forward(x)
    const { mean, variance } = ofBatch(layerOf(3), { x: bn.forward(x) as Floats, axis: -1 })
    expectNear(mean, [0, 0, 0], 1e-3)
    expectNear(variance, [1, 1, 1], 1e-3)
  })

  test('a moving variance beyond float16 stays what it is beside inputs of float16', () => {
    const layer = layerOf(1, { variance: [70000] })
    const half = tensor(Float32Array.of(265, -530), [2, 1], { dtype: 'float16' })
    const bn = moduleOf('keras', layer, { x: spread([2, 1], 'float32'), axis: -1 }).eval()
    expectNear(bn.forward(half).numbers() as Float32Array, [1.0016, -2.0032], 2 ** -10)
    expect(bn.runningVar?.data).toEqual(Float32Array.of(70000))
  })

  describe.each([
    ['without limits', { rMax: Number.MAX_VALUE, dMax: Number.MAX_VALUE }],
    ['with limits', { rMax: 1.5, dMax: 0.5 }],
  ])('renorm %s', (_, renorm) => {
    const x = tensor(Float32Array.of(4, 6, 2, 8, -2, 5, 6, 4, 3), [3, 3]) as Floats
    const vectors = { gamma: [1.125, 0.875, 1], beta: [0.25, -0.125, 0], mean: [0.5, -1, 4] }
    const layer = layerOf(3, { momentum: 0.9, ...vectors, variance: [0.5, 2.25, 1] })
    const make = (options: BatchNormOptions) => {
      const converted = fromConvention('keras', said('keras', layer, -1) as Conventions['keras'])
      const bn = new BatchNorm1d(3, { ...converted.options, ...options })
      bn.loadStateDict(converted.state)
      return bn
    }

    test('corrects by r and d of the moving statistics', () => {
      const batch = ofBatch(layer, { x, axis: -1 })
      const deviations = (of: Layer) => of.variance.map((variance) => Math.sqrt(variance + of.epsilon))
      const [now, then] = [deviations(batch), deviations(layer)]
      const clip = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)
      const y = Array.from(x.data, (value, index) => {
        const c = index % 3
        const r = clip(now[c] / then[c], 1 / renorm.rMax, renorm.rMax)
        const d = clip((batch.mean[c] - layer.mean[c]) / then[c], -renorm.dMax, renorm.dMax)
        return (((value - batch.mean[c]) / now[c]) * r + d) * layer.gamma[c] + layer.beta[c]
      })
      const bn = make({ renorm })
      expectNear(bn.forward(x).data as Float32Array, y, promise.float32)
      expectNear(bn.runningMean?.data as Float32Array, moved(layer, batch).mean, promise.float32)
    })

    test('does nothing in inference', () => {
      expect(make({ renorm }).eval().forward(x)).toEqual(make({}).eval().forward(x))
    })
  })
})

describe('Flax', () => {
  test.each(['float16', 'bfloat16'] as const)(
    'dtype %s: outputs of it, statistics of float32, computed in float32',
    (dtype) => {
      const x = tensor(normal([10, 5], 5).data, [10, 5], { dtype })
      const batch: Batch = { x: tensor(x.numbers(), [10, 5]) as Floats, axis: -1 }
      const layer = layerOf(5, { epsilon: 1e-5 })
      const bn = moduleOf('flax', layer, batch, 10)
      const y = bn.forward(x)
      expect(y.dtype).toBe(dtype)
      const now = ofBatch(layer, batch)
      expectNear(
        y.numbers() as Float32Array,
        normalized(now, batch),
        dtype === 'float16' ? 2 ** -11 : 2 ** -8,
      )
      const { mean, variance } = movingOf('flax', bn, 10)
      expectNear(mean, moved(layer, now).mean, promise.float32)
      expectNear(variance, moved(layer, now).variance, promise.float32)
    },
  )

  test('use_running_average false moves the statistics each time, true does not', () => {
    const x = spread([5, 6], 'float32')
    const bn = moduleOf('flax', layerOf(6, flax), { x, axis: -1 })
    const moving = (training: boolean) => {
      bn.train(training).forward(x)
      return [...(bn.runningMean?.data ?? []), ...(bn.runningVar?.data ?? [])]
    }
    const [first, second, third] = [true, true, false].map(moving)
    for (const [at, value] of second.entries()) expect(value).not.toBe(first[at])
    expect(third).toEqual(second)
  })
})
