/**
 * What a backend can do. The native addon and the TypeScript backend implement this interface in
 * the same words and give the same bits; nothing above it knows which of them runs.
 *
 * Every input is seen as `(outer, channels, inner)`: element (o, c, i) lies at
 * `(o * channels + c) * inner + i`. A backend trusts its caller: `lib/checks/tensors.ts` has checked
 * shapes, types and aliasing before.
 */
import type { HalfType } from '../tensor/half.ts'

/**
 * The values of a batch: float32, float64, or the bits of bfloat16 or float16 (`Extent.half` says
 * which). All of a call have one type, the output's and the gradients' too. Halves are widened to
 * float32, which is exact, computed with as float32 is, and rounded once, to nearest even, where they
 * are stored.
 */
export type Values = Float32Array | Float64Array | Uint16Array

/** One number a channel, of a parameter or a running buffer: float64 beside float64 values, otherwise float32. */
export type PerChannel = Float32Array | Float64Array

/** A shape reduced to its three sizes: samples before the channel, channels, positions after it. */
export interface Extent {
  readonly outer: number
  readonly channels: number
  readonly inner: number
  /** What the values are where they are a `Uint16Array`. */
  readonly half?: HalfType
}

/**
 * The numbers of each channel that a forward leaves for its backward: parts of one array, `whole`, which the
 * addon takes in their place, because each array that it looks at costs 51 ns.
 */
export interface ChannelNumbers {
  readonly whole: Float64Array
  readonly mean: Float64Array
  readonly m2: Float64Array
  readonly meanLow: Float64Array
  readonly invstd: Float64Array
}

/** Count, mean and M2 (the sum of squared deviations from the mean) of each channel. */
export interface ChannelMoments {
  count: number
  readonly mean: Float64Array
  readonly m2: Float64Array
  /**
   * The low part of the mean: `mean + meanLow` is right to twice float64's digits, so that
   * an offset does not show in the output, of millions of float32 rows neither. Without it the mean is as
   * good as a float64.
   */
  readonly meanLow?: Float64Array
  /** What these are parts of, if they are. */
  readonly numbers?: ChannelNumbers
}

/** What normalizes: mean and `invstd = 1 / sqrt(variance + eps)` of each channel. */
export interface Statistics {
  readonly mean: Float64Array
  readonly invstd: Float64Array
  /** As that of `ChannelMoments`; none stands for zeros. */
  readonly meanLow?: Float64Array
  /** What these are parts of, if they are. */
  readonly numbers?: ChannelNumbers
}

/** gamma and beta; `null` stands for all ones and all zeros. */
export interface Affine {
  readonly weight: PerChannel | null
  readonly bias: PerChannel | null
}

/** The running buffers. */
export interface Running {
  readonly mean: PerChannel
  readonly variance: PerChannel
  /** What is taken off n under M2 in the variance that moves them: 1, the unbiased one, or 0, the biased one. */
  readonly correction: 0 | 1
}

/** `relu(z)` is 0 where z < 0, `leakyRelu(z)` is `z * negativeSlope` there; both are z otherwise. */
export interface KernelActivation {
  readonly name: 'relu' | 'leakyRelu'
  /** Of leakyRelu, at least 0, rounded to the type that is computed in; relu does not read it. */
  readonly negativeSlope: number
}

/** What follows the normalization in the same pass: `y = activation(bn(x) + residual)`. */
export interface Epilogue<Elements extends Values = Values> {
  readonly activation: KernelActivation | null
  /** Like x; may be y too. */
  readonly residual: Elements | null
}

/** An activation and what came out of it: the sign of the output tells where its gradient goes. */
export interface Activated<Elements extends Values = Values> {
  readonly activation: KernelActivation
  readonly output: Elements
}

/** Where `backward` writes (it does not add); `null` means: not wanted. */
export interface Gradients<Elements extends Values = Values> {
  readonly input: Elements | null
  readonly weight: PerChannel | null
  readonly bias: PerChannel | null
  /**
   * gradZ, the gradient of `bn(x) + residual`, where an activation followed; without one it is
   * gradOutput itself, and nothing is written here.
   */
  readonly residual?: Elements | null
}

