import { noiseFactor } from '../average.ts'
import type { Cause } from '../cause.ts'
import { average, figure, text } from '../cause.ts'
import type { Spread } from '../spread.ts'
import type { Channel, Study } from '../study.ts'
import { feltBias } from '../thresholds.ts'

/** What the statistics of one batch scatter by, of mean and standard deviation, in variances of a value. */
export function scatterOfBatch({ spread }: Channel, study: Study): number {
  const means = ratioOf('means', spread, study)
  return means / spread.count + ratioOf('variances', spread, study) / (2 * (spread.count - 1))
}

/** The measured ratio to what independent values have: the median's, or what of the channel's own is certain. */
function ratioOf(key: 'means' | 'variances', spread: Spread, study: Study): number {
  if (!study.isScatterMeasured) return 1
  return Math.max(study.medians[key], study.certainPart * spread[key])
}

/** Of the running mean alone, in standard deviations of a value. */
function noiseOfMean({ spread }: Channel, study: Study): number {
  return Math.sqrt((noiseFactor(study.norm) * ratioOf('means', spread, study)) / spread.count)
}

/** The average forgets so fast that it has the noise of a few batches. */
export const noisyAverage: Cause = {
  name: 'noisy average',
  explain(channel, study) {
    const expected = noiseFactor(study.norm) * scatterOfBatch(channel, study)
    if (!(expected >= feltBias ** 2 && channel.bias >= feltBias ** 2)) return null
    const explained = Math.min(expected, channel.bias)
    channel.bias -= explained
    return explained
  },
  describe(channels, study) {
    const { momentum, updates } = study.norm
    const batches = 1 / noiseFactor(study.norm)
    const noise = average(channels, (channel) => noiseOfMean(channel, study))
    const why = momentum === null ? `after ${updates} updates` : `with momentum ${momentum}`
    return {
      figures: [
        figure('batches in the average', batches, 'batches'),
        figure('expected noise of the running mean', noise, 'standard deviations'),
      ],
      sentence:
        `The running average is noisy: ${why} it is no more certain than ${text(batches)} batches of ` +
        `${text(study.count)} values, which leaves the running mean ${text(noise)} standard deviations of noise.`,
      remedy: 'recalibrate, a smaller momentum, momentum: null, or larger batches',
    }
  },
}
