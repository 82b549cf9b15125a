/**
 * What TensorFlow.js expects of its own batch norm, of the layer and of the operation
 * (`normalization_test.ts`, `batchnorm_test.ts`), asked of the layer of `batchnorm/tfjs`. Its losses and weights
 * after training are those of Keras.
 */
import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import { beforeAll, expect, test } from 'vitest'
import { type BatchNormalizationArgs, batchNormalization } from '../lib/interop/tfjs/index.ts'
import { describeEachBackend } from './support/backends.ts'

beforeAll(async () => {
  await tf.setBackend('cpu')
})

/** As many digits as the values are printed with, of float32 sums in another order. */
function expectClose(actual: ArrayLike<number>, expected: readonly number[], relative = 2e-6): void {
  expect(actual.length).toBe(expected.length)
  for (const [index, value] of expected.entries()) {
    expect(Math.abs(actual[index] - value), `${actual[index]} instead of ${value}`).toBeLessThanOrEqual(
      relative * Math.max(1, Math.abs(value)),
    )
  }
}

const data = (tensor: tf.Tensor) => tensor.dataSync<'float32'>()
const times = (count: number, value: number) => new Array<number>(count).fill(value)

const rising = [1, 2, 3, 4, 2, 4, 6, 8, 12, 11, 10, 9]
const counting = Array.from({ length: 50 }, (_, index) => index)

const dense = (args: { units: number; inputShape?: number[] }) =>
  tfl.layers.dense({ ...args, kernelInitializer: 'ones', useBias: false })
const image = { filters: 4, kernelSize: 2, kernelInitializer: 'ones', inputShape: [5, 5, 1] }
/** Of images, until one number is left. */
const summed = () => [tfl.layers.flatten(), tfl.layers.dense({ units: 1, kernelInitializer: 'ones' })]

/** A model that is trained on one batch, and what comes of it: losses, and weights of the batch norm. */
interface Training {
  readonly title: string
  readonly layers: () => tfl.layers.Layer[]
  readonly optimizer: () => tf.Optimizer
  readonly x: () => tf.Tensor
  readonly y: () => tf.Tensor
  readonly losses: readonly number[]
  readonly weights?: readonly (readonly number[])[]
  readonly relative?: number
}

const trainings: readonly Training[] = [
  {
    title: 'alone on (3, 4)',
    layers: () => [batchNormalization({ inputShape: [4] })],
    optimizer: () => tf.train.sgd(0.01),
    x: () => tf.tensor(rising, [3, 4]),
    y: () => tf.zeros([3, 4]),
    losses: [0.9998891353607178, 0.9899163246154785],
    weights: [
      [0.9900254, 0.9900257, 0.9900262, 0.9900271],
      times(4, 0),
      [0.09949999, 0.11276666, 0.12603334, 0.13929999],
      [1.4709667, 1.2763889, 1.1437222, 1.0729666],
    ],
  },
  {
    title: 'alone on (3, 2, 2)',
    layers: () => [batchNormalization({ inputShape: [2, 2] })],
    optimizer: () => tf.train.sgd(0.01),
    x: () => tf.tensor(rising, [3, 2, 2]),
    y: () => tf.zeros([3, 2, 2]),
    losses: [0.9999215006828308, 0.980024516582489],
    weights: [
      [0.98010117, 0.98010194],
      [0, 0],
      [0.11276666, 0.12603334],
      [1.3161889, 1.1835222],
    ],
  },
  {
    title: 'between two dense layers',
    layers: () => [dense({ units: 4, inputShape: [4] }), batchNormalization(), dense({ units: 1 })],
    optimizer: () => tf.train.sgd(0.1),
    x: () => tf.tensor(rising, [3, 4]),
    y: () => tf.zeros([3, 1]),
    losses: [15.999907493591309, 0.025602197274565697, 0.022478966042399406],
    weights: [times(4, 0.18779878), times(4, 0), times(4, 0.7128234), times(4, 6.276868)],
  },
  {
    title: 'after a convolution',
    layers: () => [tfl.layers.conv2d(image), batchNormalization(), ...summed()],
    optimizer: () => tf.train.sgd(0.01),
    x: () => tf.tensor(counting, [2, 5, 5, 1]),
    y: () => tf.tensor([0, 1], [2, 1]),
    losses: [3332.9971, 2122.5361],
    relative: 1e-5,
  },
  {
    title: 'after a transposed convolution, where it diverges',
    layers: () => [tfl.layers.conv2dTranspose(image), batchNormalization(), ...summed()],
    optimizer: () => tf.train.sgd(0.01),
    x: () =>
      tf.tensor(
        counting.map((value) => (value - 25) / 100),
        [2, 5, 5, 1],
      ),
    y: () => tf.tensor([0, 1], [2, 1]),
    losses: [13922.4492, 106532048],
    // Keras' kernel for images keeps the unbiased variance, here of 72 values; tf.layers and this layer the biased one.
    weights: [
      times(4, 7661.0874),
      times(4, -118.35103),
      times(4, -0.00026271),
      times(4, 0.9801 + (0.98333836 - 0.9801) * (71 / 72)),
    ],
    relative: 1e-5,
  },
]

