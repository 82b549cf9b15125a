import type { Running } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'
import { aliasing, assertAliasing } from '../checks/aliasing.ts'
import { singleValueError } from '../checks/errors.ts'
import { assertWritable } from '../checks/in-flight.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { boolean, fraction, nonNegative, oneOf } from '../checks/scalars.ts'
import {
  type FloatInput,
  type FloatTensorLike,
  type FloatVector,
  outArray,
  perChannelVector,
} from '../checks/tensors.ts'
import { correctionOf, type StoredVariance, storedVariances } from '../modules/stored-variance.ts'
import { type FloatType, parameterType, type TensorData } from '../tensor/data-type.ts'
import { type Layout, valuesPerChannel } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { affineOf, inputOf, matchingValues, type ResultData, resultTensor } from './arguments.ts'
import { statisticsFor } from './batch-norm-stats.ts'
import { type FusedActivationOptions, fusedActivation } from './fused-activation.ts'
import { OverflowWarning } from './non-finite.ts'

/** Options of `batchNorm`. Vectors have one value a channel: float64 beside a float64 input, otherwise float32. */
export interface BatchNormFunctionOptions extends FusedActivationOptions {
  /** Read in eval; in training moved, in place, toward the batch's. Together with `runningVar` or not at all. */
  runningMean?: FloatVector | null
  /** The variance of `storedVariance`. */
  runningVar?: FloatVector | null
  /** Which variance moves `runningVar`. Default `'unbiased'`, as in PyTorch; see `BatchNormOptions`. */
  storedVariance?: StoredVariance
  /** gamma; none stands for ones. */
  weight?: FloatVector | null
  /** beta; none stands for zeros. */
  bias?: FloatVector | null
  /** Whether to normalize with the batch's statistics. Default false, as in PyTorch. */
  training?: boolean
  /** The weight of the new statistic. Default 0.1. */
  momentum?: number
  /** Added to the variance before its square root. Default 1e-5. */
  eps?: number
  /** Where the channel stands in a shape. Default `'channels-first'`. */
  layout?: Layout
  /** What is added after the normalization and before the activation, of the input's shape and type. */
  residual?: FloatTensorLike | null
  /** Where to write, of the input's length and type; may be the input or the residual itself. */
  out?: FloatVector
}

const names = optionNames<BatchNormFunctionOptions>({
  runningMean: true,
  runningVar: true,
  storedVariance: true,
  weight: true,
  bias: true,
  training: true,
  momentum: true,
  eps: true,
  layout: true,
  residual: true,
  out: true,
  activation: true,
  negativeSlope: true,
})

const overflowWarning = new OverflowWarning()

/**
 * `y = (x - mean) / sqrt(variance + eps) * weight + bias`: with the batch's statistics in training,
 * with the running ones in eval; and after it, in the same pass, `y = activation(y + residual)` where
 * they are asked for. An empty batch gives an empty output and changes nothing.
 *
 * @param input - float32, float64, bfloat16 or float16; parameters and running statistics are float64
 * beside a float64 input, float32 beside all others
 * @returns the output, of the input's shape and type; a view of `out` if there is one
 * @throws TypeError or RangeError for an argument that does not fit, for running statistics that are
 * missing in eval, and for one value a channel in training. After an error nothing has changed.
 */
export function batchNorm<Data extends TensorData = Float32Array>(
  input: FloatInput<Data>,
  options: BatchNormFunctionOptions = {},
): Tensor<ResultData<Data>> {
  const {
    training = false,
    momentum = 0.1,
    eps = 1e-5,
    layout,
    weight,
    bias,
    out,
  } = optionsObject(options, names)
  const { residual: added = null } = options
  const activation = fusedActivation(options)
  const given = inputOf('input', input, layout)
  const { x, extent, shape, type } = given
  const { channels } = extent
  boolean('training', training)
  fraction('momentum', momentum)
  nonNegative('eps', eps)
  const affine = affineOf(weight, bias, given)
  const residual = added === null ? null : matchingValues('residual', added, given)
  const epilogue = activation === null && residual === null ? undefined : { activation, residual }
  const running = runningOf(options, channels, type)
  const y = outArray(out, shape, x.length, type)
  assertAliasing(training ? aliasing.batchNormInTraining : aliasing.batchNorm, {
    out: y,
    input: x,
    residual,
    ...affine,
    runningMean: running?.mean,
    runningVar: running?.variance,
  })
  const { moments, statistics } = statisticsFor(given)

  if (!training) {
    if (running === null) {
      throw new TypeError(
        'Expected runningMean and runningVar in eval but received neither (give both, or training: true)',
      )
    }
    if (x.length > 0) {
      currentBackend().evalStatistics(running, eps, statistics)
      currentBackend().normalize(x, extent, statistics, affine, y, epilogue)
    }
    return resultTensor(y, given)
  }

  if (valuesPerChannel(extent) === 1) throw singleValueError(shape, 'a last batch of 1? Drop it')
  if (running) {
    assertWritable('runningMean', running.mean)
    assertWritable('runningVar', running.variance)
  }
  if (x.length > 0) {
    const settings = { eps, momentum, nonFinite: 'propagate' } as const
    const { invstd } = statistics
    const fits = currentBackend().forward(x, extent, settings, affine, running, moments, invstd, y, epilogue)
    if (!fits && running)
      overflowWarning.give(moments, { type: parameterType(type), correction: running.correction })
  }
  return resultTensor(y, given)
}

function runningOf(
  { runningMean, runningVar, storedVariance = 'unbiased' }: BatchNormFunctionOptions,
  channels: number,
  type: FloatType,
): Running | null {
  const mean = perChannelVector('runningMean', runningMean, channels, type)
  const variance = perChannelVector('runningVar', runningVar, channels, type)
  oneOf('storedVariance', storedVariance, storedVariances)
  if (mean && variance) return { mean, variance, correction: correctionOf(storedVariance) }
  if (mean === variance) return null
  const [given, lacking] = mean ? ['runningMean', 'runningVar'] : ['runningVar', 'runningMean']
  throw new TypeError(`Expected runningMean and runningVar together but received ${given} without ${lacking}`)
}
