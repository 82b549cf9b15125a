import type { Cause } from '../cause.ts'
import { average, figure, text } from '../cause.ts'
import type { Channel, Study } from '../study.ts'
import { correlated, feltBias, feltScatter } from '../thresholds.ts'
import { scatterOfBatch } from './noisy-average.ts'

/** By how much batches scatter in training, whatever the running statistics are. */
function scatterOf(channel: Channel, study: Study): number {
  return study.isScatterMeasured ? channel.partsAfter.scatter : scatterOfBatch(channel, study)
}

/**
 * What can be relied on: the median of all channels, or of one channel what is certain of its own.
 */
function certainScatter(channel: Channel, study: Study): number {
  const own = scatterOf(channel, study)
  if (!study.isScatterMeasured) return own
  return Math.max(study.medians.scatter, study.certainPart * own)
}

/** How many times as much as independent values would have them scatter. */
function excessOf(channels: readonly Channel[], { isScatterMeasured }: Study): number {
  return isScatterMeasured ? average(channels, ({ spread }) => spread.means) : 1
}

function remedyOf(excess: number, { norm }: Study): string {
  const { virtualBatchSize, limits } = norm
  const small = [
    ...(virtualBatchSize === null
      ? ['larger batches', 'MicroBatches, or SyncBatchNorm over workers, for the same in parts']
      : [
          `a virtualBatchSize above ${virtualBatchSize}, or null: ghost batches are the batches that scatter`,
        ]),
    ...(limits === null
      ? ['renorm, which has training normalize nearly as eval does']
      : ['larger limits of renorm']),
  ]
  const alike = [
    'shuffle, and have more samples in a batch: the values of a batch are alike, so more positions of the same samples help little',
    'SyncBatchNorm over workers that have other samples',
  ]
  return [...(excess >= correlated ? alike : small)].join('; ')
}

/** The statistics of a batch are so uncertain that its outputs in training are noisy. */
export const batchSize: Cause = {
  name: 'batch size',
  explain(channel, study) {
    if (!(certainScatter(channel, study) >= feltScatter ** 2)) return null
    if (Number.isNaN(channel.scatter)) return null
    // The average of few batches is uncertain as well, and the running statistics cannot know where it lies.
    const chance = Math.min(channel.bias, scatterOfBatch(channel, study) / study.batches)
    const explained = channel.scatter + chance
    // Where scatter is assumed, there has to be a gap that it may have made.
    if (!study.isScatterMeasured && explained < feltBias ** 2) return null
    channel.scatter = 0
    channel.bias -= chance
    return explained
  },
  describe(channels, study) {
    const { count, isScatterMeasured, batches } = study
    const excess = excessOf(channels, study)
    const scatter = Math.sqrt(average(channels, (channel) => scatterOf(channel, study)))
    const predicted = 1 / Math.sqrt(count)
    const measured = predicted * Math.sqrt(excess)
    const ofVariances = isScatterMeasured ? average(channels, ({ spread }) => spread.variances) : 1
    const variance = Math.sqrt(2 / (count - 1))
    const figures = [
      figure('values of a batch', count, 'values'),
      figure('scatter of outputs in training', scatter, 'standard deviations'),
      figure('predicted scatter of batch means', predicted, 'standard deviations'),
      figure('predicted scatter of batch variances', variance, 'variances'),
    ]
    const whole = `${text(scatter)} standard deviations of the training output are the scatter of its batches`
    if (!isScatterMeasured) {
      return {
        figures,
        sentence:
          `Batches of ${text(count)} values are small: if the values are independent, ${whole} ` +
          `(too few batches to measure it: ${batches}).`,
        remedy: remedyOf(1, study),
      }
    }
    return {
      figures: [
        ...figures,
        figure('measured scatter of batch means', measured, 'standard deviations'),
        figure('measured scatter of batch variances', variance * Math.sqrt(ofVariances), 'variances'),
        figure('effective values of a batch', count / excess, 'values'),
      ],
      sentence:
        `${whole}: the means of batches of ${text(count)} values scatter by ${text(measured)} standard deviations, ` +
        `where independent values have ${text(predicted)}, so a batch is worth ${text(count / excess)} of them.`,
      remedy: remedyOf(excess, study),
    }
  },
}

/** Batches that training refuses, or normalizes as eval does. */
export const singleValue: Cause = {
  name: 'single value',
  explain: (_, { single }) => (single > 0 ? 0 : null),
  describe(_, { single, norm }) {
    const have = single === 1 ? '1 batch has' : `${single} batches have`
    const isRefused = norm.singleValue === 'throw'
    const training = isRefused
      ? 'training throws'
      : "with singleValue: 'running' training normalizes as eval does"
    return {
      figures: [figure('batches of one value a channel', single, 'batches')],
      sentence: `${have} one value a channel, whose variance says nothing: ${training} there, and the gap leaves it out.`,
      remedy: isRefused ? "drop a last batch of one sample, or singleValue: 'running'" : 'none is needed',
    }
  },
}
