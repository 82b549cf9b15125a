/** The layer of `batchnorm/tfjs`, against tf.layers' own, against float64, and over every backend. */
import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, test } from 'vitest'
import { functional } from '../lib/index.ts'
import { extentOf } from '../lib/interop/tfjs/extent.ts'
import {
  BatchNormalization,
  type BatchNormalizationArgs,
  batchNormalization,
} from '../lib/interop/tfjs/index.ts'
import { configurations, describeEachBackend, select } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { channelOf, exactGradients, exactOutput, exactStatistics } from './support/exact.ts'
import { Random } from './support/random.ts'
import {
  biasGradientTolerance,
  doubtOfBatch,
  inputGradientTolerance,
  outputTolerance,
  unit,
  weightGradientTolerance,
} from './support/tolerance.ts'

const epsilon = 1e-3

const switches = [{}, { scale: false }, { center: false }, { scale: false, center: false }]

/** Shapes and axes: channels last, channels first, in the middle, and more axes than tf.layers takes. */
const places = [
  { shape: [37, 6], axis: -1 },
  { shape: [16, 9, 5], axis: 2 },
  { shape: [16, 5, 9], axis: 1 },
  { shape: [4, 3, 5, 7], axis: -1 },
  { shape: [4, 3, 5, 7], axis: 1 },
  { shape: [3, 4, 2, 3, 5], axis: -3 },
]

/** Elsewhere tf.layers' own is wrong on this backend: its kernel takes the last axis for the channels. */
const channelsLast = places.filter(({ shape, axis }) => axis === -1 || axis === shape.length - 1)

function normals(shape: readonly number[], seed: number, scale = 1, offset = 0): tf.Tensor {
  const random = new Random(seed)
  const length = tf.util.sizeFromShape([...shape])
  return tf.tensor(
    Float32Array.from({ length }, () => offset + scale * random.normal()),
    [...shape],
  )
}

function build<Layer extends tfl.layers.Layer>(layer: Layer, shape: readonly number[]): Layer {
  layer.build([null, ...shape.slice(1)])
  return layer
}

function data(tensor: tf.Tensor): Float32Array {
  return tensor.dataSync<'float32'>()
}

/** A layer whose weights are not those it starts with. */
function layerWithWeights(args: BatchNormalizationArgs, shape: readonly number[], channels: number) {
  const layer = build(batchNormalization({ epsilon, ...args }), shape)
  layer.setWeights(layer.getWeights().map((_, index) => tf.abs(normals([channels], index + 1, 0.5, 1.5))))
  return layer
}

/** Outputs, gradients and moving statistics of training and of inference. */
function everything({ shape, axis }: (typeof places)[number], args: BatchNormalizationArgs = {}) {
  return tf.tidy(() => {
    const x = normals(shape, 11, 2, 30)
    const dy = normals(shape, 12)
    const layer = layerWithWeights({ axis, ...args }, shape, extentOf(shape, axis).channels)
    const weights = layer.trainableWeights.map((weight) => weight.read())
    const results = [true, false].map((training) => {
      const f = (...[input]: tf.Tensor[]) => layer.apply(input, { training }) as tf.Tensor
      const y = f(x)
      const gradients = tf.grads((...inputs) => tf.sum(tf.mul(f(...inputs), dy)))([x, ...weights])
      return [y, ...gradients].map(data)
    })
    const moving = layer.nonTrainableWeights.map((weight) => data(weight.read()))
    return { training: results[0], inference: results[1], moving }
  })
}

beforeAll(async () => {
  await tf.setBackend('cpu')
})

describe('every configuration gives the bits of the TypeScript backend', () => {
  test.each(places)('shape $shape, axis $axis', (place) => {
    for (const args of switches) {
      select(configurations[0])
      const expected = Object.values(everything(place, args)).flat(2)
      for (const configuration of configurations.slice(1)) {
        select(configuration)
        const actual = Object.values(everything(place, args)).flat(2)
        for (const [index, values] of actual.entries()) expect(difference(values, expected[index])).toBeNull()
      }
    }
  })
})

