import type { ChannelMoments } from '../backend/backend.ts'
import { emptyMoments } from '../backend/moments.ts'
import { allReduceSum, type Steps } from '../modules/methods/steps.ts'
import { merged } from '../moments/merged.ts'
import type { Collective } from './collective.ts'

/** What one rank brings: moments of its values, of which there may be none. */
export interface Part {
  /** Where values have weights, `count` is the sum of those, each relative to the largest, and M2 goes with it. */
  readonly moments: ChannelMoments
  /** The largest weight; 1 without weights. */
  readonly largestWeight: number
  /** What else every rank has to know of every other; as many numbers on each. */
  readonly facts: readonly number[]
}

/** What a rank has told of its part. */
export interface Told extends Pick<Part, 'largestWeight' | 'facts'> {
  readonly count: number
}

/** Of the parts of all ranks. */
export interface Whole {
  /** Their moments; with weights, relative to the largest of all. */
  readonly moments: ChannelMoments
  readonly largestWeight: number
  /** In the order of the ranks. */
  readonly told: readonly Told[]
}

/**
 * Up to how many channels times ranks every rank gets the moments of every other: 24 bytes each, 400 kB in all, take
 * about as long on a network of 1 GB/s as the further two collectives that they save.
 */
export const mostMoments = 2 ** 14

/**
 * The moments of the values of all ranks, with the same bits on each.
 *
 * Mean, M2 and count of every rank travel side by side in one collective, each with 0 in the place of the others', and
 * are merged in the order of the ranks (Chan, Golub and LeVeque 1979), so that neither the engine nor its order of
 * additions shows in the bits. Where there are too many, sums over the ranks travel: of the counts, of the means, and of
 * M2 about the mean of all.
 */
export function* mergeOverRanks(collective: Collective, key: string, part: Part): Steps<Whole> {
  const channels = part.moments.mean.length
  const isSmall = channels * collective.size <= mostMoments
  const { count, mean, m2, meanLow = [] } = part.moments
  const numbers = [count, part.largestWeight, ...part.facts]
  const own = new Float64Array(numbers.length + (isSmall ? 3 * channels : 0))
  own.set(numbers)
  if (isSmall) {
    own.set(mean, numbers.length)
    own.set(m2, numbers.length + channels)
    own.set(meanLow, numbers.length + 2 * channels)
  }
  const all = new Float64Array(own.length * collective.size)
  all.set(own, own.length * collective.rank)
  yield* allReduceSum(collective, all, key)

  const slots = Array.from({ length: collective.size }, (_, rank) =>
    all.subarray(own.length * rank, own.length * (rank + 1)),
  )
  const told = slots.map(([count, largestWeight, ...rest]) => ({
    count,
    largestWeight,
    facts: rest.slice(0, part.facts.length),
  }))
  const largestWeight = Math.max(...told.map((each) => (each.count > 0 ? each.largestWeight : 0)))
  const scales = told.map((each) => (each.count > 0 ? each.largestWeight / largestWeight : 0))
  if (!isSmall) {
    const total = told.reduce((sum, each, rank) => sum + each.count * scales[rank], 0)
    const moments = yield* summed(collective, key, scaled(part.moments, scales[collective.rank]), total)
    return { moments, largestWeight, told }
  }
  let moments: ChannelMoments = emptyMoments(channels)
  slots.forEach((slot, rank) => {
    if (told[rank].count === 0) return
    const [mean, m2, meanLow] = [0, 1, 2].map((index) =>
      slot.slice(numbers.length + index * channels, numbers.length + (index + 1) * channels),
    )
    const next = scaled({ count: told[rank].count, mean, m2, meanLow }, scales[rank])
    moments = moments.count === 0 ? next : merged(moments, next)
  })
  return { moments, largestWeight, told }
}

function scaled(moments: ChannelMoments, scale: number): ChannelMoments {
  if (scale === 1) return moments
  return { ...moments, count: moments.count * scale, m2: moments.m2.map((sum) => sum * scale) }
}

/** The same by sums over the ranks, where `total` is that of the counts. */
function* summed(
  collective: Collective,
  key: string,
  { count, mean, m2, meanLow }: ChannelMoments,
  total: number,
): Steps<ChannelMoments> {
  const channels = mean.length
  const whole = emptyMoments(channels)
  whole.count = total
  if (total === 0) return whole
  const share = count / total
  if (count > 0) whole.mean.set(mean.map((value) => value * share))
  yield* allReduceSum(collective, whole.mean, `${key}, mean`)

  const sums = new Float64Array(2 * channels)
  const [rest, square] = [sums.subarray(0, channels), sums.subarray(channels)]
  for (let channel = 0; count > 0 && channel < channels; channel++) {
    const difference = mean[channel] - whole.mean[channel] + (meanLow?.[channel] ?? 0)
    rest[channel] = difference * share
    square[channel] = m2[channel] + difference * difference * count
  }
  yield* allReduceSum(collective, sums, `${key}, M2`)
  for (let channel = 0; channel < channels; channel++) {
    const rounded = whole.mean[channel]
    // The mean of Infinity has no digits to correct.
    if (Number.isFinite(rounded)) {
      whole.mean[channel] = rounded + rest[channel]
      whole.meanLow[channel] = rest[channel] - (whole.mean[channel] - rounded)
    }
    whole.m2[channel] = Math.max(square[channel] - rest[channel] * rest[channel] * total, 0)
  }
  return whole
}
