import type { ChannelMoments, Running, Statistics } from '../backend.ts'

/**
 * `running = (1 - momentum) * running + momentum * batch` in float64, stored in the buffers' type.
 * The variance is M2 / (n - correction): the unbiased one with a correction of 1, PyTorch's. n is above 1.
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
 */
export function updateRunning(running: Running, moments: ChannelMoments, momentum: number): void {
  const keep = 1 - momentum
  for (let channel = 0; channel < running.mean.length; channel++) {
    const variance = moments.m2[channel] / (moments.count - running.correction)
    running.mean[channel] = keep * running.mean[channel] + momentum * moments.mean[channel]
    running.variance[channel] = keep * running.variance[channel] + momentum * variance
  }
}

/** The statistics that eval mode normalizes with. */
export function evalStatistics(
  running: Omit<Running, 'correction'>,
  eps: number,
  statistics: Statistics,
): void {
  for (let channel = 0; channel < running.mean.length; channel++) {
    statistics.mean[channel] = running.mean[channel]
    statistics.invstd[channel] = 1 / Math.sqrt(running.variance[channel] + eps)
  }
  statistics.meanLow?.fill(0)
}