describeEachBackend('tfjs layer', () => {
  test.each(places)(
    'agrees with float64, forward and backward: shape $shape, axis $axis',
    ({ shape, axis }) => {
      const extent = extentOf(shape, axis)
      const count = extent.outer * extent.inner
      const [x, dy] = [data(normals(shape, 11, 2, 30)), data(normals(shape, 12))]
      const layer = layerWithWeights({ axis }, shape, extent.channels)
      const [gamma, beta] = layer.trainableWeights.map((weight) => data(weight.read()))
      const [y, dx, dgamma, dbeta] = everything({ shape, axis }).training

      const statistics = exactStatistics(x, extent, epsilon)
      const doubt = doubtOfBatch(count)
      const output = exactOutput(x, extent, statistics, gamma, beta)
      output.forEach((exact, index) => {
        const channel = channelOf(index, extent)
        expectWithin(y[index], exact, outputTolerance(exact, gamma[channel], beta[channel], doubt))
      })
      const exact = exactGradients(dy, x, extent, statistics, gamma)
      const toleranceOfBias = exact.biasMagnitude.map((magnitude) => biasGradientTolerance(magnitude, count))
      const toleranceOfWeight = exact.weightMagnitude.map((magnitude, channel) =>
        weightGradientTolerance(magnitude, exact.bias[channel], toleranceOfBias[channel], count, doubt),
      )
      exact.bias.forEach((value, channel) => {
        expectWithin(dbeta[channel], value, toleranceOfBias[channel])
        expectWithin(dgamma[channel], exact.weight[channel], toleranceOfWeight[channel])
      })
      exact.input.forEach((value, index) => {
        const channel = channelOf(index, extent)
        const terms = {
          gradOutput: dy[index],
          normalized: (x[index] - statistics.mean[channel]) * statistics.invstd[channel],
          scale: gamma[channel] * statistics.invstd[channel],
          meanGradient: exact.bias[channel] / count,
          meanProduct: exact.weight[channel] / count,
          meanGradientTolerance: toleranceOfBias[channel] / count,
          meanProductTolerance: toleranceOfWeight[channel] / count,
        }
        expectWithin(dx[index], value, inputGradientTolerance(terms, doubt))
      })
    },
  )

  // The step h errs by h^2 / 6 of the third derivative; a loss in float32, divided by 2h, by its rounding.
  test('the gradient is the slope of the loss: central differences', () => {
    const shape = [8, 3]
    const extent = extentOf(shape, -1)
    const [x, dy] = [normals(shape, 21), normals(shape, 22)]
    const layer = layerWithWeights({}, shape, 3)
    const lossOf = (input: tf.Tensor) =>
      tf.sum(tf.mul(layer.apply(input, { training: true }) as tf.Tensor, dy))
    const gradient = data(tf.grad(lossOf)(x))
    const values = data(x)
    const weights = data(dy)
    const h = 2 ** -7
    const lossAt = (index: number, step: number) => {
      const moved = Float32Array.from(values)
      moved[index] += step
      const y = data(layer.apply(tf.tensor(moved, shape), { training: true }) as tf.Tensor)
      return y.reduce((sum, value, at) => sum + value * weights[at], 0)
    }
    const magnitude = weights.reduce((sum, value) => sum + 8 * Math.abs(value), 0)
    const { invstd } = exactStatistics(values, extent, epsilon)
    gradient.forEach((slope, index) => {
      const difference = (lossAt(index, h) - lossAt(index, -h)) / (2 * h)
      const truncation = h ** 2 * invstd[channelOf(index, extent)] ** 3 * 8
      expectWithin(slope, difference, truncation + (magnitude * unit * 8) / h)
    })
  })

  describe.each([true, false])('training: %s', (training) => {
    test.each(switches)('the gradients have the gradients of batchNormDoubleBackward: %o', (args) => {
      const shape = [4, 3, 5]
      const [x, dy, u] = [51, 52, 53].map((seed) => normals(shape, seed, 2, 1))
      const layer = layerWithWeights({ axis: 1, ...args }, shape, 3)
      const parameters = layer.trainableWeights.map((weight) => weight.read())
      const [movingMean, movingVariance] = layer.getWeights().slice(-2).map(data)
      const [input, gradOutput] = [x, dy].map((tensor) => ({ data: data(tensor), shape }))
      const statistics = training
        ? functional.batchNormStats(input, { eps: epsilon })
        : {
            mean: movingMean,
            invstd: Float64Array.from(movingVariance, (value) => 1 / Math.sqrt(value + epsilon)),
          }
      const gamma = layer.gamma?.read()
      const options = { ...statistics, weight: gamma ? data(gamma) : null, training }

      const asked = [
        { what: 'gradGradInput', values: u },
        ...(layer.gamma ? [{ what: 'gradGradWeight', values: normals([3], 54) }] : []),
        ...(layer.beta ? [{ what: 'gradGradBias', values: normals([3], 55) }] : []),
      ]
      for (const [index, { what, values }] of asked.entries()) {
        // A weighted sum of one of the gradients; whatever is made of gradients has such a sum for its slope.
        const sumOf = (g: tf.Tensor) => {
          const loss = (at: tf.Tensor) => tf.sum(tf.mul(layer.apply(at, { training }) as tf.Tensor, g))
          return tf.sum(tf.mul(tf.grads(loss)([x, ...parameters])[index], values))
        }
        const actual = tf
          .grads(sumOf)([dy, x, ...(gamma ? [gamma] : [])])
          .map(data)
        const asking = { [what]: values === u ? { data: data(u), shape } : data(values) }
        const expected = functional.batchNormDoubleBackward(gradOutput, input, { ...options, ...asking })
        const { gradGradOutput, gradInput, gradWeight } = expected
        const inOrder = [gradGradOutput, gradInput, gradWeight]
        for (const [at, values] of actual.entries()) expect(difference(values, inOrder[at].data)).toBeNull()
      }
    })

    test('the gradients of those throw', () => {
      const layer = layerWithWeights({}, [4, 3], 3)
      const square = (x: tf.Tensor) => tf.sum(tf.square(layer.apply(x, { training }) as tf.Tensor))
      const second = tf.grad((x) => tf.sum(tf.square(tf.grad(square)(x))))
      expect(() => tf.grad((x) => tf.sum(second(x)))(normals([4, 3], 56))).toThrow('once, not twice')
    })
  })

  // tf.layers adds in float32, one after the other. So n values may lose n units of the largest in their
  // mean, and n squares as much in the variance, to which the lost part of the mean adds.
  test.each(channelsLast)('means what tf.layers means: shape $shape, axis $axis', ({ shape, axis }) => {
    const extent = extentOf(shape, axis)
    const count = extent.outer * extent.inner
    const ours = layerWithWeights({ axis, momentum: 0.8 }, shape, extent.channels)
    const theirs = build(tfl.layers.batchNormalization({ axis, momentum: 0.8, epsilon }), shape)
    theirs.setWeights(ours.getWeights())
    for (const [step, training] of [true, true, false].entries()) {
      const x = normals(shape, step + 31, 1, 0.5)
      const [y, expected] = [ours, theirs].map((layer) => data(layer.apply(x, { training }) as tf.Tensor))
      const [gamma, beta, mean, variance] = theirs.getWeights().map(data)
      const largest = Math.max(...[data(x), mean].flatMap((values) => [...values.map(Math.abs)]))
      const doubtOfMean = (count + 4) * unit * largest
      const doubtOfVariance = 3 * largest * doubtOfMean

      const invstd = training
        ? exactStatistics(data(x), extent, epsilon).invstd
        : Float64Array.from(variance, (value) => 1 / Math.sqrt(value + epsilon))
      expected.forEach((value, index) => {
        const channel = channelOf(index, extent)
        const moved = gamma[channel] * doubtOfMean * invstd[channel]
        const scaled = Math.abs(value - beta[channel]) * (doubtOfVariance * invstd[channel] ** 2 + 4 * unit)
        const rounded = 2 * (Math.abs(value) + beta[channel]) * unit
        expectWithin(y[index], value, moved + scaled + rounded)
      })
      const [, , ourMean, ourVariance] = ours.getWeights().map(data)
      for (let channel = 0; channel < extent.channels; channel++) {
        expectWithin(ourMean[channel], mean[channel], doubtOfMean)
        expectWithin(ourVariance[channel], variance[channel], doubtOfVariance)
      }
    }
  })

  test.each([{ scale: false }, { center: false }, { scale: false, center: false }])(
    'trains with %o, where tf.layers cannot',
    async (args) => {
      const model = classifier(batchNormalization(args))
      model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' })
      const [x, y] = [normals([64, 4], 41), normals([64, 2], 42)]
      const before = (await model.trainOnBatch(x, y)) as number
      await model.fit(x, y, { epochs: 5, batchSize: 64, shuffle: false, verbose: 0 })
      expect((await model.trainOnBatch(x, y)) as number).toBeLessThan(before)
      await expect(async () => {
        const theirs = classifier(tfl.layers.batchNormalization(args))
        theirs.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' })
        await theirs.trainOnBatch(x, y)
      }).rejects.toThrow(TypeError)
    },
  )

  test('a saved and loaded model predicts the same bits, with the same configuration and weights', async () => {
    const args = {
      axis: 1,
      momentum: 0.7,
      epsilon: 0.01,
      gammaRegularizer: 'l1l2',
      betaConstraint: 'nonNeg',
    } as const
    const model = classifier(
      batchNormalization({ ...args, gammaInitializer: tfl.initializers.randomUniform({ seed: 3 }) }),
    )
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' })
    const x = normals([16, 4], 51)
    await model.trainOnBatch(x, normals([16, 2], 52))

    let saved: tf.io.ModelArtifacts | undefined
    await model.save(
      tf.io.withSaveHandler(async (artifacts) => {
        saved = artifacts
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } }
      }),
    )
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved as tf.io.ModelArtifacts))
    expect(difference(data(loaded.predict(x) as tf.Tensor), data(model.predict(x) as tf.Tensor))).toBeNull()
    expect(loaded.layers[1].getConfig()).toEqual(model.layers[1].getConfig())
    expect(loaded.layers[1].getConfig()).toMatchObject({ axis: 1, momentum: 0.7, epsilon: 0.01 })
  })

  test('an empty batch gives an empty output and changes nothing', () => {
    const layer = layerWithWeights({}, [0, 3], 3)
    const before = layer.getWeights().map(data)
    expect((layer.apply(tf.zeros([0, 3]), { training: true }) as tf.Tensor).shape).toEqual([0, 3])
    expect(layer.getWeights().map(data)).toEqual(before)
  })

  test('no tensor outlives a step', () => {
    const layer = layerWithWeights({}, [16, 3], 3)
    const optimizer = tf.train.sgd(0.1)
    const x = normals([16, 3], 61)
    const step = () =>
      optimizer.minimize(
        () => tf.mean(tf.square(layer.apply(x, { training: true }) as tf.Tensor)) as tf.Scalar,
      )
    step()
    const { numTensors, numBytes } = tf.memory()
    for (let i = 0; i < 3; i++) step()
    tf.dispose(layer.apply(x, { training: false }) as tf.Tensor)
    const gradient = tf.grad((at) => tf.sum(tf.square(layer.apply(at, { training: true }) as tf.Tensor)))
    tf.dispose(tf.grad((at) => tf.sum(tf.square(gradient(at))))(x))
    expect(tf.memory()).toMatchObject({ numTensors, numBytes })
  })
})

