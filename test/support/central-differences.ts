/** The rounding of float64. */
const unit64 = 2 ** -53

export interface Derivative {
  readonly value: number
  /** How far the derivative may lie from it. */
  readonly tolerance: number
}

/**
 * The derivatives of `f` at `at` by central differences, `(f(x + h) - f(x - h)) / 2h`, with h = 2^-15.
 *
 * The quotient errs by `f''' h^2 / 6`, so that of the double step by four times as much: their difference
 * is three times the error, up to higher powers of h. Rounding adds that of f twice, divided by 2h: f is
 * a sum of terms whose absolute values add up to `magnitude`, each computed with at most `roundings`
 * roundings.
 */
export function centralDifferences(
  f: (x: Float64Array) => number,
  at: ArrayLike<number>,
  magnitude: number,
  roundings: number,
): Derivative[] {
  const x = Float64Array.from(at)
  const h = 2 ** -15
  const quotient = (index: number, step: number) => {
    const [before, after] = [-step, step].map((by) => f(x.with(index, x[index] + by)))
    return (after - before) / (2 * step)
  }
  return Array.from(x.keys(), (index) => {
    const value = quotient(index, h)
    const truncation = Math.abs(quotient(index, 2 * h) - value)
    return { value, tolerance: truncation + (roundings * unit64 * magnitude) / h }
  })
}
