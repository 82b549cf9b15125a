import type { Affine, Extent, Statistics } from '../backend.ts'

/**
 * `y = (x - mean) * scale + shift`, each operation rounded to float32, where
 * `scale = weight * invstd` and `shift = bias - (mean - float32(mean)) * scale`: the shift carries
 * what the mean lost when it was rounded. Not `x * a + b`, which cancels where |mean| >> std.
 */
export function normalize(
  x: Float32Array,
  { outer, channels, inner }: Extent,
  statistics: Statistics,
  { weight, bias }: Affine,
  y: Float32Array,
): void {
  const mean = Float32Array.from(statistics.mean)
  const scale = scaleOf(statistics, weight)
  const shift = mean.map((rounded, channel) => {
    const lost = statistics.mean[channel] - rounded
    return (bias ? bias[channel] : 0) - lost * scale[channel]
  })

  let index = 0
  for (let sample = 0; sample < outer; sample++) {
    for (let channel = 0; channel < channels; channel++) {
      const m = mean[channel]
      const a = scale[channel]
      const b = shift[channel]
      for (let position = 0; position < inner; position++, index++) {
        y[index] = Math.fround(Math.fround(x[index] - m) * a) + b
      }
    }
  }
}

/** `weight * invstd`, rounded to float32 once. */
export function scaleOf({ invstd }: Statistics, weight: Float32Array | null): Float32Array {
  return Float32Array.from(invstd, (value, channel) => (weight ? weight[channel] * value : value))
}
