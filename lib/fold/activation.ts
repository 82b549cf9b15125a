/** Activations, as far as batch norm has to do with them. */
import { describe, invalidType, invalidValue } from '../checks/errors.ts'
import { optionsObject } from '../checks/options.ts'
import { float32Vector, type Vector } from '../checks/tensors.ts'
import { normalShareBelow } from './normal.ts'

/**
 * The activations that are known; the formulas are those of PyTorch's modules of these names.
 * https://pytorch.org/docs/stable/nn.html#non-linear-activations-weighted-sum-nonlinearity
 */
export type ActivationName =
  | 'identity'
  | 'relu'
  | 'leakyRelu'
  | 'prelu'
  | 'abs'
  | 'tanh'
  | 'sigmoid'
  | 'elu'
  | 'gelu'
  | 'silu'

/** A name, or a name with its settings; the defaults are PyTorch's. */
export type Activation =
  | ActivationName
  | { readonly name: Exclude<ActivationName, 'leakyRelu' | 'prelu' | 'elu'> }
  | { readonly name: 'leakyRelu' /** Default 0.01. */; readonly negativeSlope?: number }
  | {
      readonly name: 'prelu' /** One slope, or one a channel. Default 0.25. */
      readonly weight?: number | Vector
    }
  | { readonly name: 'elu' /** Default 1. */; readonly alpha?: number }

/** What an activation is, at any value of channel `channel`. */
export interface ActivationFunction {
  readonly name: ActivationName
  /** Positively homogeneous: f(a z) = a f(z) for every a > 0. */
  readonly isHomogeneous: boolean
  value(z: number, channel: number): number
  derivative(z: number, channel: number): number
}

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))
const density = (z: number) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)

type Formula = Pick<ActivationFunction, 'value' | 'derivative'>

const formulas: Record<Exclude<ActivationName, 'leakyRelu' | 'prelu' | 'elu'>, Formula> = {
  identity: { value: (z) => z, derivative: () => 1 },
  relu: { value: (z) => Math.max(z, 0), derivative: (z) => (z > 0 ? 1 : 0) },
  abs: { value: Math.abs, derivative: Math.sign },
  tanh: { value: Math.tanh, derivative: (z) => 1 - Math.tanh(z) ** 2 },
  sigmoid: { value: sigmoid, derivative: (z) => sigmoid(z) * sigmoid(-z) },
  // https://arxiv.org/abs/1606.08415
  gelu: {
    value: (z) => z * normalShareBelow(z),
    derivative: (z) => normalShareBelow(z) + z * density(z),
  },
  silu: {
    value: (z) => z * sigmoid(z),
    derivative: (z) => sigmoid(z) * (1 + z * sigmoid(-z)),
  },
}

const homogeneous: readonly ActivationName[] = ['identity', 'relu', 'leakyRelu', 'prelu', 'abs']
/** The setting of each activation that has one. */
const settingOf = { leakyRelu: 'negativeSlope', prelu: 'weight', elu: 'alpha' } as const
const names: readonly string[] = [...Object.keys(formulas), ...Object.keys(settingOf)]

/**
 * @param channels - how many channels a `prelu` may have slopes for
 * @throws TypeError or RangeError for a name or a setting that is not known
 */
export function activationFunction(activation: Activation, channels?: number): ActivationFunction {
  const settings = typeof activation === 'string' ? { name: activation } : activation
  const name = settings?.name
  if (!names.includes(name)) {
    const expected = `one of ${names.join(', ')}`
    throw typeof name === 'string'
      ? invalidValue('activation', expected, name)
      : invalidType('activation', expected, activation)
  }
  const setting = name in settingOf ? [settingOf[name as keyof typeof settingOf]] : []
  optionsObject(settings, new Set(['name', ...setting]), 'activation')
  const isHomogeneous = homogeneous.includes(name)
  return { name, isHomogeneous, ...formulaOf(settings, channels) }
}

function formulaOf(
  settings: Exclude<Activation, string> | { name: ActivationName },
  channels?: number,
): Formula {
  switch (settings.name) {
    case 'leakyRelu': {
      const slope = finite(
        'activation.negativeSlope',
        (settings as { negativeSlope?: number }).negativeSlope ?? 0.01,
      )
      return twoSlopes(() => slope)
    }
    case 'prelu': {
      const weight = (settings as { weight?: number | Vector }).weight ?? 0.25
      if (typeof weight === 'number') {
        const slope = finite('activation.weight', weight)
        return twoSlopes(() => slope)
      }
      const slopes = float32Vector(
        'activation.weight',
        weight,
        channels ?? slopeCount(weight),
      ) as Float32Array
      return twoSlopes((channel) => slopes[channel])
    }
    case 'elu': {
      // https://arxiv.org/abs/1511.07289
      const alpha = finite('activation.alpha', (settings as { alpha?: number }).alpha ?? 1)
      return {
        value: (z) => (z > 0 ? z : alpha * Math.expm1(z)),
        derivative: (z) => (z > 0 ? 1 : alpha * Math.exp(z)),
      }
    }
    default:
      return formulas[settings.name]
  }
}

function twoSlopes(slope: (channel: number) => number): Formula {
  return {
    value: (z, channel) => (z > 0 ? z : z * slope(channel)),
    derivative: (z, channel) => (z > 0 ? 1 : slope(channel)),
  }
}

function slopeCount(weight: Vector): number {
  return 'data' in weight ? weight.data.length : weight.length
}

function finite(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a finite number', value)
  if (!Number.isFinite(value)) throw invalidValue(name, 'a finite number', value)
  return value
}

/** For a message: `'relu'`, or what it is instead. */
export function describeActivation(activation: unknown): string {
  const name = (activation as { name?: unknown } | null)?.name
  return describe(typeof activation === 'object' && typeof name === 'string' ? name : activation)
}
