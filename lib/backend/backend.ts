/**
 * What a backend can do. The native addon and the TypeScript backend implement this interface in
 * the same words and give the same bits; nothing above it knows which of them runs.
 *
 * Every input is seen as `(outer, channels, inner)`: element (o, c, i) lies at
 * `(o * channels + c) * inner + i`. A backend trusts its caller: `lib/validate.ts` has checked
 * shapes, types and aliasing before.
 */

/** A shape reduced to its three sizes: samples before the channel, channels, positions after it. */
export interface Extent {
  readonly outer: number
  readonly channels: number
  readonly inner: number
}

/** Count, mean and M2 (the sum of squared deviations from the mean) of each channel. */
export interface Moments {
  count: number
  readonly mean: Float64Array
  readonly m2: Float64Array
}

/** What normalizes: mean and `invstd = 1 / sqrt(variance + eps)` of each channel. */
export interface Statistics {
  readonly mean: Float64Array
  readonly invstd: Float64Array
}

/** gamma and beta; `null` stands for all ones and all zeros. */
export interface Affine {
  readonly weight: Float32Array | null
  readonly bias: Float32Array | null
}

/** The running buffers: the mean, and the unbiased variance. */
export interface Running {
  readonly mean: Float32Array
  readonly variance: Float32Array
}

/** Where `backward` writes (it does not add); `null` means: not wanted. */
export interface Gradients {
  readonly input: Float32Array | null
  readonly weight: Float32Array | null
  readonly bias: Float32Array | null
}

/** What to do with a batch whose statistics are not finite, or do not fit float32. */
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
  statistics(x: Float32Array, extent: Extent, moments: Moments): void

  /** Merges `from` into `into` (Chan, Golub and LeVeque 1979). */
  merge(into: Moments, from: Moments): void

  /** `running = (1 - momentum) * running + momentum * batch`, the variance with n / (n - 1). */
  updateRunning(running: Running, moments: Moments, momentum: number): void

  /** The statistics of eval mode: the running mean, and `1 / sqrt(running variance + eps)`. */
  evalStatistics(running: Running, eps: number, statistics: Statistics): void

  /** `y = (x - mean) * invstd * weight + bias`. `y` may be `x`. */
  normalize(x: Float32Array, extent: Extent, statistics: Statistics, affine: Affine, y: Float32Array): void

  /**
   * Forward in training: `statistics`, `updateRunning` and `normalize` in one call. Returns whether
   * every statistic is finite and fits float32. If not: `propagate` goes on all the same, `skip`
   * leaves `running` alone, `throw` leaves `running` and `y` alone (the caller throws);
   * `moments` and `invstd` are always filled.
   */
  forward(
    x: Float32Array,
    extent: Extent,
    settings: ForwardSettings,
    affine: Affine,
    running: Running | null,
    moments: Moments,
    invstd: Float64Array,
    y: Float32Array,
  ): boolean

  /**
   * Gradients of `normalize`. With `training` the statistics are those of `x` and the gradient
   * flows through them; without, they are constants and the gradient of the input is
   * `gradOutput * invstd * weight`. `gradients.input` may be `gradOutput` or `x`.
   */
  backward(
    gradOutput: Float32Array,
    x: Float32Array,
    extent: Extent,
    statistics: Statistics,
    weight: Float32Array | null,
    training: boolean,
    gradients: Gradients,
  ): void

  /**
   * The three that take long, on another thread where the backend has one. Until the promise is
   * settled every array is in use.
   */
  normalizeAsync(...call: Parameters<Backend['normalize']>): Promise<void>
  forwardAsync(...call: Parameters<Backend['forward']>): Promise<boolean>
  backwardAsync(...call: Parameters<Backend['backward']>): Promise<void>
}