/** x, the statistics of each channel, gamma and beta, and what the operation gives. */
interface Inference {
  readonly x: readonly number[]
  readonly shape: readonly number[]
  readonly epsilon: number
  readonly gamma?: readonly number[]
  readonly beta?: readonly number[]
  readonly mean: readonly number[]
  readonly variance: readonly number[]
  readonly y: readonly number[]
}

const tens = [10, 20, 30, 40]
const few = { x: [2, 4, 9, 23], epsilon: 0.001, mean: [1, 2], variance: [2, 3] }
const fewNormalized = [0.7069301, 1.1545082, 5.6554408, 12.1223361]

const inferences: readonly Inference[] = [
  ...[
    [2, 2],
    [2, 1, 2],
    [2, 1, 1, 2],
  ].flatMap((shape) => [
    { ...few, shape, y: fewNormalized },
    { ...few, shape, gamma: [4, 5], y: fewNormalized.map((value, at) => value * [4, 5][at % 2]) },
    { ...few, shape, beta: [4, 5], y: fewNormalized.map((value, at) => value + [4, 5][at % 2]) },
    {
      ...few,
      shape,
      gamma: [4, 5],
      beta: [3, 4],
      y: fewNormalized.map((value, at) => value * [4, 5][at % 2] + [3, 4][at % 2]),
    },
  ]),
  { x: tens, shape: [2, 2], epsilon: 0, mean: [5, 5], variance: [4, 16], y: [2.5, 3.75, 12.5, 8.75] },
  { x: [30, 30, 60, 60], shape: [2, 2], epsilon: 2, mean: [0, 0], variance: [7, 7], y: [10, 10, 20, 20] },
  {
    x: tens,
    shape: [2, 2],
    epsilon: 0,
    gamma: [3, 4],
    beta: [-1, -2],
    mean: [2, 5],
    variance: [1, 4],
    y: [23, 28, 83, 68],
  },
  ...[
    [2, 2, 2],
    [2, 1, 2, 2],
  ].map((shape) => ({
    x: [...tens, ...tens],
    shape,
    epsilon: 0,
    gamma: [2, 4],
    beta: [-1, -2],
    mean: [5, 5],
    variance: [4, 16],
    y: [4, 13, 24, 33, 4, 13, 24, 33],
  })),
  {
    x: [
      0.3136892, 0.92389025, 0.594782, 0.05021042, 0.67545404, 0.93910035, 0.13277993, 0.96474269, 0.88608916,
    ],
    shape: [3, 3],
    epsilon: 0.001,
    gamma: [0.62186907, 0.85673736, 0.19201061],
    beta: [0.43098484, 0.77712237, 0.47916298],
    mean: [0.19526312, 0.74857256, 0.45166398],
    variance: [0.22963001, 0.61521992, 0.46623685],
    y: [
      0.58433646, 0.96846228, 0.51936529, 0.24315402, 0.69732157, 0.61608542, 0.35007446, 1.01304821,
      0.60119441,
    ],
  },
  {
    x: [
      0.49955603, 0.04158615, -1.09440524, 2.03854165, -0.61578344, 2.87533573, 1.18105987, 0.807462,
      1.87888837, 2.26563962, -0.37040935, 1.35848753, -0.75347094, 0.15683117, 0.91925946, 0.34121279,
      0.92717143, 1.89683965,
    ],
    shape: [2, 3, 3],
    epsilon: 0.001,
    gamma: [-0.5607271, 0.9878457, 0.25181573],
    beta: [0.69398749, -1.29056387, 0.9429723],
    mean: [0.39745062, -0.48062894, 0.4847822],
    variance: [0.32375343, 0.67117643, 1.08334653],
    y: [
      0.59352049, -0.66135202, 0.5610874, -0.92077015, -1.45341019, 1.52106473, -0.07704776, 0.26144429,
      1.28010017, -1.14422404, -1.15776136, 1.15425493, 1.82644104, -0.52249442, 1.04803919, 0.74932291,
      0.40568101, 1.2844412,
    ],
  },
]

