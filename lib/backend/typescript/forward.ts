import type { Affine, ChannelMoments, Epilogue, Extent, ForwardSettings, Running } from '../backend.ts'
import { arithmeticOf } from './arithmetic-of.ts'
import { normalize } from './normalize.ts'
import type { Floats } from './order.ts'
import { updateRunning } from './running.ts'
import { statistics } from './statistics.ts'
import { invstdOfChannel } from './wide.ts'

/** Forward in training; `Backend.forward` tells what it returns and writes. */
export function forward(
  x: Floats,
  extent: Extent,
  { eps, momentum, nonFinite }: ForwardSettings,
  affine: Affine,
  running: Running | null,
  moments: ChannelMoments,
  invstd: Float64Array,
  y: Floats,
  epilogue?: Epilogue<Floats>,
): boolean {
  statistics(x, extent, moments)
  for (let channel = 0; channel < extent.channels; channel++) {
    invstd[channel] = invstdOfChannel(x, extent, channel, moments.m2[channel], eps)
  }
  const fits = allFit(moments, running, arithmeticOf(x).round)
  if (!fits && nonFinite === 'throw') return false
  if (running && (fits || nonFinite === 'propagate')) updateRunning(running, moments, momentum)
  normalize(x, extent, { mean: moments.mean, invstd, meanLow: moments.meanLow }, affine, y, epilogue)
  return fits
}

/** Whether every statistic is finite, also as the number that the running buffers would hold. */
function allFit(
  { count, mean, m2 }: ChannelMoments,
  running: Running | null,
  round: (value: number) => number,
): boolean {
  const fits = (channel: number) =>
    Number.isFinite(mean[channel]) &&
    Number.isFinite(m2[channel]) &&
    (running === null || Number.isFinite(round(m2[channel] / (count - running.correction))))
  return mean.every((_, channel) => fits(channel))
}
