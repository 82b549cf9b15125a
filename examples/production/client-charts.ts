import * as Plot from '@observablehq/plot'
import { draw } from '../../cli/page/picture.ts'
import { percent, scientific } from '../../cli/training/format.ts'
import { meanOf } from './claims.ts'
import type { Variances } from './pooling.ts'

/** How much wider than its points a logarithmic axis is, as a factor. */
const MARGIN = 1.4

/** The running variance of each channel, pooled and averaged, against that of the union. */
export function varianceChart({ union, pooled, averaged }: Variances, title: string, width: number): string {
  const pointsOf = (values: readonly number[]) =>
    values.map((value, channel) => ({ union: union[channel], value }))
  const place = { x: 'union', y: 'value' }
  const ends = [...union, ...averaged]
  const domain = [Math.min(...ends) / MARGIN, Math.max(...ends) * MARGIN] as const
  const log = { type: 'log', domain, grid: true, ticks: ticksOf(domain), tickFormat: scientific } as const
  return draw({
    width,
    height: 300,
    marginLeft: 56,
    ariaLabel: `Running variances, ${title}`,
    ariaDescription:
      `${union.length} channels, variances of the union from ${scientific(Math.min(...union))} to ${scientific(Math.max(...union))}. ` +
      `The least of pooled over union is ${Math.min(...ratios(pooled, union)).toFixed(6)}, of averaged over union ` +
      `${Math.min(...ratios(averaged, union)).toFixed(4)}.`,
    x: { ...log, label: 'variance of the union' },
    y: { ...log, label: 'running variance' },
    marks: [
      Plot.line([...domain], {
        x: Plot.identity,
        y: Plot.identity,
        stroke: 'currentColor',
        strokeOpacity: 0.4,
      }),
      Plot.dot(pointsOf(averaged), {
        ...place,
        r: 3.5,
        symbol: 'triangle',
        fill: 'var(--orange)',
        fillOpacity: 0.8,
      }),
      Plot.dot(pointsOf(pooled), { ...place, r: 3, fill: 'var(--blue)', fillOpacity: 0.8 }),
    ],
  })
}

/** What of the union's variance is there, channel by channel. */
export function ratios(values: readonly number[], union: readonly number[]): number[] {
  return values.map((value, channel) => value / union[channel])
}

/** Powers of ten, and between them 2 and 5 where there are few. */
function ticksOf([least, most]: readonly [number, number]): number[] {
  const digits = most / least > 100 ? [1] : [1, 2, 5]
  const exponents = Array.from({ length: 40 }, (_, index) => index - 20)
  const all = exponents.flatMap((exponent) => digits.map((digit) => Number(`${digit}e${exponent}`)))
  return all.filter((tick) => tick >= least && tick <= most)
}

/** Accuracies of a client, a value for each seed, in two ways. */
export interface Pair {
  readonly client: string
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** A line from one way to the other for each seed, and the means. */
export function pairChart(
  pairs: readonly Pair[],
  sides: readonly [before: string, after: string],
  title: string,
  width: number,
): string {
  const color = 'var(--blue)'
  return draw({
    width,
    marginTop: 26,
    marginBottom: 30,
    ariaLabel: title,
    ariaDescription: pairs
      .map(
        ({ client, before, after }) =>
          `${client}: ${percent(meanOf(before))} ${sides[0]}, ${percent(meanOf(after))} ${sides[1]}.`,
      )
      .join(' '),
    fx: { label: null, padding: 0.1, domain: pairs.map(({ client }) => client) },
    x: { label: null, domain: sides, padding: 0.4, tickSize: 0 },
    y: { label: null, grid: true, ticks: 5, nice: true },
    marks: pairs.flatMap(({ client, before, after }) => {
      const place = { fx: () => client, x: 'side', y: 'accuracy' }
      const pointsOf = (...values: number[]) =>
        values.map((accuracy, index) => ({ side: sides[index], accuracy: accuracy * 100 }))
      const means = pointsOf(meanOf(before), meanOf(after))
      return [
        ...before.map((share, seed) =>
          Plot.line(pointsOf(share, after[seed]), { ...place, stroke: color, strokeOpacity: 0.45 }),
        ),
        Plot.line(means, { ...place, stroke: color, strokeWidth: 3 }),
        Plot.dot(means, { ...place, r: 4, fill: color, stroke: 'var(--card)' }),
      ]
    }),
  })
}
