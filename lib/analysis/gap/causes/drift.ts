import { noiseFactor } from '../average.ts'
import type { Cause } from '../cause.ts'
import { figure, largest, text } from '../cause.ts'
import type { Channel, Study } from '../study.ts'
import { falseAlarms, feltBias } from '../thresholds.ts'

/**
 * Two tests a channel, with as little chance of a false alarm in all of them together as `falseAlarms`: for a normal
 * variable P(|z| > t) is at most exp(-t^2 / 2).
 */
function certainFrom({ norm: { channels } }: Study): number {
  return Math.sqrt(2 * Math.log((2 * channels) / falseAlarms))
}

/** The means of the data and of what the running mean saw, in standard errors of their difference. */
function meansApart({ spread, doubt, training, population, supposed }: Channel, { norm }: Study): number {
  const ofData = spread.within / training.batches.length
  const ofRunning = noiseFactor(norm) * supposed.variance
  return (population.mean - supposed.mean) / Math.sqrt((doubt.means * (ofData + ofRunning)) / spread.count)
}

/** The same of the variances within a batch: cube roots of their ratios are nearly normal (Wilson and Hilferty 1931). */
function variancesApart({ spread, doubt, training, supposed }: Channel, { norm }: Study): number {
  const one = (2 * doubt.variances) / (spread.count - 1)
  const error = Math.sqrt(one * (1 / training.batches.length + noiseFactor(norm)))
  return (3 * (Math.cbrt(spread.within / supposed.variance) - 1)) / error
}

const certainty = (channel: Channel, study: Study) =>
  Math.max(Math.abs(meansApart(channel, study)), Math.abs(variancesApart(channel, study)))

const difference = ({ population, supposed }: Channel) =>
  (population.mean - supposed.mean) / Math.sqrt(supposed.variance)
const ratio = ({ spread, supposed }: Channel) => spread.within / supposed.variance

export const drift: Cause = {
  name: 'drift',
  explain(channel, study) {
    const { bias } = channel
    if (!(bias >= feltBias ** 2 && certainty(channel, study) > certainFrom(study))) return null
    channel.bias = 0
    return bias
  },
  describe(channels, study) {
    const moved = largest(channels, (channel) => Math.abs(difference(channel)))
    const [most, least] = [largest(channels, ratio), -largest(channels, (channel) => -ratio(channel))]
    const sure = largest(channels, (channel) => certainty(channel, study))
    return {
      figures: [
        figure('largest difference of means', moved, 'running standard deviations'),
        figure('least ratio of variances', least),
        figure('largest ratio of variances', most),
        figure('largest test statistic', sure, 'standard errors'),
        figure('test statistic that decides', certainFrom(study), 'standard errors'),
      ],
      sentence:
        `The data are not what the running statistics saw: means differ by up to ${text(moved)} running standard ` +
        `deviations, variances by factors from ${text(least)} to ${text(most)}; chance goes up to ` +
        `${text(certainFrom(study))} standard errors, here are ${text(sure)}.`,
      remedy:
        'recalibrate on data like these, adapt to them at test time, or find out why the data differ (preprocessing, augmentation)',
    }
  },
}