function layerOf(args: BatchNormalizationArgs, { shape, gamma, beta, mean, variance }: Inference) {
  const layer = batchNormalization({ ...args, scale: gamma !== undefined, center: beta !== undefined })
  layer.build([...shape])
  layer.setWeights(
    [gamma, beta, mean, variance].flatMap((values) => (values ? [tf.tensor1d([...values])] : [])),
  )
  return layer
}

describeEachBackend('tfjs layer, known answers', () => {
  test.each(trainings)(
    'the losses and weights of Keras: $title',
    async ({ layers, optimizer, ...training }) => {
      const model = tfl.sequential({ layers: layers() })
      model.compile({ loss: 'meanSquaredError', optimizer: optimizer() })
      const { losses, weights, relative } = training
      const { history } = await model.fit(training.x(), training.y(), { epochs: losses.length, verbose: 0 })
      expectClose(history.loss as number[], losses, relative)

      const norm = model.layers.find((layer) => layer.getClassName() === 'BatchNorm')
      const trained = norm?.getWeights().map(data) ?? []
      for (const [index, values] of (weights ?? []).entries()) expectClose(trained[index], values, relative)
    },
  )

  test.each(inferences)('inference of $shape, gamma $gamma, beta $beta', (inference) => {
    const { x, shape, epsilon, y } = inference
    const output = layerOf({ epsilon }, inference).apply(tf.tensor([...x], [...shape])) as tf.Tensor
    expectClose(data(output), y)
  })

  test.each([1, -1])('the gradients of inference, where gradOutput is %i', (dy) => {
    const inference: Inference = { ...few, shape: [2, 2], gamma: [2, 5], beta: [3, 4], y: [] }
    const layer = layerOf({ epsilon: few.epsilon }, inference)
    const x = tf.tensor(few.x, [2, 2])
    const parameters = layer.trainableWeights.map((weight) => weight.read())
    const gradients = tf.grads((input: tf.Tensor) => layer.apply(input) as tf.Tensor)(
      [x, ...parameters],
      tf.fill([2, 2], dy),
    )
    const expected = [
      [1.4138601, 2.8862704, 1.4138601, 2.8862704],
      [6.3623709, 13.2768443],
      [2, 2],
    ]
    for (const [index, values] of expected.entries()) {
      expectClose(
        data(gradients[index]),
        values.map((value) => value * dy),
      )
    }
  })

  test.each([
    {
      shape: [3, 4],
      mean: [5, 5.6666665, 6.3333335, 7],
      variance: [24.666666, 14.888889, 8.222222, 4.6666665],
      y: [
        -0.805371, -0.9502233, -1.1624058, -1.3885813, -0.6040282, -0.4319197, -0.11624074, 0.46286058,
        1.4093992, 1.3821429, 1.2786462, 0.92572117,
      ],
    },
    {
      shape: [3, 2, 2],
      mean: [5.6666665, 6.3333335],
      variance: [16.88889, 10.222222],
      y: [
        -1.1355163, -1.3552775, -0.6488664, -0.7297648, -0.8921913, -0.7297648, 0.08110833, 0.5212605,
        1.5410578, 1.4595294, 1.0544081, 0.8340168,
      ],
    },
  ])(
    'the statistics of a batch of $shape, and the batch normalized with them',
    ({ shape, mean, variance, y }) => {
      const layer = batchNormalization({ momentum: 0 })
      expectClose(data(layer.apply(tf.tensor(rising, shape), { training: true }) as tf.Tensor), y)
      const [, , movingMean, movingVariance] = layer.getWeights().map(data)
      expectClose(movingMean, mean)
      expectClose(movingVariance, variance)
    },
  )

  test.each([2, 3, 4].flatMap((rank) => [0, -1].map((axis) => ({ rank, axis }))))(
    'a new layer leaves its input nearly as it is in inference: $rank axes, axis $axis',
    ({ rank, axis }) => {
      const x = tf.tensor(
        [1, 2, 3, 4, -1, -2, -3, -4, -1, -2, -3, -4, 1, 2, 3, 4].slice(0, 2 ** rank),
        times(rank, 2),
      )
      expectClose(data(batchNormalization({ axis }).apply(x) as tf.Tensor), [...data(x)], 1e-3)
    },
  )

  test('an axis whose size is not known when the layer is built is an error', () => {
    const x = tfl.input({ batchShape: [null, 2, 3] })
    expect(() => batchNormalization({ axis: 0 }).apply(x)).toThrow(
      'Axis 0 of input tensor should have a defined dimension',
    )
  })
})
