/** Masks in the layer of `batchnorm/tfjs`: which values make the statistics, as in Keras 3, and where masks come from. */
import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type BatchNormalization,
  type BatchNormalizationArgs,
  batchNormalization,
} from '../lib/interop/tfjs/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { centralDifferences } from './support/central-differences.ts'
import { Random } from './support/random.ts'

beforeAll(async () => {
  await tf.setBackend('cpu')
})

const epsilon = 1e-3
const data = (tensor: tf.Tensor) => tensor.dataSync<'float32'>()
const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1)

function normals(shape: readonly number[], seed: number, offset = 0): tf.Tensor {
  const random = new Random(seed)
  return tf.tensor(
    Float32Array.from({ length: sizeOf(shape) }, () => offset + random.normal()),
    [...shape],
  )
}

function flags(shape: readonly number[], seed: number): tf.Tensor {
  return tf.greater(normals(shape, seed), 0)
}

function layerOf(
  args: BatchNormalizationArgs,
  channels: number,
  shape: readonly number[],
): BatchNormalization {
  const layer = batchNormalization({ epsilon, ...args })
  layer.build([...shape])
  layer.setWeights(layer.getWeights().map((_, index) => tf.abs(normals([channels], index + 1, 2))))
  return layer
}

const inTraining = (layer: tfl.layers.Layer, x: tf.Tensor, mask?: tf.Tensor) =>
  layer.apply(x, { training: true, mask }) as tf.Tensor

const movingOf = (layer: tfl.layers.Layer) => layer.getWeights().slice(-2).map(data)

/** Shapes, axes of the channels, and shapes of masks: of every position, and with axes of 1. */
const places = [
  { shape: [8, 3], axis: -1, maskShape: [8] },
  { shape: [5, 4, 3], axis: -1, maskShape: [5, 4] },
  { shape: [5, 4, 3], axis: 1, maskShape: [5, 4] },
  { shape: [2, 3, 2, 4], axis: 3, maskShape: [2, 3, 1] },
  { shape: [2, 3, 4, 2], axis: 1, maskShape: [2, 1, 4] },
  { shape: [6, 3, 2], axis: -2, maskShape: [1, 3] },
]

/** The channel of each value, and whether the mask leaves it. */
function viewOf({ shape, axis }: (typeof places)[number], mask: tf.Tensor) {
  const at = axis < 0 ? axis + shape.length : axis
  const inner = sizeOf(shape.slice(at + 1))
  const counts = data(tf.broadcastTo(tf.expandDims(mask, -1), [...shape]))
  return Array.from(counts, (counted, index) => ({
    channel: Math.floor(index / inner) % shape[at],
    counted: counted !== 0,
  }))
}

/** How many values of each channel count, their mean and their biased variance, in float64. */
function statisticsOf(x: ArrayLike<number>, view: ReturnType<typeof viewOf>, channels: number) {
  return Array.from({ length: channels }, (_, channel) => {
    const values = view.flatMap((value, index) =>
      value.counted && value.channel === channel ? [x[index]] : [],
    )
    const average = (numbers: number[]) =>
      numbers.reduce((sum, number) => sum + number, 0) / Math.max(numbers.length, 1)
    const mean = average(values)
    return { count: values.length, mean, variance: average(values.map((value) => (value - mean) ** 2)) }
  })
}

