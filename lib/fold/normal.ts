/** The standard normal distribution. */

/**
 * The error function, `2 / sqrt(pi)` times the integral of `exp(-t^2)` from 0 to x, to some 1e-15: by
 * its series (Abramowitz and Stegun 7.1.6, all terms positive) up to 3, and by the continued fraction
 * of its complement (7.1.14) beyond.
 */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (size > 3) return Math.sign(x) * (1 - complement(size))
  // exp(-x^2) * (x + 2 x^3 / 3 + 4 x^5 / 15 + ...) * 2 / sqrt(pi)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** 1 - erf(x) for x > 3, to some 1e-15 of itself. */
function complement(x: number): number {
  let fraction = x
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction
  return Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI))
}

/** The part of a standard normal distribution that lies below z; its lower tail keeps its digits. */
export function normalShareBelow(z: number): number {
  const scaled = z / Math.SQRT2
  if (scaled < -3) return complement(-scaled) / 2
  return (1 + erf(scaled)) / 2
}

/** The part of a standard normal distribution that lies within `distance` of its mean: 0.683, 0.954, 0.997 for 1, 2, 3. */
export function normalShareWithin(distance: number): number {
  return erf(distance / Math.SQRT2)
}
