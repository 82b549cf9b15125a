/** Question 3: what is the standard scale of batch norm's output? */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import {
  type BatchNorm,
  functional,
  type OutputDescription,
  outputRange,
  Tensor,
} from '../../../lib/index.ts'
import { type Distribution, distributionOf, type Interval, momentsOf } from '../../training/distribution.ts'
import { rowsOf } from '../../training/examples.ts'
import { shuffledIndices } from '../../training/random.ts'
import { largestOf, multiply } from '../network.ts'
import type { Study } from '../study.ts'
import { standardize } from './snippet.ts'

const BATCH_SIZES = [4, 32, 256]
/** The values that a histogram shows. */
export const SHOWN = [-6, 6] as const
const BINS = 96
/** Batches that one digit is put into. */
const BATCHES = 150

type Shares = readonly [number, number, number]

/** In training, the outputs for one digit in each channel, each time in another batch. */
type Company = readonly {
  readonly values: Float32Array
  readonly mean: number
  readonly deviation: number
}[]

/** What becomes of the digits in batches of one size. */
export interface Size {
  readonly batchSize: number
  /** sqrt(n - 1). */
  readonly bound: number
  /** The largest |y|: among the digits, and of a batch whose values are equal but for one. */
  readonly largest: number
  readonly attained: number
  /** Within 1, 2 and 3. */
  readonly shares: Shares
  readonly distribution: Distribution
  /** Of the first batch, channel by channel. */
  readonly description: OutputDescription
  /** Over all batches and channels, the largest |mean|, and the largest |std - sqrt(variance / (variance + eps))|. */
  readonly meanError: number
  readonly deviationError: number
  /** The least and the largest standard deviation over all batches and channels, by n and by n - 1. */
  readonly biased: Interval
  readonly unbiased: Interval
  readonly company: Company
}

/** How well batch norm gives back its input, the pixels of digits, when told to. */
interface Identity {
  readonly pixels: number
  /** Pixels that are the same in every digit of the batch. */
  readonly constantPixels: number
  /** As `setIdentity` says, and the largest |y - x|. */
  readonly largestError: number
  readonly measured: number
  /** The largest value of a pixel. */
  readonly largest: number
  /** The largest |y - x| with gamma = sqrt(variance) in place of sqrt(variance + eps). */
  readonly withoutEps: number
}

export interface ScaleAnswer {
  readonly sizes: readonly Size[]
  /** A normal distribution's within 1, 2 and 3. */
  readonly normalShares: Shares
  readonly channels: number
  /** The channel in which the sizes' digit is shown, and its output there in eval mode. */
  readonly channelShown: number
  readonly outputInEval: number
  readonly identity: Identity
}

export function answerScale({ seeds: [seed], digits: { split, trained } }: Study): ScaleAnswer {
  const { linears, batchNorms } = trained.relu[0].network
  const [batchNorm] = batchNorms
  const pixels = rowsOf(split.test)
  const x = multiply(linears[0], pixels)
  const channelShown = typicalChannel(x, batchNorm)
  return {
    sizes: BATCH_SIZES.map((batchSize) => sizeOf(batchSize, x, batchNorm, seed)),
    normalShares: outputRange(2).normalShares,
    channels: batchNorm.numFeatures,
    channelShown,
    outputInEval: batchNorm.forward(x).data[channelShown],
    identity: identityOf(rows(pixels, 0, 256)),
  }
}