describeEachBackend('tfjs layer with a mask', () => {
  test.each([0, 0.1, 1])('the statistics of Keras 3, where %d is masked', async (maskValue) => {
    const sample = [
      [1, 5],
      [2, 5],
      [maskValue, maskValue],
      [maskValue, maskValue],
    ]
    const x = tf.tensor(Array.from({ length: 10 }, () => sample))
    const model = tfl.sequential({ layers: [tfl.layers.masking({ maskValue, inputShape: [4, 2] })] })
    model.add(batchNormalization({ momentum: 0 }))
    model.compile({ optimizer: 'rmsprop', loss: 'meanSquaredError' })
    await model.fit(x, x, { batchSize: 10, epochs: 5, verbose: 0 })
    expect(movingOf(model.layers[1]).map((values) => [...values])).toEqual([
      [1.5, 5],
      [0.25, 0],
    ])
  })

  describe.each(places)('shape $shape, axis $axis, mask $maskShape', (place) => {
    const { shape, axis, maskShape } = place
    const channels = shape[axis < 0 ? axis + shape.length : axis]

    test('unmasked values make the statistics; all are normalized with them', () => {
      const [x, mask] = [normals(shape, 11, 30), flags(maskShape, 12)]
      const layer = layerOf({ axis, momentum: 0 }, channels, shape)
      const [gamma, beta, ...before] = layer.getWeights().map(data)
      const y = data(inTraining(layer, x, mask))
      const view = viewOf(place, mask)
      const statistics = statisticsOf(data(x), view, channels)
      const [movingMean, movingVariance] = movingOf(layer)
      for (const [channel, { count, mean, variance }] of statistics.entries()) {
        expect(movingMean[channel]).toBe(count ? Math.fround(mean) : before[0][channel])
        expect(movingVariance[channel]).toBeCloseTo(count ? variance : before[1][channel], 5)
      }
      for (const [index, { channel }] of view.entries()) {
        const { mean, variance } = statistics[channel]
        const normalized = (data(x)[index] - mean) / Math.sqrt(variance + epsilon)
        const expected = normalized * gamma[channel] + beta[channel]
        expect(Math.abs(y[index] - expected)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(expected)))
      }
    })

    test('the gradients are the slopes of the loss: central differences', () => {
      const [x, mask, dy] = [normals(shape, 21), flags(maskShape, 22), normals(shape, 23)]
      const layer = layerOf({ axis }, channels, shape)
      const weights = layer.trainableWeights.map((weight) => weight.read())
      const gradients = tf.grads((input: tf.Tensor) => inTraining(layer, input, mask))([x, ...weights], dy)
      const view = viewOf(place, mask)
      const length = view.length
      const lossAt = (numbers: Float64Array) => {
        const [gamma, beta] = [numbers.slice(length, length + channels), numbers.slice(length + channels)]
        const statistics = statisticsOf(numbers, view, channels)
        return view.reduce((sum, { channel }, index) => {
          const { mean, variance } = statistics[channel]
          const normalized = (numbers[index] - mean) / Math.sqrt(variance + epsilon)
          return sum + data(dy)[index] * (normalized * gamma[channel] + beta[channel])
        }, 0)
      }
      const all = [x, ...weights].flatMap((tensor) => [...data(tensor)])
      const slopes = centralDifferences(lossAt, all, 100 * length, 50)
      const actual = gradients.flatMap((tensor) => [...data(tensor)])
      const largest = Math.max(...actual.map(Math.abs))
      for (const [index, { value, tolerance }] of slopes.entries()) {
        expect(Math.abs(actual[index] - value)).toBeLessThanOrEqual(tolerance + 1e-6 * largest)
      }
    })
  })

  test('the statistics, the outputs and their gradients are those of the unmasked values alone, to the bit', () => {
    const [x, dy] = [normals([40, 7, 5], 31, 3), normals([40, 7, 5], 32)]
    const mask = flags([40, 7], 33)
    const rows = [...data(mask)].flatMap((flag, row) => (flag ? [row] : []))
    const unmasked = (tensor: tf.Tensor) => tf.gather(tf.reshape(tensor, [280, 5]), rows)
    const ones = tf.expandDims(tf.cast(mask, 'float32'), -1)
    const results = [
      { input: x, gradOutput: tf.mul(dy, ones), mask, part: unmasked },
      { input: unmasked(x), gradOutput: unmasked(dy), mask: undefined, part: tf.clone },
    ].map(({ input, gradOutput, mask, part }) => {
      const layer = layerOf({}, 5, input.shape)
      const f = (at: tf.Tensor) => inTraining(layer, at, mask)
      return [...[f(input), tf.grad(f)(input, gradOutput)].map(part).map(data), ...movingOf(layer)]
    })
    for (const index of [0, 2, 3]) expect(difference(results[0][index], results[1][index])).toBeNull()
    for (const [index, value] of results[1][1].entries()) expect(results[0][1][index]).toBeCloseTo(value, 5)
  })

  test.each(['bool', 'int32', 'float32'] as const)(
    'a mask of ones of dtype %s is none, to the bit',
    (dtype) => {
      const x = normals([6, 4, 3], 41)
      const [masked, plain] = [tf.ones([6, 4], dtype), undefined].map((mask) => {
        const layer = layerOf({}, 3, x.shape)
        const f = (at: tf.Tensor) => tf.sum(tf.square(inTraining(layer, at, mask)))
        return [data(inTraining(layer, x, mask)), data(tf.grad(f)(x)), ...movingOf(layer)]
      })
      for (const [index, values] of masked.entries()) expect(difference(values, plain[index])).toBeNull()
    },
  )

  test('masked values may be anything, and a channel without others keeps its moving statistics', () => {
    const layer = layerOf({}, 2, [3, 2])
    const x = tf.tensor([
      [1, 2],
      [3, 6],
      [Number.NaN, Number.POSITIVE_INFINITY],
    ])
    const output = data(inTraining(layer, x, tf.tensor([1, 1, 0])))
    expect([...output.subarray(0, 4)].every(Number.isFinite)).toBe(true)
    const before = movingOf(layer)
    expect(before.every((values) => values.every(Number.isFinite))).toBe(true)

    const zeros = tf.zeros([3, 2])
    const [, beta] = layer.getWeights().map(data)
    const y = data(inTraining(layer, zeros, tf.zeros([3])))
    expect([...y]).toEqual([...beta, ...beta, ...beta])
    expect(movingOf(layer)).toEqual(before)
    expect(data(tf.grad((at) => inTraining(layer, at, tf.zeros([3])))(zeros)).every(Number.isFinite)).toBe(
      true,
    )
  })

  test('no tensor outlives a step', () => {
    const [x, mask] = [normals([6, 4, 3], 51), flags([6, 4], 52)]
    const layer = layerOf({}, 3, x.shape)
    const gradient = tf.grad((at) => tf.sum(tf.square(inTraining(layer, at, mask))))
    const { numTensors, numBytes } = tf.memory()
    tf.dispose(gradient(x))
    expect(tf.memory()).toMatchObject({ numTensors, numBytes })
  })
})

