/** Statistics that no output can be computed with. */
import { explanations } from '../../../checkpoints/summarize.ts'
import type { Cause } from '../cause.ts'
import { figure, largest } from '../cause.ts'
import type { Channel } from '../study.ts'

/** The gap of such a channel is no number, and nothing else can be said of it. */
function allOf(channel: Channel): number {
  channel.bias = Number.NaN
  channel.scatter = Number.NaN
  return Number.NaN
}

export const nonFinite: Cause = {
  name: 'non-finite',
  explain: (channel, { findings }) => (findings['non-finite'](channel.index) ? allOf(channel) : null),
  describe: (channels) => ({
    figures: [figure('channels', channels.length, 'channels')],
    sentence: `Running statistics, weight or bias are not finite: ${explanations['non-finite']}.`,
    remedy: "load the last checkpoint without them, or recalibrate; nonFinite: 'skip' keeps such batches out",
  }),
}

export const negativeVariance: Cause = {
  name: 'negative variance',
  explain: (channel, { findings }) => (findings['negative variance'](channel.index) ? allOf(channel) : null),
  describe: (channels) => ({
    figures: [figure('least running variance', -largest(channels, ({ running }) => -running.variance))],
    sentence: `runningVar is negative: ${explanations['negative variance']}.`,
    remedy: 'load another checkpoint, or recalibrate',
  }),
}

export const nonFiniteBatches: Cause = {
  name: 'non-finite batches',
  explain: (channel) => (channel.isBroken ? allOf(channel) : null),
  describe: (channels, { batches }) => {
    const broken = channels[0].training.batches.filter((_, at) =>
      channels.some(({ training }) => {
        const { mean, variance } = training.batches[at]
        return !Number.isFinite(mean) || !Number.isFinite(variance)
      }),
    ).length
    return {
      figures: [figure('batches with NaN or Infinity', broken, 'batches')],
      sentence: `${broken} of ${batches} batches hold NaN or Infinity: in training every output of the channel is NaN.`,
      remedy:
        "clean the data; nonFinite: 'throw' names such a batch, 'skip' keeps it from the running statistics",
    }
  },
}
