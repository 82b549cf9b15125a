import * as Plot from '@observablehq/plot'
import { type Finding, farMean } from '../../lib/checkpoints/summarize.ts'
import { draw } from '../page/picture.ts'
import { type LogHistogram, logHistogram } from './histogram.ts'
import type { Inspected } from './listing.ts'

/** One number of each channel, how it is spread, and which channels are flagged for it. */
interface Chart {
  readonly title: string
  readonly svg: string
  readonly caption: string
}

interface Quantity {
  readonly title: string
  readonly label: string
  readonly values: readonly number[]
  readonly findings: readonly Finding[]
  /** A value that means something, marked by a line. */
  readonly line?: { readonly at: number; readonly name: string }
  readonly note?: string
}

const width = 340

/** The pictures of a batch norm: its scale, its running standard deviation, its running mean. */
export function chartsOf(batchNorm: Inspected, eps: number): Chart[] {
  const { weight, running_mean: mean, running_var: variance } = batchNorm.state
  const numbers = (values: ArrayLike<number | bigint> | undefined) => Array.from(values ?? [], Number)
  const [gammas, means, variances] = [numbers(weight), numbers(mean), numbers(variance)]
  const negative = gammas.filter((gamma) => gamma < 0).length
  const scale: Quantity = {
    title: 'Scale',
    label: '|gamma|',
    values: gammas.map(Math.abs),
    findings: ['dead scale'],
    note: negative > 0 ? `${negative} negative.` : '',
  }
  const quantities: Quantity[] = [
    ...(weight === undefined ? [] : [scale]),
    {
      title: 'Running standard deviation',
      label: 'sqrt(running_var)',
      values: variances.map(Math.sqrt),
      findings: ['variance near eps', 'never updated', 'negative variance'],
      line: { at: Math.sqrt(eps), name: 'sqrt(eps)' },
    },
    {
      title: 'Running mean',
      label: '|running_mean| in standard deviations',
      values: means.map((value, c) => Math.abs(value) / Math.sqrt(variances[c] + eps)),
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
  const histogram = logHistogram(
    drawn.map((c) => values[c]),
    drawn.map((c) => flagged.has(c)),
    lines.map(({ at }) => at),
  )
  const { domain, bins } = histogram
  const across = { x1: 'from', x2: 'to', insetLeft: 0.5, insetRight: 0.5 }
  const top = Math.max(1, ...bins.map(({ count }) => count))
  const svg = draw({
    width,
    height: 230,
    marginTop: 22,
    ariaLabel: `${title}: histogram over the channels`,
    ariaDescription: `How many channels have which ${label}, on a logarithmic axis. ${caption}`,
    x: { domain: [...domain], label, ...ticksOf(histogram) },
    // Above the bars there is room for the crosses and for the name of the line.
    y: { label: 'channels', domain: [0, top * 1.25], ticks: Math.min(4, top), tickFormat: 'd', grid: true },
    marks: [
      Plot.rectY(bins, { ...across, y1: 0, y2: ({ count, marked }) => count - marked, fill: 'var(--blue)' }),
      Plot.rectY(bins, {
        ...across,
        y1: ({ count, marked }) => count - marked,
        y2: 'count',
        fill: 'var(--orange)',
      }),
      Plot.dot(
        bins.filter(({ marked }) => marked > 0),
        { x: 'middle', y: 'count', dy: -8, symbol: 'times', stroke: 'var(--orange)', strokeWidth: 2, r: 4 },
      ),
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

function captionOf(
  { values, note }: Quantity,
  flagged: ReadonlySet<number>,
  drawn: readonly number[],
): string {
  const sorted = drawn.map((c) => values[c]).sort((a, b) => a - b)
  const missing = values.length - drawn.length
  return [
    sorted.length > 0 ? `Median ${short(sorted[sorted.length >> 1])}, ` : '',
    sorted.length > 0 ? `from ${short(sorted[0])} to ${short(sorted[sorted.length - 1])}.` : '',
    note ? ` ${note}` : '',
    flagged.size > 0 ? ` ${flagged.size} of ${values.length} flagged (\u00d7).` : '',
    missing > 0 ? ` ${missing} NaN or infinite, not drawn.` : '',
  ].join('')
}

/** Powers of ten, thinned out; between two of them, rounded numbers. The zeros have a tick of their own. */
function ticksOf({ positive: [least, most], bins, zero }: LogHistogram): Plot.ScaleOptions {
  const first = Math.ceil(least)
  const decades = Math.floor(most) - first
  const step = Math.max(1, Math.ceil(decades / 4))
  const powers = Array.from({ length: Math.floor(decades / step) + 1 }, (_, index) => first + index * step)
  const between = [0.15, 0.5, 0.85].map((share) =>
    Math.log10(rounded(10 ** (least + share * (most - least)))),
  )
  const hasPositive = bins.some(({ middle }) => middle > least)
  const ticks = decades >= 1 ? powers : hasPositive ? between : []
  return {
    ticks: zero === null ? ticks : [zero, ...ticks],
    tickFormat: (place: number) => (place === zero ? '0' : short(10 ** place)),
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(2))
}

/** Three significant digits: `0.982`, `1.2e-7`. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)))
}
