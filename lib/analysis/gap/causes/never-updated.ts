import type { Cause } from '../cause.ts'
import { figure } from '../cause.ts'

export const neverUpdated: Cause = {
  name: 'never updated',
  explain(channel, { findings }) {
    if (!findings['never updated'](channel.index)) return null
    const { bias } = channel
    // What makes it NaN comes first.
    if (Number.isNaN(bias)) return null
    channel.bias = 0
    return bias
  },
  describe(channels, { norm: { updates, momentum } }) {
    const counted = updates === null ? 'no counter tells of updates' : `the counter says ${updates}`
    const stopped = momentum === 0 ? ', and momentum 0 never moves them' : ''
    return {
      figures: [
        ...(updates === null ? [] : [figure('updates', updates, 'batches')]),
        figure('channels', channels.length, 'channels'),
      ],
      sentence: `The running statistics are as they were before the first batch, mean 0 and variance 1 (${counted})${stopped}.`,
      remedy: `train, or recalibrate${momentum === 0 ? '; momentum above 0' : ''}`,
    }
  },
}