/** A batch norm after `layers`, trained on one batch: its input, and the mean of it that it kept. */
function trained(layers: tfl.layers.Layer[], x: tf.Tensor) {
  const norm = batchNormalization({ momentum: 0, center: false, scale: false })
  const model = tfl.sequential({ layers: [...layers, norm] })
  const before = tfl.model({ inputs: model.inputs, outputs: norm.input as tfl.SymbolicTensor })
  const input = before.apply(x, { training: true }) as tf.Tensor
  model.apply(x, { training: true })
  return { mean: data(norm.getWeights()[0]), input }
}

describe('a mask', () => {
  const tokens = tf.tensor([
    [1, 2, 0, 0],
    [3, 1, 2, 0],
  ])
  const counted = tf.tensor([
    [1, 1, 0, 0],
    [1, 1, 1, 0],
  ])
  const embedding = (maskZero: boolean) =>
    tfl.layers.embedding({
      inputDim: 4,
      outputDim: 4,
      maskZero,
      inputLength: 4,
      embeddingsInitializer: tfl.initializers.randomNormal({ seed: 1 }),
    })
  const conv = () =>
    tfl.layers.conv1d({
      filters: 4,
      kernelSize: 3,
      padding: 'same',
      kernelInitializer: tfl.initializers.randomNormal({ seed: 2 }),
    })
  const dense = () =>
    tfl.layers.dense({ units: 4, kernelInitializer: tfl.initializers.randomNormal({ seed: 3 }) })
  const lstm = () =>
    tfl.layers.simpleRNN({
      units: 4,
      kernelInitializer: tfl.initializers.randomNormal({ seed: 4 }),
      recurrentInitializer: 'zeros',
    })

  test.each([
    { title: 'of an embedding', layers: () => [embedding(true)], masks: true },
    {
      title: 'through layers that pass it on',
      layers: () => [embedding(true), dense(), tfl.layers.reLU(), batchNormalization()],
      masks: true,
    },
    { title: 'that was not asked for', layers: () => [embedding(false)], masks: false },
    { title: 'ends at a layer that knows none', layers: () => [embedding(true), conv()], masks: false },
    {
      title: 'ends at a recurrent layer',
      layers: () => [embedding(true), lstm(), tfl.layers.repeatVector({ n: 4 })],
      masks: false,
    },
    {
      title: 'ends where the axis of time does',
      layers: () => [embedding(true), lstm(), dense()],
      masks: false,
    },
  ])('$title: masked is $masks', ({ layers, masks }) => {
    const { mean, input } = trained(layers(), tokens)
    const of = (weights: tf.Tensor) => {
      const rows = tf.reshape(input, [-1, 4])
      const column = tf.reshape(weights, [-1, 1])
      return data(tf.div(tf.sum(tf.mul(rows, column), 0), tf.sum(column)))
    }
    const expected = of(masks ? counted : tf.ones([input.size / 4]))
    for (const [channel, value] of expected.entries()) expect(mean[channel]).toBeCloseTo(value, 6)
  })

  test.each([tfl.layers.add, tfl.layers.average, tfl.layers.concatenate])('comes through %o', (merge) => {
    const ids = tfl.input({ shape: [4] })
    const [one, other] = [true, true].map((maskZero) => embedding(maskZero).apply(ids) as tfl.SymbolicTensor)
    const merged = merge().apply([one, other]) as tfl.SymbolicTensor
    const norm = batchNormalization({ momentum: 0 })
    tfl
      .model({ inputs: ids, outputs: norm.apply(merged) as tfl.SymbolicTensor })
      .apply(tokens, { training: true })
    const sums = tfl.model({ inputs: ids, outputs: merged }).apply(tokens) as tf.Tensor
    const weights = tf.expandDims(counted, -1)
    const expected = data(tf.div(tf.sum(tf.mul(sums, weights), [0, 1]), tf.sum(weights)))
    for (const [channel, value] of movingOf(norm)[0].entries())
      expect(value).toBeCloseTo(expected[channel], 6)
  })

  test('of one branch does not reach another', () => {
    const [ids, features] = [tfl.input({ shape: [4] }), tfl.input({ shape: [4, 2] })]
    const [masked, other] = [batchNormalization({ momentum: 0 }), batchNormalization({ momentum: 0 })]
    const branches = [masked.apply(embedding(true).apply(ids)), other.apply(features)] as tfl.SymbolicTensor[]
    const model = tfl.model({ inputs: [ids, features], outputs: branches })
    const x = normals([2, 4, 2], 61)
    model.apply([tokens, x], { training: true })
    const expected = data(tf.mean(x, [0, 1]))
    for (const [channel, value] of movingOf(other)[0].entries())
      expect(value).toBeCloseTo(expected[channel], 6)
  })

  test('goes on to the next layer, as through the layer of tf.layers', () => {
    const outputs = [batchNormalization(), tfl.layers.batchNormalization()].map((norm) => {
      const model = tfl.sequential({ layers: [embedding(true), norm, lstm()] })
      return data(model.predict(tokens) as tf.Tensor)
    })
    const unmasked = tfl.sequential({ layers: [embedding(false), batchNormalization(), lstm()] })
    expect([...outputs[0]]).toEqual([...outputs[1]].map((value) => expect.closeTo(value, 5)))
    expect([...outputs[0]]).not.toEqual([...data(unmasked.predict(tokens) as tf.Tensor)])
  })

  test('of tf.layers.masking comes along outside of a model too', () => {
    const layer = batchNormalization({ momentum: 0 })
    const x = tf.tensor([
      [
        [1, 5],
        [2, 5],
        [0, 0],
        [0, 0],
      ],
    ])
    layer.apply(tfl.layers.masking().apply(x) as tf.Tensor, { training: true })
    expect(movingOf(layer).map((values) => [...values])).toEqual([
      [1.5, 5],
      [0.25, 0],
    ])
  })

  test.each([
    [
      tf.ones([6, 4, 1]),
      RangeError,
      'Expected mask of shape [6, 4], for an input of shape [6, 4, 3], but received [6, 4, 1]',
    ],
    [
      tf.ones([4]),
      RangeError,
      'Expected mask of shape [6, 4], for an input of shape [6, 4, 3], but received [4]',
    ],
    [[1, 1], TypeError, 'Expected mask to be a tensor but received [1, 1]'],
  ])('that does not fit is an error, and changes nothing: %#', (mask, kind, message) => {
    const layer = layerOf({}, 3, [6, 4, 3])
    const before = layer.getWeights().map(data)
    expect(() => inTraining(layer, normals([6, 4, 3], 71), mask as tf.Tensor)).toThrow(new kind(message))
    expect(layer.getWeights().map(data)).toEqual(before)
  })

  test('of one use of a layer and not of another is an error', () => {
    const norm = batchNormalization()
    const ids = tfl.input({ shape: [4] })
    const uses = [true, false].map(
      (maskZero) => norm.apply(embedding(maskZero).apply(ids)) as tfl.SymbolicTensor,
    )
    const model = tfl.model({ inputs: ids, outputs: uses })
    expect(() => model.apply(tokens, { training: true })).toThrow('to be all masked or all unmasked')
  })

  test('leaves gradients that have none of their own', () => {
    const layer = layerOf({}, 3, [6, 3])
    const gradient = tf.grad((at) => tf.sum(tf.square(inTraining(layer, at, tf.ones([6])))))
    expect(() => tf.grad((at) => tf.sum(tf.square(gradient(at))))(normals([6, 3], 81))).toThrow(
      'cannot be differentiated',
    )
  })
})
