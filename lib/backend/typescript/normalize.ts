import type { Affine, Epilogue, Extent, PerChannel, Statistics } from '../backend.ts'
import { applyEpilogue } from './activation.ts'
import { type Arithmetic, arithmeticOf, type Floats } from './arithmetic.ts'

/**
 * `y = (x - mean) * scale + shift`, each operation rounded to the type of the values, where
 * `scale = weight * invstd` and `shift = bias - lost * scale`: the shift carries what the mean lost
 * when it was rounded. Not `x * a + b`, which cancels where |mean| >> std. An epilogue follows, if
 * there is one.
 */
export function normalize(
  x: Floats,
  extent: Extent,
  statistics: Statistics,
  { weight, bias }: Affine,
  y: Floats,
  epilogue?: Epilogue<Floats>,
): void {
  const arithmetic = arithmeticOf(x)
  const { mean, lost } = arithmetic.roundedMean(statistics)
  const scale = scaleOf(arithmetic, statistics, weight)
  const shift = mean.map((_, channel) => (bias ? bias[channel] : 0) - lost[channel] * scale[channel])
  const by = {
    mean: overSample(extent, mean),
    scale: overSample(extent, scale),
    shift: overSample(extent, shift),
  }
  if (epilogue === undefined) {
    arithmetic.normalize(x, extent.outer, by, y)
  } else {
    // Apart from y, which may be the residual.
    const z = arithmetic.array(y.length)
    arithmetic.normalize(x, extent.outer, by, z)
    applyEpilogue(arithmetic, epilogue, z, y)
  }
}

/** Each channel's number at every value that a sample has of the channel: `[channels * inner]`. */
export function overSample({ channels, inner }: Extent, numbers: Floats): Floats {
  const Numbers = numbers.constructor as new (length: number) => Floats
  const spread = new Numbers(channels * inner)
  for (let channel = 0; channel < channels; channel++) {
    spread.fill(numbers[channel], channel * inner, (channel + 1) * inner)
  }
  return spread
}

/** `weight * invstd`, rounded once. */
export function scaleOf(arithmetic: Arithmetic, { invstd }: Statistics, weight: PerChannel | null): Floats {
  return arithmetic.from(weight ? invstd.map((value, channel) => weight[channel] * value) : invstd)
}
