import * as Plot from '@observablehq/plot'
import type { Saturation, SaturationParts } from '../../../lib/index.ts'
import { draw } from '../../page/picture.ts'
import type { Examples } from '../../training/examples.ts'
import { percent } from '../../training/format.ts'
import { EDGE, GRID, type Region } from './experiment.ts'

/** Test points that are drawn; all of them would be a blot. */
const POINTS_SHOWN = 240
const SIZE = 340
const MARGIN = 6

/** Which class a network sees in each part of the plane, and test points of both. */
export function regionChart({ accuracy, margins }: Region, title: string, test: Examples): string {
  const points = Array.from({ length: POINTS_SHOWN }, (_, index) => ({
    x: test.inputs[2 * index],
    y: test.inputs[2 * index + 1],
    label: test.labels[index],
  }))
  const margin = { marginTop: MARGIN, marginRight: MARGIN, marginBottom: MARGIN, marginLeft: MARGIN }
  const plane = { x1: -EDGE, x2: EDGE, y1: -EDGE, y2: EDGE }
  // The second class' region covers the first's: opaque, then tinted.
  const second = { ...plane, width: GRID, height: GRID, value: Plot.identity, thresholds: [0] }
  const dots = (label: number, options: Plot.DotOptions) =>
    Plot.dot(
      points.filter((point) => point.label === label),
      { x: 'x', y: 'y', r: 3, stroke: 'var(--card)', strokeWidth: 0.6, ...options },
    )
  return draw({
    width: SIZE,
    height: SIZE,
    ...margin,
    ariaLabel: `Decision regions: ${title}`,
    ariaDescription: `${sharesOf(margins)} ${percent(accuracy)} of the test points lie in the region of their class.`,
    x: { axis: null, domain: [-EDGE, EDGE] },
    y: { axis: null, domain: [-EDGE, EDGE] },
    marks: [
      Plot.rect([plane], { x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: 'var(--blue)', fillOpacity: 0.22 }),
      Plot.contour(margins, { ...second, fill: 'var(--card)' }),
      Plot.contour(margins, { ...second, fill: 'var(--orange)', fillOpacity: 0.26, stroke: 'currentColor' }),
      Plot.frame(),
      dots(0, { symbol: 'circle', fill: 'var(--blue)' }),
      dots(1, { symbol: 'triangle', fill: 'var(--orange)' }),
    ],
  })
}

function sharesOf(margins: Float32Array): string {
  const second = margins.filter((margin) => margin > 0).length / margins.length
  return `The first class has ${percent(1 - second)} of the square, the second ${percent(second)}.`
}

/** The parts in the order of their slope. */
export const PARTS: readonly {
  readonly part: keyof SaturationParts
  readonly color: string
  readonly opacity: number
}[] = [
  { part: 'linear', color: 'var(--blue)', opacity: 1 },
  { part: 'curved', color: 'var(--blue)', opacity: 0.5 },
  { part: 'saturated', color: 'var(--orange)', opacity: 0.5 },
  { part: 'dead', color: 'var(--orange)', opacity: 1 },
]

/** The width of the shortest segment that has room for its label. */
const LABELLED = 45

/** The parts of tanh that its inputs lie in, before batch norm and after. */
export function saturationChart({ before, after }: Saturation, width: number): string {
  const rows = [
    { row: 'before batch norm', parts: before },
    { row: 'normalized', parts: after },
  ]
  const segments = rows.flatMap(({ row, parts }) => {
    let end = 0
    return PARTS.map(({ part, color, opacity }) => {
      const from = end
      end += parts[part]
      return { row, part, color, opacity, from, to: end, share: parts[part] }
    })
  })
  const text = (parts: SaturationParts) =>
    PARTS.map(({ part }) => `${part} ${percent(parts[part])}`).join(', ')
  return draw({
    width,
    height: 210,
    marginLeft: 16,
    marginRight: 24,
    ariaLabel: 'Parts of tanh in use',
    ariaDescription: `${rows.map(({ row, parts }) => `${row}: ${text(parts)}`).join('. ')}.`,
    x: { domain: [0, 100], label: 'share of the values (%)', ticks: 5 },
    y: { axis: null, type: 'band', domain: rows.map(({ row }) => row), padding: 0.5 },
    marks: [
      ...segments.map((segment) =>
        Plot.barX([segment], {
          y: 'row',
          x1: ({ from }) => from * 100,
          x2: ({ to }) => to * 100,
          fill: segment.color,
          fillOpacity: segment.opacity,
          insetRight: 1,
        }),
      ),
      ...segments
        .filter(({ share }) => share * width >= LABELLED)
        .map((segment) =>
          Plot.text([segment], {
            y: 'row',
            x: ({ from, to }) => (from + to) * 50,
            text: ({ share }) => `${Math.round(share * 100)} %`,
            fill: segment.opacity === 1 ? 'var(--card)' : 'currentColor',
            fontWeight: 600,
          }),
        ),
      Plot.text(rows, { y: 'row', frameAnchor: 'left', text: 'row', dy: -34 }),
    ],
  })
}