describe('frozen, it runs in inference mode and keeps its moving statistics', () => {
  test.each(['layer', 'model'])('%s.trainable = false', (what) => {
    const norm = batchNormalization()
    const model = classifier(norm)
    const [x, y] = [normals([16, 4], 71), normals([16, 2], 72)]
    const frozen = what === 'layer' ? norm : model
    frozen.trainable = false
    const before = norm.getWeights().map(data)
    const outputs = [true, false].map((training) => data(model.apply(x, { training }) as tf.Tensor))
    expect(difference(outputs[0], outputs[1])).toBeNull()
    expect(norm.getWeights().map(data)).toEqual(before)

    const gradient = tf.grad((input) =>
      tf.losses.meanSquaredError(y, model.apply(input, { training: true }) as tf.Tensor),
    )
    expect(data(gradient(x)).some((value) => value !== 0)).toBe(true)

    frozen.trainable = true
    model.apply(x, { training: true })
    expect(norm.getWeights().map(data)).not.toEqual(before)
  })
})

test('has the configuration, the weights and the order of tf.layers', () => {
  for (const args of [
    {},
    { scale: false },
    { center: false },
    { axis: 1, gammaConstraint: 'maxNorm' as const },
  ]) {
    const named = { ...args, name: 'norm' }
    const [ours, theirs] = [batchNormalization(named), tfl.layers.batchNormalization(named)]
    expect(ours.getConfig()).toEqual(theirs.getConfig())
    const namesOf = (layer: tfl.layers.Layer) => layer.weights.map((weight) => weight.originalName)
    expect(namesOf(build(ours, [8, 3]))).toEqual(namesOf(build(theirs, [8, 3])))
  }
})

