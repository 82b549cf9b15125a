import type { Affine, Epilogue, Extent, PerChannel, Statistics } from '../backend.ts'
import { applyEpilogue } from './activation.ts'
import type { Arithmetic } from './arithmetic.ts'
import { arithmeticOf } from './arithmetic-of.ts'
import type { Floats } from './order.ts'
import { isWideChannel, normalizeWidely, type WideTransform } from './wide.ts'

/**
 * `y = (x - mean) * scale + shift`, each operation rounded to the type of the values, where
 * `scale = weight * invstd` and `shift = bias - meanLow * scale`: the shift carries the low part of the
 * mean. Not `x * a + b`, which cancels where |mean| >> std. An epilogue follows, if
 * there is one. Channels beyond the range of the type go the long way of `wide.ts`.
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
  const { mean, meanLow } = roundedMean(arithmetic, statistics)
  const scale = scaleOf(arithmetic, statistics, weight)
  const shift = mean.map((_, channel) => (bias ? bias[channel] : 0) - meanLow[channel] * scale[channel])
  const by = {
    mean: overSample(extent, mean),
    scale: overSample(extent, scale),
    shift: overSample(extent, shift),
  }
  const wide = wideChannels(arithmetic, statistics, { weight, bias })
  if (epilogue === undefined && wide.length === 0) {
    arithmetic.normalize(x, extent.outer, by, y)
    return
  }
  // Apart from y, which may be x or the residual.
  const z = arithmetic.array(y.length)
  arithmetic.normalize(x, extent.outer, by, z)
  for (const { channel, transform } of wide) normalizeWidely(x, extent, channel, transform, z)
  if (epilogue === undefined) y.set(z)
  else applyEpilogue(arithmetic, epilogue, z, y)
}

function wideChannels(
  { limits }: Arithmetic,
  { mean, invstd, meanLow }: Statistics,
  { weight, bias }: Affine,
): { channel: number; transform: WideTransform }[] {
  const transforms = Array.from(mean, (_, channel) => ({
    mean: mean[channel],
    meanLow: meanLow ? meanLow[channel] : 0,
    invstd: invstd[channel],
    weight: weight ? weight[channel] : 1,
    bias: bias ? bias[channel] : 0,
  }))
  return transforms
    .map((transform, channel) => ({ channel, transform }))
    .filter(({ transform: { mean, invstd, weight, bias } }) =>
      isWideChannel(limits, mean, weight * invstd, bias),
    )
}

/** The mean rounded to the type of the values, and the rest of it. */
interface RoundedMean {
  readonly mean: Floats
  readonly meanLow: Float64Array
}

export function roundedMean(
  arithmetic: Arithmetic,
  { mean, meanLow }: Pick<Statistics, 'mean' | 'meanLow'>,
): RoundedMean {
  const rounded = arithmetic.from(mean)
  return {
    mean: rounded,
    meanLow: mean.map((exact, channel) => exact - rounded[channel] + (meanLow ? meanLow[channel] : 0)),
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
