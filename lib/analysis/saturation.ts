import { optionNames, optionsObject } from '../checks/options.ts'
import { nonNegative } from '../checks/scalars.ts'
import { float32Tensor, type TensorLike } from '../checks/tensors.ts'
import { type Activation, type ActivationFunction, activationFunction } from '../fold/activation.ts'
import { extentOf, type Layout } from '../tensor/shape.ts'
import { channelMoments } from './channel-moments.ts'

/**
 * Parts of the values, which add up to 1, by the slope |f'| there, in units of the slope that the
 * activation has where it is steepest (tanh 1, sigmoid 1/4, relu, elu, gelu and silu 1, as far right).
 */
export interface SaturationParts {
  /** Slope of at least 0.9: what passes is passed on. */
  readonly linear: number
  /** Between the others. */
  readonly curved: number
  /** Slope from 0.01 to 0.1: gradients shrink to a tenth and less. */
  readonly saturated: number
  /** Slope below 0.01: nothing is learned through it. Negative values before relu. */
  readonly dead: number
}

/** What `saturation` counts, over all values of all channels. */
export interface Saturation {
  /** Of the values as they are. */
  readonly before: SaturationParts
  /** Of the values normalized, each channel by its own mean and biased variance. */
  readonly after: SaturationParts
}

const steepest = (name: string) => (name === 'sigmoid' ? 0.25 : 1)

const names = optionNames<{ eps?: number; layout?: Layout }>({ eps: true, layout: true })

/**
 * How much of an activation's input lies where it saturates, where it is linear and where it is dead,
 * before and after normalization (gamma 1, beta 0): what batch norm before the activation changes.
 * Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html
 *
 * @param x - the values before the activation, `[N, C]`, `[N, C, L]`, ...
 * @param options - `eps`, default 1e-5; `layout`, default `'channels-first'`
 * @throws TypeError or RangeError for an activation that is not known, and an argument that does not fit
 */
export function saturation(
  activation: Activation,
  x: TensorLike,
  options: { eps?: number; layout?: Layout } = {},
): Saturation {
  const { eps = 1e-5, layout = 'channels-first' } = optionsObject(options, names)
  nonNegative('eps', eps)
  const values = float32Tensor('x', x)
  const { mean, variance } = channelMoments('x', x, layout)
  const { channels, inner } = extentOf(x.shape, layout)
  const f = activationFunction(activation, channels)
  const channelOf = (at: number) => Math.floor(at / inner) % channels
  const invstd = variance.map((each) => 1 / Math.sqrt(each + eps))
  return {
    before: partsOf(f, values, channelOf, (value) => value),
    after: partsOf(f, values, channelOf, (value, c) => (value - mean[c]) * invstd[c]),
  }
}

function partsOf(
  { name, derivative }: ActivationFunction,
  values: Float32Array,
  channelOf: (at: number) => number,
  change: (value: number, channel: number) => number,
): SaturationParts {
  const counts = { linear: 0, curved: 0, saturated: 0, dead: 0 }
  for (let at = 0; at < values.length; at++) {
    const channel = channelOf(at)
    const slope = Math.abs(derivative(change(values[at], channel), channel)) / steepest(name)
    counts[slope >= 0.9 ? 'linear' : slope >= 0.1 ? 'curved' : slope >= 0.01 ? 'saturated' : 'dead']++
  }
  const part = (count: number) => count / values.length
  const { linear, curved, saturated, dead } = counts
  return { linear: part(linear), curved: part(curved), saturated: part(saturated), dead: part(dead) }
}