test('a regularizer adds to the loss', async () => {
  const x = tf.zeros([4, 4])
  const losses = [undefined, tfl.regularizers.l2({ l2: 0.5 })].map(async (gammaRegularizer) => {
    const model = tfl.sequential({ layers: [tfl.layers.inputLayer({ inputShape: [4] })] })
    model.add(batchNormalization({ gammaRegularizer }))
    model.compile({ optimizer: tf.train.sgd(0), loss: 'meanSquaredError' })
    return (await model.trainOnBatch(x, x)) as number
  })
  // gamma is four ones: 0.5 * 4.
  expect(await Promise.all(losses)).toEqual([0, 2])
})

describe('arguments', () => {
  const { constant } = tfl.initializers

  test.each<BatchNormalizationArgs>([
    { axis: [3] },
    { axis: -2, momentum: 0, epsilon: 0, center: false, scale: false, trainable: false },
    { gammaInitializer: 'heNormal', betaInitializer: constant({ value: 2 }), movingMeanInitializer: 'Ones' },
    { movingVarianceInitializer: { className: 'Constant', config: { value: 4 } } as never },
    { gammaRegularizer: 'l1l2', betaRegularizer: tfl.regularizers.l1({ l1: 0.5 }) },
    { gammaConstraint: 'nonNeg', betaConstraint: tfl.constraints.maxNorm({ maxValue: 3 }) },
    { inputShape: [null, 4], batchSize: 2, dtype: 'float32', name: 'norm' },
    { batchInputShape: [null, 4], inputDType: 'float32', weights: [tf.ones([4])] },
    { axis: null, momentum: null, gammaInitializer: null, betaConstraint: null, name: null } as never,
  ])('%o: those of tf.layers, and the configuration reads back', (args) => {
    const named = { name: 'norm', ...args, ...(args.name === null && { name: 'norm' }) }
    const layer = batchNormalization(named)
    const config = layer.getConfig()
    const theirs = tfl.layers.batchNormalization(named as never).getConfig()
    expect(config).toEqual({ ...theirs, axis: [theirs.axis].flat()[0] })
    expect(batchNormalization(config).getConfig()).toEqual(config)
    const parsed = JSON.parse(JSON.stringify(config))
    expect(BatchNormalization.fromConfig(BatchNormalization, parsed).getConfig()).toEqual(config)
  })

  const names = 'a name, { className, config }, or one of'
  test.each<[object, typeof TypeError, string]>([
    [{ axis: 0.5 }, RangeError, 'axis to be an integer but received 0.5'],
    [{ axis: '3' }, TypeError, "axis to be an integer but received '3'"],
    [{ axis: [1, 2] }, TypeError, 'axis to be an integer but received [1, 2]'],
    [{ axis: [0.5] }, RangeError, 'axis to be an integer but received [0.5]'],
    [{ momentum: Number.NaN }, RangeError, 'momentum to be a number from 0 to 1 but received NaN'],
    [{ momentum: 1.5 }, RangeError, 'momentum to be a number from 0 to 1 but received 1.5'],
    [{ momentum: '0.9' }, TypeError, "momentum to be a number from 0 to 1 but received '0.9'"],
    [{ epsilon: -1 }, RangeError, 'epsilon to be a finite number, 0 or more but received -1'],
    [{ epsilon: '1e-3' }, TypeError, "epsilon to be a finite number, 0 or more but received '1e-3'"],
    [{ center: 1 }, TypeError, 'center to be true or false but received 1'],
    [{ scale: 'false' }, TypeError, "scale to be true or false but received 'false'"],
    [{ trainable: 0 }, TypeError, 'trainable to be true or false but received 0'],
    [
      { gammaInitializer: 'one' },
      RangeError,
      `gammaInitializer to be an initializer: ${names} tf.initializers, but received 'one'`,
    ],
    [
      { betaInitializer: 0 },
      TypeError,
      `betaInitializer to be an initializer: ${names} tf.initializers, but received 0`,
    ],
    [
      { movingMeanInitializer: tfl.regularizers.l2() },
      RangeError,
      `movingMeanInitializer to be an initializer: ${names} tf.initializers, but received a L1L2`,
    ],
    [
      { gammaRegularizer: 'NonNeg' },
      RangeError,
      `gammaRegularizer to be a regularizer: ${names} tf.regularizers, but received 'NonNeg'`,
    ],
    [
      { betaConstraint: false },
      TypeError,
      `betaConstraint to be a constraint: ${names} tf.constraints, but received false`,
    ],
    [
      { inputShape: 4 },
      TypeError,
      'inputShape to be an array of sizes, each an integer or null, but received 4',
    ],
    [
      { batchInputShape: [null, '4'] },
      RangeError,
      "batchInputShape to be an array of sizes, each an integer or null, but received [null, '4']",
    ],
    [{ batchSize: 0.5 }, RangeError, 'batchSize to be a positive integer but received 0.5'],
    [{ dtype: 'int32' }, RangeError, "dtype to be one of float32 but received 'int32'"],
    [{ name: 5 }, TypeError, 'name to be a string but received 5'],
    [{ name: '' }, RangeError, "name to be a string that is not empty but received ''"],
    [
      { weights: [[1, 2]] },
      TypeError,
      'weights to be an array of tensors but received [an array of length 2]',
    ],
    [[], TypeError, 'args to be an object but received []'],
  ])('%o is an error that names the argument', (args, kind, message) => {
    expect(() => batchNormalization(args)).toThrow(new kind(`Expected ${message}`))
  })

  test.each([{ eps: 1e-5 }, { moving_mean_initializer: 'zeros' }, { Axis: 1 }, { renorm: false }])(
    '%o is a TypeError: there is no such argument',
    (args) => {
      const [name] = Object.keys(args)
      expect(() => batchNormalization(args as object)).toThrow(TypeError)
      expect(() => batchNormalization(args as object)).toThrow(
        new RegExp(`^Expected args to be among .*'${name}'`),
      )
    },
  )

  test.each([1, 'eval'])('training: %o is a TypeError', (training) => {
    expect(() => layerWithWeights({}, [4, 3], 3).apply(tf.ones([4, 3]), { training })).toThrow(
      new TypeError(
        `Expected training to be true or false but received ${JSON.stringify(training).replaceAll('"', "'")}`,
      ),
    )
  })
})

