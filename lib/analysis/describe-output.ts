import { optionNames, optionsObject } from '../checks/options.ts'
import { float32Tensor, type TensorLike } from '../checks/tensors.ts'
import { pythonNumber } from '../tensor/format.ts'
import { extentOf, type Layout } from '../tensor/shape.ts'
import { channelMoments } from './channel-moments.ts'

/** One channel of what `describeOutput` was given. */
export interface ChannelDescription {
  /** The mean of the values of the channel, summed in float64. */
  readonly mean: number
  /** Divides by n: what batch norm normalizes with, so 1 after it (a little less with eps > 0). */
  readonly biasedStd: number
  /** Divides by n - 1, as `torch.std` does by default: sqrt(n / (n - 1)) times as much. NaN for n = 1. */
  readonly unbiasedStd: number
  /** The smallest value. */
  readonly least: number
  /** The largest value. */
  readonly most: number
  /** The parts of the values within 1, 2 and 3 of 0. */
  readonly shares: readonly [number, number, number]
}

/** Prints as a table. */
export class OutputDescription {
  /** Values of each channel. */
  readonly count: number
  /** One description a channel. */
  readonly channels: readonly ChannelDescription[]

  constructor(count: number, channels: readonly ChannelDescription[]) {
    this.count = count
    this.channels = channels
  }

  /** A table with a row a channel. */
  toString(): string {
    // A mean of -1e-9 is 0 in print, not -0.
    const number = (value: number) => value.toFixed(4).replace(/^-(0\.0000)$/, '$1')
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`
    const rows = this.channels.map(({ mean, biasedStd, unbiasedStd, least, most, shares }, channel) => [
      String(channel),
      ...[mean, biasedStd, unbiasedStd, least, most].map(number),
      ...shares.map(percent),
    ])
    const titles = ['channel', 'mean', 'std, / n', 'std, / (n - 1)', 'least', 'most', 'within 1', '2', '3']
    const widths = titles.map((title, column) =>
      Math.max(title.length, ...rows.map((row) => row[column].length)),
    )
    const line = (cells: readonly string[]) =>
      cells.map((cell, column) => cell.padStart(widths[column])).join('  ')
    return [`${pythonNumber(this.count)} values a channel`, line(titles), ...rows.map(line)].join('\n')
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

const names = optionNames<{ layout?: Layout }>({ layout: true })

/**
 * What a batch norm's output looks like, channel by channel: mean, standard deviation by n and by
 * n - 1, range and shares. So "mean 0, std 1" can be checked, and who computes the std with n - 1 is
 * not surprised by sqrt(n / (n - 1)).
 *
 * @param y - `[N, C]`, `[N, C, L]`, ...
 * @param options - `layout`, default `'channels-first'`
 * @throws TypeError or RangeError for an argument that does not fit
 */
export function describeOutput(y: TensorLike, options: { layout?: Layout } = {}): OutputDescription {
  const { layout = 'channels-first' } = optionsObject(options, names)
  const values = float32Tensor('y', y)
  const { count, mean, variance, least, most } = channelMoments('y', y, layout)
  const { channels, inner } = extentOf(y.shape, layout)
  const within = Array.from({ length: channels }, () => [0, 0, 0])
  values.forEach((value, at) => {
    const shares = within[Math.floor(at / inner) % channels]
    for (let distance = 1; distance <= 3; distance++) if (Math.abs(value) <= distance) shares[distance - 1]++
  })
  const described = within.map((counts, c): ChannelDescription => {
    const [one, two, three] = counts.map((each) => each / count)
    const biasedStd = Math.sqrt(variance[c])
    return {
      mean: mean[c],
      biasedStd,
      unbiasedStd: count > 1 ? biasedStd * Math.sqrt(count / (count - 1)) : Number.NaN,
      least: least[c],
      most: most[c],
      shares: [one, two, three],
    }
  })
  return new OutputDescription(count, described)
}
