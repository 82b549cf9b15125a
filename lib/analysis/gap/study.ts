import { findingTests } from '../../checkpoints/summarize.ts'
import { roundedTo } from '../../tensor/data-type.ts'
import type { ChannelStatistics, Norm } from './norm.ts'
import { biasOf, type ChannelBatch, type GapParts, partsOf, type Training } from './parts.ts'
import type { Recording } from './recorder.ts'
import { type Doubt, doubtsOf, isScatterMeasured, type Spread, spreadOf } from './spread.ts'

/** A channel with what was measured of it, and what of its gap no cause has explained yet. */
export interface Channel {
  readonly index: number
  readonly training: Training
  readonly running: ChannelStatistics
  /** What recalibrate would make the running statistics. */
  readonly population: ChannelStatistics
  readonly parts: GapParts
  readonly partsAfter: GapParts
  readonly spread: Spread
  readonly doubt: Doubt
  /** Some batch of it has no finite statistics. */
  readonly isBroken: boolean
  /** The running statistics without what was explained: what they would be. */
  supposed: ChannelStatistics
  /** The mean square of wrong running statistics that is not explained. */
  bias: number
  /** The mean square of scattering batches that is not explained. */
  scatter: number
}

/** A batch norm beside its data. */
export interface Study {
  readonly norm: Norm
  readonly channels: readonly Channel[]
  /** Batches of more than one value a channel, which training takes. */
  readonly batches: number
  /** Batches of one value a channel. */
  readonly single: number
  /** Values of a batch a channel, on the average. */
  readonly count: number
  /** Whether there are batches enough to say how their statistics scatter. */
  readonly isScatterMeasured: boolean
  /** Of the channels: the ratios of `Spread`, and the mean square by which training scatters after recalibrate. */
  readonly medians: { readonly means: number; readonly variances: number; readonly scatter: number }
  /** What of a variance that was measured over so few batches is certain: less two standard errors. May be below 0. */
  readonly certainPart: number
  /** The tests that a summary of a stored batch norm makes, of each channel. */
  readonly findings: ReturnType<typeof findingTests>
}

/**
 * @param norm - with running statistics
 * @throws RangeError where there is no batch that training would take
 */
export function studyOf(norm: Norm, { batches: all, population }: Recording): Study {
  const batches = all.filter(({ count }) => count > 1)
  if (batches.length === 0) {
    throw new RangeError(
      `Expected batches of more than 1 value a channel for ${norm.name} but received ${all.length === 0 ? 'none' : 'single values'} ` +
        '(training has no statistics to compare with; is the iterable used up, or does run not call its forward?)',
    )
  }
  const total = batches.reduce((sum, { count }) => sum + count, 0)
  const positions = total / batches.reduce((sum, { samples }) => sum + samples, 0)
  const byChannel = Array.from({ length: norm.channels }, (_, c) =>
    batches.map(
      ({ count, mean, variance }): ChannelBatch => ({ count, mean: mean[c], variance: variance[c] }),
    ),
  )
  const spreads = byChannel.map((own) => spreadOf(own, norm.storedVariance))
  const doubts = doubtsOf(spreads, batches.length, positions)
  const isEmpty = population.count < 2
  const target = isEmpty ? null : population.total()
  const stored = isEmpty ? null : population.variance({ unbiased: norm.storedVariance === 'unbiased' })
  const channels = byChannel.map((own, index): Channel => {
    const training: Training = { batches: own, eps: norm.eps, limits: norm.limits }
    const running = {
      mean: norm.running?.mean[index] ?? Number.NaN,
      variance: norm.running?.variance[index] ?? Number.NaN,
    }
    const after = {
      mean: roundedTo(norm.dtype, target?.mean[index] ?? Number.NaN),
      variance: roundedTo(norm.dtype, stored?.[index] ?? Number.NaN),
    }
    const parts = partsOf(training, running)
    return {
      index,
      training,
      running,
      population: after,
      parts,
      partsAfter: partsOf(training, after),
      spread: spreads[index],
      doubt: doubts[index],
      isBroken: own.some(({ mean, variance }) => !Number.isFinite(mean) || !Number.isFinite(variance)),
      supposed: running,
      bias: biasOf(parts),
      scatter: parts.scatter,
    }
  })
  const { running, weight, bias, eps, updates } = norm
  const { mean, variance } = running ?? { mean: [], variance: [] }
  return {
    norm,
    channels,
    batches: batches.length,
    single: all.length - batches.length,
    count: total / batches.length,
    isScatterMeasured: isScatterMeasured(batches.length, norm.channels),
    medians: {
      means: medianOf(spreads.map(({ means }) => means)),
      variances: medianOf(spreads.map(({ variances }) => variances)),
      scatter: medianOf(channels.map(({ partsAfter }) => partsAfter.scatter)),
    },
    certainPart: 1 - 2 * Math.sqrt(2 / (batches.length - 1)),
    findings: findingTests({ mean, variance, weight, bias, eps, numBatchesTracked: updates }),
  }
}

/** Of the numbers among them. */
function medianOf(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((one, other) => one - other)
  return sorted[sorted.length >> 1] ?? Number.NaN
}