function sizeOf(batchSize: number, x: Tensor, batchNorm: BatchNorm, seed: number): Size {
  const batches = Array.from({ length: Math.floor(x.shape[0] / batchSize) }, (_, index) =>
    standardize(rows(x, index * batchSize, batchSize)),
  )
  const [{ bound, description }] = batches
  const channels = batches.flatMap(({ description }) => description.channels)
  const values = Float32Array.from(batches.flatMap(({ y }) => [...y.data]))
  return {
    batchSize,
    bound,
    largest: largestOf(values),
    attained: largestOf(standardize(attaining(batchSize)).y.data),
    shares: outputRange(batchSize, { xhat: new Tensor(values, [values.length, 1]) }).shares as Shares,
    distribution: distributionOf(values, SHOWN, BINS),
    description,
    meanError: largestOf(channels.map(({ mean }) => mean)),
    deviationError: largestOf(batches.flatMap((batch) => deviationErrors(batch, batchSize))),
    biased: intervalOf(channels.map(({ biasedStd }) => biasedStd)),
    unbiased: intervalOf(channels.map(({ unbiasedStd }) => unbiasedStd)),
    company: companyOf(batchSize, x, batchNorm, seed),
  }
}

function intervalOf(values: readonly number[]): Interval {
  return [
    values.reduce((least, value) => Math.min(least, value)),
    values.reduce((most, value) => Math.max(most, value)),
  ]
}

/** What each channel's standard deviation is off from what variance and eps make it. */
function deviationErrors({ batchNorm, description }: ReturnType<typeof standardize>, n: number): number[] {
  const unbiased = (batchNorm.runningVar as Tensor).data
  return description.channels.map(({ biasedStd }, channel) => {
    const variance = (unbiased[channel] * (n - 1)) / n
    return biasedStd - Math.sqrt(variance / (variance + batchNorm.eps))
  })
}

/** The batch whose normalized values reach furthest: equal but for one. */
function attaining(batchSize: number): Tensor {
  const values = new Float32Array(batchSize)
  values[0] = 1e3
  return new Tensor(values, [batchSize, 1])
}

/** The first digit in each channel of a trained batch norm, with other digits around it. */
function companyOf(
  batchSize: number,
  { data, shape: [count, channels] }: Tensor,
  { weight, bias, eps }: BatchNorm,
  seed: number,
): Company {
  const random = xoroshiro128plus(seed)
  const outputs = Array.from({ length: BATCHES }, () => {
    const others = shuffledIndices(count, random).filter((digit) => digit !== 0)
    const batch = new Float32Array(batchSize * channels)
    for (const [row, digit] of [0, ...others.subarray(0, batchSize - 1)].entries()) {
      batch.set(data.subarray(digit * channels, (digit + 1) * channels), row * channels)
    }
    const x = new Tensor(batch, [batchSize, channels])
    return functional.batchNorm(x, { training: true, weight, bias, eps }).data
  })
  return Array.from({ length: channels }, (_, channel) => {
    const values = Float32Array.from(outputs, (output) => output[channel])
    return { values, ...momentsOf(values) }
  })
}

/** The channel in which the first digit is nearest to one standard deviation from the mean. */
function typicalChannel(x: Tensor, { runningMean, runningVar }: BatchNorm): number {
  const normalized = functional.batchNorm(x, { runningMean, runningVar }).data.subarray(0, x.shape[1])
  const distances = normalized.map((value) => Math.abs(Math.abs(value) - 1))
  return distances.indexOf(Math.min(...distances))
}

function identityOf(x: Tensor): Identity {
  const { batchNorm, again, largestError, y } = standardize(x)
  const { runningMean, runningVar, eps, bias } = batchNorm
  const variances = (runningVar as Tensor).data
  const weight = variances.map(Math.sqrt)
  const withoutEps = functional.batchNorm(x, { runningMean, runningVar, weight, bias, eps })
  const errorOf = ({ data }: Tensor) => largestOf(data.map((value, at) => value - x.data[at]))
  return {
    pixels: y.shape[1],
    constantPixels: variances.filter((variance) => variance === 0).length,
    largestError,
    measured: errorOf(again),
    largest: largestOf(x.data),
    withoutEps: errorOf(withoutEps),
  }
}

/** `count` rows of a tensor, from the row `first` on. */
function rows({ data, shape: [, columns] }: Tensor, first: number, count: number): Tensor {
  return new Tensor(data.subarray(first * columns, (first + count) * columns), [count, columns])
}
