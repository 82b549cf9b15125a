import * as tf from '@tensorflow/tfjs-core'
import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { type BatchNorm, BatchNorm1d, type Layer, Tensor, type TensorLike } from '../../lib/index.ts'
import { BatchNormalization, batchNormalization } from '../../lib/interop/tfjs/index.ts'
import { dense } from '../training/dense.ts'

export type HiddenActivation = 'relu' | 'tanh'

/** A stack of dense layers, and what stands between two of them: batch norm, then an activation. */
export interface Architecture {
  /** Of the inputs, of each hidden layer, and of the classes. */
  readonly sizes: readonly number[]
  readonly batchNorm: 'with gamma' | 'without gamma' | 'none'
  readonly activation: HiddenActivation | 'none'
}

/**
 * A network as this library sees it. Between two of `linears` stand a batch norm, if there are any,
 * and the activation.
 */
export interface Network {
  readonly linears: readonly Layer[]
  /** One for each hidden layer, or none at all. */
  readonly batchNorms: readonly BatchNorm[]
  readonly activation: HiddenActivation | 'none'
}

const activations = { relu: tf.relu, tanh: tf.tanh }

/** PyTorch's defaults: a momentum of 0.1 for the new statistic is one of 0.9 for the old. */
const BATCH_NORM_ARGS = { momentum: 0.9, epsilon: 1e-5 }

/**
 * The same sizes and the same seed give the dense layers the same weights, whatever is between them.
 *
 * @param normalization - makes the batch norm after a hidden layer of `units`
 */
export function createModel(
  { sizes, batchNorm, activation }: Architecture,
  seed: number,
  normalization: (units: number) => layers.Layer = () =>
    batchNormalization({ ...BATCH_NORM_ARGS, scale: batchNorm === 'with gamma' }),
): Sequential {
  const random = xoroshiro128plus(seed)
  const model = sequential()
  const last = sizes.length - 2
  for (let layer = 0; layer <= last; layer++) {
    model.add(dense(sizes[layer], sizes[layer + 1], random))
    if (layer === last) break
    if (batchNorm !== 'none') model.add(normalization(sizes[layer + 1]))
    if (activation !== 'none') model.add(layers.activation({ activation }))
  }
  return model
}

/** The trained network in this library's own terms: plain weights, and modules in eval mode. */
export function networkOf(model: Sequential, { activation }: Architecture): Network {
  const batchNorms = model.layers.filter((layer) => layer instanceof BatchNormalization)
  const linears = model.layers.filter((layer) => layer.getClassName() === 'Dense')
  return { linears: linears.map(linearOf), batchNorms: batchNorms.map(batchNormOf), activation }
}

/** TensorFlow.js keeps the weight as [inputs, units], PyTorch and this library as [units, inputs]. */
function linearOf(layer: layers.Layer): Layer {
  const [kernel, bias] = layer.getWeights()
  return { weight: released(tf.transpose(kernel)), bias: copyOf(bias) }
}

function batchNormOf(layer: BatchNormalization): BatchNorm {
  const { epsilon, gamma, beta, movingMean, movingVariance } = layer
  const mean = movingMean.read()
  const batchNorm = new BatchNorm1d(mean.size, { eps: epsilon, scale: gamma !== undefined }).eval()
  batchNorm.loadStateDict(
    {
      ...(gamma && { weight: copyOf(gamma.read()) }),
      ...(beta && { bias: copyOf(beta.read()) }),
      running_mean: copyOf(mean),
      running_var: copyOf(movingVariance.read()),
    },
    { strict: false },
  )
  return batchNorm
}

/** What `network` makes of `inputs`, [count, features], in float32: a row of logits for each of them. */
export function run({ linears, batchNorms, activation }: Network, inputs: TensorLike): Tensor {
  return linears.slice(1).reduce(
    (before, linear, layer) => {
      const normalized = batchNorms[layer]?.forward(before) ?? before
      return multiply(linear, activation === 'none' ? normalized : activate(activation, normalized))
    },
    multiply(linears[0], inputs),
  )
}

function activate(activation: HiddenActivation, { data, shape }: TensorLike): Tensor {
  return released(tf.tidy(() => activations[activation](tf.tensor(data, [...shape]))))
}

/** What `linear` makes of the rows of `inputs`. */
export function multiply({ weight, bias }: Layer, inputs: TensorLike): Tensor {
  const matrixOf = (tensor: TensorLike) => tf.tensor2d(tensor.data, tensor.shape as [number, number])
  const shift = bias && ('data' in bias ? bias.data : bias)
  const sums = tf.tidy(() => {
    const product = tf.matMul(matrixOf(inputs), matrixOf(weight), false, true)
    return shift ? tf.add(product, tf.tensor1d(shift)) : product
  })
  return released(sums)
}

/** A copy: the memory of a tensor of TensorFlow.js is used again. */
function copyOf(tensor: tf.Tensor): Tensor {
  return new Tensor(tensor.dataSync<'float32'>().slice(), tensor.shape)
}

/** A copy of a tensor that nobody needs any more. */
function released(tensor: tf.Tensor): Tensor {
  const copy = copyOf(tensor)
  tensor.dispose()
  return copy
}

/** The index of the largest logit of each row. */
export function classesOf({ data, shape: [count, classes] }: TensorLike): Int32Array {
  return Int32Array.from({ length: count }, (_, row) => {
    const logits = data.subarray(row * classes, (row + 1) * classes)
    return logits.indexOf(logits.reduce((largest, logit) => Math.max(largest, logit)))
  })
}

/** The share of the rows whose largest logit is that of their class. */
export function accuracyOf(logits: TensorLike, labels: Int32Array): number {
  const told = classesOf(logits)
  return labels.filter((label, row) => label === told[row]).length / labels.length
}

/** The largest size of a value. */
export function largestOf(values: Float32Array | readonly number[]): number {
  let largest = 0
  for (const value of values) largest = Math.max(largest, Math.abs(value))
  return largest
}