/** The sums over a channel that the gradients are made of, in float64. */
export interface GradientSums {
  /** Of gradZ: the gradient of the bias. */
  readonly gradient: Float64Array
  /** Of gradZ * xhat: the gradient of the weight. */
  readonly product: Float64Array
}

/** What to do with a batch whose statistics are not finite, or do not fit the running buffers' type. */
export type NonFinite = 'propagate' | 'skip' | 'throw'

export interface ForwardSettings {
  readonly eps: number
  /** The weight of the new statistic; not read when `running` is `null`. */
  readonly momentum: number
  readonly nonFinite: NonFinite
}

export interface Backend {
  readonly name: 'native' | 'typescript'

  /** Count, mean and M2 of each channel of `x`. */
  statistics(x: Values, extent: Extent, moments: ChannelMoments): void

  /** Merges `from` into `into` (Chan, Golub and LeVeque 1979). */
  merge(into: ChannelMoments, from: ChannelMoments): void

  /** `running = (1 - momentum) * running + momentum * batch`, the variance M2 / (n - correction). */
  updateRunning(running: Running, moments: ChannelMoments, momentum: number): void

  /** The statistics of eval mode: the running mean, and `1 / sqrt(running variance + eps)`. */
  evalStatistics(running: Omit<Running, 'correction'>, eps: number, statistics: Statistics): void

  /** `y = activation((x - mean) * invstd * weight + bias + residual)`. `y` may be `x` or the residual. */
  normalize(
    x: Values,
    extent: Extent,
    statistics: Statistics,
    affine: Affine,
    y: Values,
    epilogue?: Epilogue,
  ): void

  /**
   * Forward in training: `statistics`, `updateRunning` and `normalize` in one call. Returns whether
   * every statistic is finite and fits the running buffers' type. If not: `propagate` goes on all the
   * same, `skip` leaves `running` alone, `throw` leaves `running` and `y` alone (the caller throws);
   * `moments` and `invstd` are always filled.
   */
  forward(
    x: Values,
    extent: Extent,
    settings: ForwardSettings,
    affine: Affine,
    running: Running | null,
    moments: ChannelMoments,
    invstd: Float64Array,
    y: Values,
    epilogue?: Epilogue,
  ): boolean

  /**
   * Gradients of `normalize`. With `training` the statistics are those of `x` and the gradient
   * flows through them; without, they are constants and the gradient of the input is
   * `gradZ * invstd * weight`. gradZ is gradOutput, or after an activation what it lets through of
   * that, told by the sign of its output. `gradients.input` may be `gradOutput`, `x` or the output, and so may
   * `gradients.residual`, but not both the same.
   */
  backward(
    gradOutput: Values,
    x: Values,
    extent: Extent,
    statistics: Statistics,
    weight: PerChannel | null,
    training: boolean,
    gradients: Gradients,
    activated?: Activated,
  ): void

  /** The first half of `backward`: the sums that it makes the gradients of, before they are rounded. */
  gradientSums(
    gradOutput: Values,
    x: Values,
    extent: Extent,
    statistics: Statistics,
    sums: GradientSums,
    activated?: Activated,
  ): void

  /**
   * The second half of `backward` in training: `gradients.input` and `gradients.residual`, with sums
   * over `count` values a channel, of which `x` may be a part.
   */
  inputGradient(
    gradOutput: Values,
    x: Values,
    extent: Extent,
    statistics: Statistics,
    weight: PerChannel | null,
    sums: GradientSums,
    count: number,
    gradients: Pick<Gradients, 'input' | 'residual'>,
    activated?: Activated,
  ): void

  /**
   * Those that take long, on another thread where the backend has one. Until the promise is settled every array
   * is in use.
   */
  statisticsAsync(...call: Parameters<Backend['statistics']>): Promise<void>
  normalizeAsync(...call: Parameters<Backend['normalize']>): Promise<void>
  forwardAsync(...call: Parameters<Backend['forward']>): Promise<boolean>
  backwardAsync(...call: Parameters<Backend['backward']>): Promise<void>
  gradientSumsAsync(...call: Parameters<Backend['gradientSums']>): Promise<void>
  inputGradientAsync(...call: Parameters<Backend['inputGradient']>): Promise<void>
}
