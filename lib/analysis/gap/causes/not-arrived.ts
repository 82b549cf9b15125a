import { firstWeight } from '../average.ts'
import type { Cause } from '../cause.ts'
import { figure, text } from '../cause.ts'
import { biasOf, partsOf } from '../parts.ts'
import { feltBias, feltShare } from '../thresholds.ts'

/**
 * A moving average that began at mean 0 and variance 1 still has them in it, with the weight q. Without them it is
 * (M - q 0) / (1 - q) and (V - q 1) / (1 - q), as Adam corrects its averages (https://arxiv.org/abs/1412.6980,
 * section 3); what that takes from the gap is what the first values explain.
 */
export const notArrived: Cause = {
  name: 'not arrived',
  explain(channel, { norm }) {
    const first = firstWeight(norm)
    const { mean, variance } = channel.supposed
    if (first === 0 || first === 1 || variance < first) return null
    const supposed = { mean: mean / (1 - first), variance: (variance - first) / (1 - first) }
    const left = biasOf(partsOf(channel.training, supposed))
    const explained = channel.bias - left
    if (!(explained >= feltBias ** 2 && explained >= feltShare * channel.bias)) return null
    channel.supposed = supposed
    channel.bias = left
    return explained
  },
  describe(_, { norm }) {
    const first = firstWeight(norm)
    const { momentum, updates } = norm
    return {
      figures: [
        figure('weight of the first values', first),
        figure('updates', updates as number, 'batches'),
        figure('momentum', momentum as number),
      ],
      sentence:
        `The moving average has not arrived: after ${updates} updates with momentum ${momentum} its first values, ` +
        `mean 0 and variance 1, still weigh (1 - momentum)^updates = ${text(100 * first)} %.`,
      remedy: 'recalibrate, a larger momentum, momentum: null, or longer training',
    }
  },
}
