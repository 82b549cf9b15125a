import * as Plot from '@observablehq/plot'
import { type Finding, farMean } from '../../lib/checkpoints/summarize.ts'
import { draw } from '../page/picture.ts'
import { type Bin, type LogHistogram, logHistogram } from './histogram.ts'
import type { Inspected } from './listing.ts'
import { short } from './numbers.ts'
import { ticksOf } from './ticks.ts'

/** One number of each channel, how it is spread, and which channels are flagged for it. */
interface Chart {
  readonly title: string
  readonly svg: string
  readonly caption: string
}

interface Quantity {
  readonly title: string
  readonly label: string
  /** Their sizes have places on the axis; those below 0 are counted downwards. */
  readonly values: readonly number[]
  readonly findings: readonly Finding[]
  /** A value that means something, marked by a line. */
  readonly line?: { readonly at: number; readonly name: string }
}

const width = 420

/** The pictures of a batch norm: its scale and shift, its running standard deviation, its running mean. */
export function chartsOf(batchNorm: Inspected, eps: number): Chart[] {
  const { weight, bias, running_mean: mean, running_var: variance } = batchNorm.state
  const numbers = (values: ArrayLike<number | bigint> | undefined) => Array.from(values ?? [], Number)
  const [means, variances] = [numbers(mean), numbers(variance)]
  const scale: Quantity = {
    title: 'Scale',
    label: 'gamma',
    values: numbers(weight),
    findings: ['dead scale'],
  }
  const shift: Quantity = { title: 'Shift', label: 'beta', values: numbers(bias), findings: [] }
  const quantities: Quantity[] = [
    ...(weight === undefined ? [] : [scale]),
    ...(bias === undefined ? [] : [shift]),
    {
      title: 'Running standard deviation',
      label: 'sqrt(running_var)',
      values: variances.map(Math.sqrt),
      findings: ['variance near eps', 'never updated', 'negative variance'],
      line: { at: Math.sqrt(eps), name: 'sqrt(eps)' },
    },
    {
      title: 'Running mean',
      label: 'running_mean in standard deviations',
      values: means.map((value, c) => value / Math.sqrt(variances[c] + eps)),
      findings: ['mean far from zero'],
      ...(batchNorm.findings.has('mean far from zero') && { line: { at: farMean, name: String(farMean) } }),
    },
  ]
  return quantities.map((quantity) => chartOf(batchNorm, quantity))
}

function chartOf({ findings }: Inspected, quantity: Quantity): Chart {
  const { title, label, values, line } = quantity
  const flagged = new Set(quantity.findings.flatMap((finding) => findings.get(finding) ?? []))
  const drawn = [...values.keys()].filter((c) => Number.isFinite(values[c]))
  const caption = captionOf(quantity, flagged, drawn)
  const lines = line && line.at > 0 ? [{ ...line, place: Math.log10(line.at) }] : []
  // All sizes are shown to each histogram, so that those of the two signs have the same bins.
  const sizes = (channels: readonly number[]) => channels.map((c) => Math.abs(values[c]))
  const shown = [...sizes(drawn), ...lines.map(({ at }) => at)]
  const histogramOf = (channels: readonly number[]) =>
    logHistogram(
      sizes(channels),
      channels.map((c) => flagged.has(c)),
      shown,
    )
  const whole = histogramOf(drawn)
  const sides = [
    { sign: 1, bins: histogramOf(drawn.filter((c) => !(values[c] < 0))).bins },
    { sign: -1, bins: histogramOf(drawn.filter((c) => values[c] < 0)).bins },
  ]
  const { domain } = whole
  const [up, down] = sides.map(({ bins }) => bins.reduce((top, { count }) => Math.max(top, count), 0))
  // Beyond the bars there is room for the crosses and for the name of the line.
  const heights = [down > 0 ? -1.25 * down : 0, 1.25 * Math.max(up, down > 0 ? 0 : 1)]
  const svg = draw({
    width,
    height: 230,
    marginTop: 22,
    ariaLabel: `${title}: histogram over the channels`,
    ariaDescription: `How many channels have which ${label}, on a logarithmic axis of its size. ${caption}`,
    x: { domain: [...domain], label, ...ticksOf(whole) },
    y: {
      label: down > 0 ? 'channels: up +, down \u2212' : 'channels',
      domain: heights,
      ticks: Math.min(5, down > 0 ? up + down + 1 : Math.max(up, 1)),
      tickFormat: (count: number) => (Number.isInteger(count) ? String(Math.abs(count)) : ''),
      grid: true,
    },
    marks: [
      ...sides.flatMap(({ sign, bins }) => barsOf(bins, sign)),
      Plot.ruleX(lines, { x: 'place', stroke: 'currentColor', strokeDasharray: '4,3' }),
      ...lines.map((each) => {
        const side = each.place < (domain[0] + domain[1]) / 2 ? 1 : -1
        const textAnchor = side > 0 ? 'start' : 'end'
        return Plot.text([each], { x: 'place', text: 'name', frameAnchor: 'top', textAnchor, dx: 5 * side })
      }),
      Plot.ruleY([0], { stroke: 'currentColor' }),
    ],
  })
  return { title, svg, caption }
}

/** Up for a sign of 1, down for -1; what is flagged is at the end, with a cross beyond it. */
function barsOf(bins: LogHistogram['bins'], sign: number): Plot.Markish[] {
  const across = { x1: 'from', x2: 'to', insetLeft: 0.5, insetRight: 0.5 }
  const end = ({ count }: Bin) => sign * count
  const unmarked = ({ count, marked }: Bin) => sign * (count - marked)
  return [
    Plot.rectY(bins, { ...across, y1: 0, y2: unmarked, fill: 'var(--blue)' }),
    Plot.rectY(bins, { ...across, y1: unmarked, y2: end, fill: 'var(--orange)' }),
    Plot.dot(
      bins.filter(({ marked }) => marked > 0),
      {
        x: 'middle',
        y: end,
        dy: -8 * sign,
        symbol: 'times',
        stroke: 'var(--orange)',
        strokeWidth: 2,
        r: 4,
      },
    ),
  ]
}

function captionOf({ values }: Quantity, flagged: ReadonlySet<number>, drawn: readonly number[]): string {
  const sorted = drawn.map((c) => values[c]).sort((a, b) => a - b)
  const negative = sorted.filter((value) => value < 0).length
  const missing = values.length - drawn.length
  return [
    sorted.length > 0 ? `Median ${short(sorted[sorted.length >> 1])}, ` : '',
    sorted.length > 0 ? `from ${short(sorted[0])} to ${short(sorted[sorted.length - 1])}.` : '',
    negative > 0 ? ` ${negative} of ${values.length} negative.` : '',
    flagged.size > 0 ? ` ${flagged.size} of ${values.length} flagged (\u00d7).` : '',
    missing > 0 ? ` ${missing} NaN or infinite, not drawn.` : '',
  ].join('')
}
