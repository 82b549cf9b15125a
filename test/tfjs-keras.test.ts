/**
 * `useNativeBatchNormalization`: models as the converter of Keras models writes them. TensorFlow.js 4.22 reads no
 * `batch_shape` and no `__keras_tensor__`, so the models of Keras 3 have the input layer of Keras 2.
 */
import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BatchNormalization, useNativeBatchNormalization } from '../lib/interop/tfjs/index.ts'
import { Random } from './support/random.ts'

beforeAll(async () => {
  await tf.setBackend('cpu')
})
beforeEach(() => useNativeBatchNormalization())
afterEach(() => useNativeBatchNormalization(false))

const channels = 3
const inputShape = [null, 4, 4, channels]

function normals(length: number, seed: number): Float32Array {
  const random = new Random(seed)
  return Float32Array.from({ length }, () => random.normal())
}

const plain = (class_name: string, config = {}) => ({ class_name, config })
const keras3 = (class_name: string, config = {}, module = 'keras.initializers') => ({
  module,
  class_name,
  config,
  registered_name: null,
})
const policy = (name: string) => keras3('DTypePolicy', { name }, 'keras')

const common = (made: typeof plain) => ({
  name: 'bn',
  trainable: true,
  momentum: 0.9,
  epsilon: 0.01,
  center: true,
  scale: true,
  beta_initializer: made('Zeros'),
  gamma_initializer: made('Ones'),
  moving_mean_initializer: made('Zeros'),
  moving_variance_initializer: made('Ones'),
  beta_regularizer: null,
  gamma_regularizer: null,
  beta_constraint: null,
  gamma_constraint: null,
})

const off = { synchronized: false, renorm: false, renorm_clipping: null, renorm_momentum: 0.99 }

const configs = [
  { title: 'Keras 2', config: { ...common(plain), dtype: 'float32', axis: [3] } },
  { title: 'Keras 2, axis as a number', config: { ...common(plain), dtype: 'float32', axis: -1 } },
  {
    title: 'TensorFlow 1.13',
    config: { ...common(plain), dtype: 'float32', axis: [3], fused: true, virtual_batch_size: null },
  },
  {
    title: 'a mixed policy of Keras 2',
    config: { ...common(plain), dtype: plain('Policy', { name: 'mixed_float16' }), axis: [3] },
  },
  { title: 'Keras 3', config: { ...common(keras3), ...off, dtype: policy('float32'), axis: -1 } },
  {
    title: 'Keras 3 on several replicas',
    config: { ...common(keras3), ...off, synchronized: true, dtype: policy('float32'), axis: -1 },
  },
  { title: 'Keras 3 in bfloat16', config: { ...common(keras3), dtype: policy('mixed_bfloat16'), axis: 3 } },
  {
    title: 'with a regularizer and a constraint',
    config: {
      ...common(plain),
      axis: [3],
      gamma_regularizer: plain('L1L2', { l1: 0, l2: 0.5 }),
      gamma_constraint: plain('NonNeg'),
      gamma_initializer: plain('RandomUniform', { minval: 0, maxval: 1, seed: null }),
    },
  },
] as const

const input = {
  class_name: 'InputLayer',
  config: { batch_input_shape: inputShape, dtype: 'float32', name: 'x' },
  name: 'x',
}

const sequential = (config: object) => ({
  class_name: 'Sequential',
  config: {
    name: 'sequential',
    layers: [input, { class_name: 'BatchNormalization', config, build_config: { input_shape: inputShape } }],
  },
})

const functional = (config: object) => ({
  class_name: 'Functional',
  config: {
    name: 'model',
    trainable: true,
    layers: [
      { ...input, inbound_nodes: [] },
      { class_name: 'BatchNormalization', config, name: 'bn', inbound_nodes: [[['x', 0, 0, {}]]] },
    ],
    input_layers: [['x', 0, 0]],
    output_layers: [['bn', 0, 0]],
  },
})

/** Keras 2 names weights, the converter of Keras 3 counts them. */
const weightNames = {
  named: ['bn/gamma', 'bn/beta', 'bn/moving_mean', 'bn/moving_variance'],
  counted: ['bn/0', 'bn/1', 'bn/2', 'bn/3'],
}

/** gamma, beta, mean and variance; gamma and the variance above 0. */
const weights = [1, 2, 3, 4].map((seed) => {
  const values = normals(channels, seed)
  return seed === 1 || seed === 4 ? values.map((value) => Math.abs(value) + 0.1) : values
})