test.each([-3, 2])('axis %i of an input of two axes is a RangeError', (axis) => {
  expect(() => build(batchNormalization({ axis }), [8, 3])).toThrow(
    new RangeError(`Expected axis to be one of -2 to 1 for an input of 2 axes but received ${axis}`),
  )
})

test('an input that is not float32 is a TypeError, and changes nothing', () => {
  const layer = layerWithWeights({}, [4, 3], 3)
  const before = layer.getWeights().map(data)
  expect(() => layer.apply(tf.ones([4, 3], 'int32'), { training: true })).toThrow(
    new TypeError("Expected input of dtype float32 but received int32 (did you mean input.cast('float32')?)"),
  )
  expect(layer.getWeights().map(data)).toEqual(before)
})

describe('values that do not lie in a Float32Array', () => {
  const pixels = {
    data: Uint8Array.from({ length: 64 }, (_, index) => (index * 37) % 256),
    width: 4,
    height: 4,
  }
  const integers = (shape: number[], seed: number) => tf.cast(tf.mul(normals(shape, seed), 9), 'int32')

  test.each([
    { title: 'integers', whole: (seed: number) => integers([4, 4, 3], seed) },
    { title: 'booleans', whole: (seed: number) => tf.greater(normals([4, 4, 3], seed), 0) },
    { title: 'pixels', whole: () => tf.browser.fromPixels(pixels) },
  ])('are taken to the bit as those that do: $title', async ({ whole }) => {
    const cast = (tensor: tf.Tensor) => tf.cast(tensor, 'float32')
    expect(cast(whole(1)).dataSync()).not.toBeInstanceOf(Float32Array)
    const copy = (tensor: tf.Tensor) => tf.tensor(Float32Array.from(tensor.dataSync()), tensor.shape)
    const [other, plain] = await Promise.all(
      [cast, copy].map(async (floats) => {
        const [x, dy] = [floats(whole(1)), floats(whole(2))]
        const layer = build(batchNormalization({ epsilon }), x.shape)
        layer.setWeights([2, 3, 4, 5].map((value) => floats(tf.fill([3], value, 'int32'))))
        const parameters = layer.trainableWeights.map((weight) => weight.read())
        const results = [false, true].flatMap((training) => {
          const f = (...[input]: tf.Tensor[]) => layer.apply(input, { training }) as tf.Tensor
          const gradient = (...[input]: tf.Tensor[]) => tf.grad(f)(input, dy)
          return [f(x), ...tf.grads(f)([x, ...parameters], dy), tf.grad(gradient)(x, dy)]
        })
        const masked = layer.apply(x, { training: true, mask: floats(integers([4, 4], 3)) }) as tf.Tensor
        const model = tfl.sequential({ layers: [batchNormalization({ inputShape: [4, 3] })] })
        model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' })
        await model.fit(x, dy, { epochs: 2, shuffle: false, verbose: 0 })
        return [
          ...results,
          masked,
          model.predict(x) as tf.Tensor,
          ...model.getWeights(),
          ...layer.getWeights(),
        ]
      }),
    )
    for (const [index, tensor] of other.entries()) {
      const [actual, expected] = [tensor, plain[index]].map((values) => Float32Array.from(values.dataSync()))
      expect(difference(actual, expected)).toBeNull()
    }
  })
})

/** Dense, `norm`, dense. */
function classifier(norm: tfl.layers.Layer): tfl.Sequential {
  const kernelInitializer = tfl.initializers.randomNormal({ seed: 5 })
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 3, inputShape: [4], kernelInitializer }),
      norm,
      tfl.layers.dense({ units: 2, kernelInitializer }),
    ],
  })
}

function expectWithin(actual: number, expected: number, tolerance: number): void {
  if (Math.abs(actual - expected) <= tolerance) return
  expect.fail(`${actual} is ${Math.abs(actual - expected)} from ${expected}; allowed ${tolerance}`)
}
