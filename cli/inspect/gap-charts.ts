import * as Plot from '@observablehq/plot'
import type { ChannelGap, GapReport } from '../../lib/analysis/gap/report.ts'
import { draw } from '../page/picture.ts'
import { short } from './numbers.ts'

interface Chart {
  readonly title: string
  readonly svg: string
  readonly caption: string
}

/** A channel in a picture of running against data statistics. */
interface Point {
  readonly running: number
  readonly data: number
  readonly low: number
  readonly high: number
}

const width = 420
const height = 300
/** So many channels have room beside each other. */
const shown = 64

/** Running against data statistics, and the gap of the channels before and after recalibrate. */
export function gapChartsOf(report: GapReport): Chart[] {
  const { channels } = report
  const points = (of: (channel: ChannelGap) => Point) =>
    channels.map(of).filter((point) => Number.isFinite(point.running) && Number.isFinite(point.data))
  const mean = points(({ running, data, scatter }) => ({
    running: running?.mean ?? Number.NaN,
    data: data.mean,
    low: data.mean - orZero(scatter.mean),
    high: data.mean + orZero(scatter.mean),
  }))
  const deviation = points(({ running, data, scatter }) => ({
    running: Math.sqrt(running?.variance ?? Number.NaN),
    data: Math.sqrt(data.variance),
    low: Math.sqrt(Math.max(0, data.variance - orZero(scatter.variance))),
    high: Math.sqrt(data.variance + orZero(scatter.variance)),
  }))
  return [
    comparison('Mean: running and data', 'mean', mean, channels.length),
    comparison('Standard deviation: running and data', 'standard deviation', deviation, channels.length),
    gapChart(report),
  ]
}

function comparison(title: string, quantity: string, points: readonly Point[], count: number): Chart {
  const values = points.flatMap(({ running, low, high }) => [running, low, high])
  const least = values.reduce((one, other) => Math.min(one, other), values[0] ?? 0)
  const most = values.reduce((one, other) => Math.max(one, other), values[0] ?? 1)
  const room = 0.05 * (most - least) || 0.5
  const domain = [least - room, most + room]
  const off = points.filter(({ running, low, high }) => running < low || running > high).length
  const missing = count - points.length
  const caption =
    `Each channel is a dot, its bar one standard deviation of the batches up and down; on the dashed line running and ` +
    `data ${quantity} are the same. ${off} of ${count} are farther from it than their bar.` +
    (missing > 0 ? ` ${missing} NaN or infinite, not drawn.` : '')
  const svg = draw({
    width,
    height,
    marginTop: 24,
    marginLeft: 60,
    marginRight: 24,
    ariaLabel: `${title}: a dot for each channel`,
    ariaDescription: caption,
    x: { domain, label: `running ${quantity}`, ticks: 5, tickFormat: short },
    y: { domain, label: `${quantity} of the data`, ticks: 5, tickFormat: short, grid: true },
    marks: [
      Plot.link([{ from: domain[0], to: domain[1] }], {
        x1: 'from',
        y1: 'from',
        x2: 'to',
        y2: 'to',
        stroke: 'currentColor',
        strokeDasharray: '4,3',
      }),
      Plot.ruleX(points, { x: 'running', y1: 'low', y2: 'high', stroke: 'var(--grey)' }),
      Plot.dot(points, { x: 'running', y: 'data', r: 3, fill: 'var(--blue)' }),
    ],
  })
  return { title, svg, caption }
}

function gapChart({ channels }: GapReport): Chart {
  const known = channels
    .map(({ gap, gapAfterRecalibration }, channel) => ({
      channel,
      before: gap,
      after: gapAfterRecalibration,
    }))
    .filter(({ before }) => Number.isFinite(before))
  const sorted = known
    .sort((one, other) => other.before - one.before)
    .slice(0, shown)
    .map((each, rank) => ({ ...each, rank: rank + 1 }))
  const missing = channels.length - known.length
  const left = known.length - sorted.length
  const caption =
    'Orange crosses: before; blue dots: after recalibrate on these data. The channels with the largest gaps come first' +
    (sorted.length > 0 ? `, from ${short(sorted[0].before)} in channel ${sorted[0].channel}.` : '.') +
    (left > 0 ? ` ${left} more are left out.` : '') +
    (missing > 0 ? ` ${missing} NaN or infinite, not drawn.` : '')
  const title = 'Gap: before and after recalibrate'
  const most = sorted.reduce((top, { before, after }) => Math.max(top, before, after || 0), 0)
  const svg = draw({
    width,
    height,
    marginTop: 24,
    marginLeft: 60,
    marginRight: 24,
    ariaLabel: `${title}: two marks for each channel`,
    ariaDescription: caption,
    x: {
      domain: [0.5, sorted.length + 0.5],
      label: 'channels, by their gap',
      ticks: Math.min(6, sorted.length),
      tickFormat: (rank: number) => (Number.isInteger(rank) ? String(rank) : ''),
    },
    y: {
      domain: [0, 1.08 * (most || 1)],
      label: 'gap in standard deviations',
      ticks: 5,
      tickFormat: short,
      grid: true,
    },
    marks: [
      Plot.ruleX(sorted, { x: 'rank', y1: 'before', y2: 'after', stroke: 'var(--grey)' }),
      Plot.dot(sorted, {
        x: 'rank',
        y: 'before',
        symbol: 'times',
        stroke: 'var(--orange)',
        strokeWidth: 2,
        r: 4,
      }),
      Plot.dot(sorted, { x: 'rank', y: 'after', r: 3, fill: 'var(--blue)' }),
      Plot.ruleY([0], { stroke: 'currentColor' }),
    ],
  })
  return { title, svg, caption }
}

/** Of one batch no scatter is known. */
function orZero(scatter: number): number {
  return Number.isFinite(scatter) ? scatter : 0
}
