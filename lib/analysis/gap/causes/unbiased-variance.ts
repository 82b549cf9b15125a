import type { Cause } from '../cause.ts'
import { average, figure, text } from '../cause.ts'
import { partsOf, squareOf } from '../parts.ts'
import type { Channel } from '../study.ts'
import { feltShare, feltUnbiased } from '../thresholds.ts'

/** How many times the biased variance of a batch the unbiased one is. */
function factorOf({ spread: { count } }: Channel): number {
  return count / (count - 1)
}

/**
 * Training normalizes with the biased variance, which divides by n, and runningVar averages the unbiased one, which
 * divides by n - 1. Where batches scatter it is the right one for eval all the same; where they do not, as with the
 * same few samples in each, it alone keeps the two modes apart.
 */
export const unbiasedVariance: Cause = {
  name: 'unbiased variance',
  explain(channel, { norm }) {
    if (norm.storedVariance === 'biased') return null
    const factor = factorOf(channel)
    if (factor < feltUnbiased) return null
    const { training, spread, supposed } = channel
    const withVariance = (variance: number) => partsOf(training, { ...supposed, variance }).variance
    const explained = Math.min(
      withVariance(spread.within) - withVariance(spread.within / factor),
      channel.bias,
    )
    if (!(explained >= feltShare * squareOf(channel.parts)) || explained === 0) return null
    channel.bias -= explained
    return explained
  },
  describe(channels) {
    const factor = average(channels, factorOf)
    const count = average(channels, ({ spread }) => spread.count)
    return {
      figures: [figure('n / (n - 1)', factor), figure('values of a batch', count, 'values')],
      sentence:
        `runningVar is the unbiased variance, n / (n - 1) = ${text(factor)} times what training divides by at ` +
        `n = ${text(count)}: outputs in eval are ${text(1 / Math.sqrt(factor))} times those in training.`,
      remedy:
        "storedVariance: 'biased', or larger batches; nothing, where the batches are otherwise different ones",
    }
  },
}
