import { optionNames, optionsObject } from '../checks/options.ts'
import { nonNegative, positiveInteger } from '../checks/scalars.ts'
import { float32Tensor, type TensorLike } from '../checks/tensors.ts'
import { normalShareWithin } from '../fold/normal.ts'

/** What `outputRange` says of normalized values, which are in units of the standard deviation. */
export interface OutputRange {
  /** No |xhat| exceeds it. */
  readonly bound: number
  /** The parts of a standard normal distribution within 1, 2 and 3: 68 - 95 - 99.7 %. */
  readonly normalShares: readonly [number, number, number]
  /** The parts of `xhat` within 1, 2 and 3; `null` without it. */
  readonly shares: readonly [number, number, number] | null
}

const names = optionNames<{ eps?: number; variance?: number; xhat?: TensorLike }>({
  eps: true,
  variance: true,
  xhat: true,
})

/**
 * How far from 0 a normalized value can be. Of n values none lies more than sqrt(n - 1) biased
 * standard deviations from their mean (Samuelson 1968, https://doi.org/10.1080/01621459.1968.10480944),
 * which one value that differs from n - 1 equal ones attains; with eps > 0 a little less:
 *
 *     |xhat| <= sqrt(n - 1) * sqrt(variance / (variance + eps))
 *
 * @param n - values of a channel in the batch: N, or N times L
 * @param options - `eps`, default 0; `variance`, the batch's biased one, default 1; `xhat`, normalized
 * values (gamma 1, beta 0), whose shares are counted
 * @throws TypeError or RangeError for an argument that does not fit
 */
export function outputRange(
  n: number,
  options: { eps?: number; variance?: number; xhat?: TensorLike } = {},
): OutputRange {
  const { eps = 0, variance = 1, xhat } = optionsObject(options, names)
  positiveInteger('n', n)
  nonNegative('eps', eps)
  nonNegative('variance', variance)
  const shrink = variance === 0 ? 0 : Math.sqrt(variance / (variance + eps))
  return {
    bound: Math.sqrt(n - 1) * shrink,
    normalShares: [normalShareWithin(1), normalShareWithin(2), normalShareWithin(3)],
    shares: xhat === undefined ? null : sharesWithin(float32Tensor('xhat', xhat)),
  }
}

/** The parts of the values within 1, 2 and 3 of 0. */
function sharesWithin(values: Float32Array): readonly [number, number, number] {
  const within = (distance: number) =>
    values.reduce((count, value) => count + (Math.abs(value) <= distance ? 1 : 0), 0) / values.length
  return [within(1), within(2), within(3)]
}
