import type { Affine, Extent, Statistics } from '../backend.ts'

/**
 * `y = (x - mean) * scale + shift`, each operation rounded to float32, where
 * `scale = weight * invstd` and `shift = bias - (mean - float32(mean)) * scale`: the shift carries
 * what the mean lost when it was rounded. Not `x * a + b`, which cancels where |mean| >> std.
 */
export function normalize(
  x: Float32Array,
  extent: Extent,
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

  const means = overSample(extent, mean)
  const scales = overSample(extent, scale)
  const shifts = overSample(extent, shift)
  let index = 0
  for (let sample = 0; sample < extent.outer; sample++) {
    for (let value = 0; value < means.length; value++, index++) {
      y[index] = Math.fround(Math.fround(x[index] - means[value]) * scales[value]) + shifts[value]
    }
  }
}

/** Each channel's number at every value that a sample has of the channel: `[channels * inner]`. */
export function overSample({ channels, inner }: Extent, numbers: Float32Array): Float32Array {
  return Float32Array.from({ length: channels * inner }, (_, value) => numbers[Math.floor(value / inner)])
}

/** `weight * invstd`, rounded to float32 once. */
export function scaleOf({ invstd }: Statistics, weight: Float32Array | null): Float32Array {
  return Float32Array.from(invstd, (value, channel) => (weight ? weight[channel] * value : value))
}
