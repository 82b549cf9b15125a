import { isNearEps } from '../../../checkpoints/summarize.ts'
import type { Cause } from '../cause.ts'
import { figure, largest, text } from '../cause.ts'
import type { Channel } from '../study.ts'

/** The part of its scale that eps takes from a channel, in the mode in which it is larger. */
function damping({ running, spread, training: { eps } }: Channel): number {
  const variance = Math.min(running.variance, spread.within)
  return eps / (variance + eps)
}

/** No gap by itself: eps damps both modes. It decides how large outputs are where the variance is smaller than it. */
export const varianceNearEps: Cause = {
  name: 'variance near eps',
  explain: ({ running, spread, training: { eps } }) =>
    eps > 0 && (isNearEps(running.variance, eps) || isNearEps(spread.within, eps)) ? 0 : null,
  describe(channels, { norm: { eps } }) {
    const most = largest(channels, damping)
    return {
      figures: [figure('eps / (variance + eps)', most), figure('eps', eps)],
      sentence:
        `eps = ${eps} is at least a tenth of the variance: up to ${text(100 * most)} % of what the channel is divided by ` +
        'is eps, so it is damped; that is a gap only where running and batch variance differ.',
      remedy: 'a smaller eps, or drop the channel, which hardly varies',
    }
  },
}