function load(model_config: object, names: readonly string[] = weightNames.named): Promise<tfl.LayersModel> {
  const modelTopology = JSON.parse(
    JSON.stringify({ keras_version: '2.13.1', backend: 'tensorflow', model_config }),
  )
  const weightSpecs = names.map((name) => ({ name, shape: [channels], dtype: 'float32' as const }))
  const weightData = Float32Array.from(weights.flatMap((values) => [...values])).buffer
  return tfl.loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }))
}

/** Predictions, then a step of training and the weights after it. */
async function resultsOf(model: tfl.LayersModel): Promise<number[][]> {
  const x = tf.tensor(normals(5 * 4 * 4 * channels, 11), [5, 4, 4, channels])
  const predicted = model.predict(x) as tf.Tensor
  model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' })
  const loss = await model.trainOnBatch(x, tf.zerosLike(x))
  return [
    [...predicted.dataSync()],
    [loss].flat(),
    ...model.getWeights().map((weight) => [...weight.dataSync()]),
  ]
}

describe.each(configs)('a BatchNormalization of $title', ({ config }) => {
  test.each([
    { model: sequential, names: weightNames.named },
    { model: sequential, names: weightNames.counted },
    { model: functional, names: weightNames.named },
  ])('is built as this layer, and gives what that of tf.layers gives: %#', async ({ model, names }) => {
    const ours = await load(model(config), names)
    expect(ours.layers[1]).toBeInstanceOf(BatchNormalization)
    expect(ours.layers[1].getConfig()).toMatchObject({ name: 'bn', momentum: 0.9, epsilon: 0.01 })
    expect(ours.layers[1].getWeights().map((weight) => weight.dataSync())).toEqual(weights)

    useNativeBatchNormalization(false)
    const theirs = await load(model(config), names)
    expect(theirs.layers[1]).not.toBeInstanceOf(BatchNormalization)
    const [actual, expected] = [await resultsOf(ours), await resultsOf(theirs)]
    for (const [index, values] of actual.entries()) {
      const largest = Math.max(1, ...expected[index].map(Math.abs))
      for (const [at, value] of values.entries()) {
        expect(Math.abs(value - expected[index][at])).toBeLessThanOrEqual(2e-6 * largest)
      }
    }
  })
})

test('a model is saved under the name it had, so that tf.layers reads it too', async () => {
  const model = await load(functional(configs[0].config))
  const topology = JSON.parse(model.toJSON() as string)
  expect(topology.config.layers[1].class_name).toBe('BatchNormalization')

  const again = await tfl.models.modelFromJSON(JSON.parse(JSON.stringify(topology)))
  expect(again.layers[1]).toBeInstanceOf(BatchNormalization)
  expect(again.layers[1].getConfig()).toEqual(model.layers[1].getConfig())
  useNativeBatchNormalization(false)
  expect((await tfl.models.modelFromJSON(topology)).layers[1].constructor).toBe(
    tfl.layers.batchNormalization().constructor,
  )
})

test('a frozen layer stays frozen', async () => {
  const model = await load(sequential({ ...configs[0].config, trainable: false }))
  const x = tf.ones([2, 4, 4, channels])
  const [training, inference] = [true, false].map((training) => model.apply(x, { training }) as tf.Tensor)
  expect(training.dataSync()).toEqual(inference.dataSync())
  expect(model.layers[1].getWeights().map((weight) => weight.dataSync())).toEqual(weights)
})

test.each([
  [{ renorm: true }, 'Expected renorm to be off: this layer does not have it, but received true'],
  [
    { virtual_batch_size: 8 },
    'Expected virtualBatchSize to be off: this layer does not have it, but received 8',
  ],
  [{ axis: [1, 2] }, 'Expected axis to be an integer but received [1, 2]'],
  [{ momentum: '0.9' }, "Expected momentum to be a number from 0 to 1 but received '0.9'"],
  [{ dtype: 'int32' }, "Expected dtype to be one of float32 but received 'int32'"],
  [{ groups: 2 }, "but received 'groups'"],
])('%o cannot be read', async (other, message) => {
  await expect(load(sequential({ ...configs[0].config, ...other }))).rejects.toThrow(message)
})

test('use that is no boolean is a TypeError', () => {
  expect(() => useNativeBatchNormalization('no' as never)).toThrow(
    new TypeError("Expected use to be true or false but received 'no'"),
  )
})
