/** What an operation is tried on, and what it gives. */
import type {
  Backend,
  ChannelMoments,
  Epilogue,
  Extent,
  KernelActivation,
  PerChannel,
  Running,
  Statistics,
  Values,
} from '../../../lib/backend/backend.ts'
import { typescriptBackend } from '../../../lib/backend/typescript/index.ts'
import type { FloatType } from '../../../lib/tensor/data-type.ts'
import { type Kind, valuesOfType } from '../data.ts'
import { guarded } from '../guarded.ts'
import { Random } from '../random.ts'

/** What the arrays of an input are made from. */
export interface Recipe {
  readonly type: FloatType
  readonly extent: Extent
  readonly kind: Kind
  readonly gradientKind: Kind
  readonly seed: number
  readonly eps: number
  readonly momentum: number
  /** How many elements the arrays start off their buffers' alignment. */
  readonly offset: number
}

export interface Inputs extends Recipe {
  readonly x: Values
  readonly gradOutput: Values
  readonly weight: PerChannel
  readonly bias: PerChannel
  readonly running: Running
  /** The statistics of `x`, by the specification, so that a difference stays where it arises. */
  readonly moments: ChannelMoments
  readonly statistics: Statistics
  readonly activation: KernelActivation
  readonly residual: Values
  /** What might have come out of the activation. */
  readonly activated: Values
}

/** What an operation wrote or returned, by name. */
export type Results = Record<string, Values>

export type Operation = (backend: Backend, inputs: Inputs) => Results

const activations: readonly KernelActivation[] = [
  { name: 'relu', negativeSlope: 0 },
  { name: 'leakyRelu', negativeSlope: 0.01 },
  { name: 'leakyRelu', negativeSlope: 0 },
  { name: 'relu', negativeSlope: Number.NaN },
  { name: 'leakyRelu', negativeSlope: 1.7 },
]

export function inputsOf(recipe: Recipe): Inputs {
  const { type, kind, gradientKind, seed, eps, offset } = recipe
  const half = type === 'bfloat16' || type === 'float16' ? type : undefined
  const extent = { ...recipe.extent, half }
  const { channels } = extent
  const random = new Random(seed)
  const Numbers = type === 'float64' ? Float64Array : Float32Array
  const perChannel = (value: () => number): PerChannel =>
    guarded<PerChannel>(new Numbers(channels).map(value), offset)
  const like = (ofKind: Kind, index: number) =>
    guarded(valuesOfType(type, ofKind, extent, seed + index), offset + index)

  const x = like(kind, 0)
  const moments = emptyMoments(recipe)
  typescriptBackend.statistics(x, extent, moments)
  const invstd = guarded(moments.m2.map((m2) => 1 / Math.sqrt(m2 / moments.count + eps)))
  return {
    ...recipe,
    extent,
    x,
    gradOutput: like(gradientKind, 1),
    weight: perChannel(() => random.normal()),
    bias: perChannel(() => random.normal()),
    running: {
      mean: perChannel(() => random.normal()),
      variance: perChannel(() => (random.below(16) === 0 ? 0 : random.uniform())),
      correction: seed % 2 === 0 ? 1 : 0,
    },
    moments,
    statistics: { mean: moments.mean, invstd, meanLow: moments.meanLow },
    activation: activations[Math.abs(seed) % activations.length],
    residual: like(gradientKind, 2),
    activated: like('rectified', 3),
  }
}

/** The epilogue of an input: its activation, its residual, or both. */
export function epilogueOf(inputs: Inputs, parts: 'activation' | 'residual' | 'both'): Epilogue {
  return {
    activation: parts === 'residual' ? null : inputs.activation,
    residual: parts === 'activation' ? null : inputs.residual,
  }
}

/** ChannelMoments of no values yet: for float64 values, with what the mean loses. */
export function emptyMoments({ type, extent: { channels } }: Recipe): ChannelMoments {
  const array = () => guarded(new Float64Array(channels))
  return { count: 0, mean: array(), m2: array(), ...(type === 'float64' && { meanLow: array() }) }
}

export function copyOfRunning({ running, offset }: Inputs): Running {
  const { mean, variance, correction } = running
  return { mean: guarded(mean, offset), variance: guarded(variance, offset), correction }
}

/** A number among the results. */
export function single(value: number): Float64Array {
  return guarded(Float64Array.of(value))
}

export function ofMoments({ count, numbers, ...arrays }: ChannelMoments): Results {
  return { count: single(count), ...arrays }
}

export function ofRunning({ mean, variance }: Running): Results {
  return { runningMean: mean, runningVariance: variance }
}
