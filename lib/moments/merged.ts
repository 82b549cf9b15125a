import type { ChannelMoments } from '../backend/backend.ts'
import { currentBackend } from '../backend/load.ts'

/** `into` and `from` in one. What the mean of either loses is kept, where it is known. */
export function merged(into: ChannelMoments, from: ChannelMoments): ChannelMoments {
  const keepsLow = into.meanLow !== undefined || from.meanLow !== undefined
  const both = keepsLow && !into.meanLow ? { ...into, meanLow: new Float64Array(into.mean.length) } : into
  const before = both.mean.slice()
  currentBackend().merge(both, from)
  both.mean.forEach((mean, channel) => {
    // The difference of infinite means says nothing; their sum does.
    if (!Number.isFinite(mean)) both.mean[channel] = before[channel] + from.mean[channel]
  })
  return both
}
