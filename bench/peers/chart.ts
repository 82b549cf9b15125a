import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { geometricMean } from '../../cli/measure/numbers.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { type Direction, overFloor, passes } from './comparisons.ts'
import type { ContestantName } from './contestants.ts'
import type { Measurements } from './measurements.ts'

/** What the picture needs of one processor. */
export interface Subject {
  /** The processor, and the versions of the peers. */
  readonly title: string
  readonly measurements: Measurements
  readonly shapes: readonly Shape[]
  readonly threads: number
}

/** Those that keep their memory, in the order of the rows: those of Debian 13, or else others. */
const rows: readonly { title: string; color: string; names: readonly ContestantName[][] }[] = [
  { title: 'batchnorm, JavaScript', color: 'ours', names: [['out']] },
  { title: 'oneDNN, best layout', color: 'onednn', names: [['newOnednn'], ['onednn']] },
  { title: 'oneDNN, plain layout', color: 'onednn', names: [['newOnednnPlain'], ['onednnPlain']] },
  {
    title: 'PyTorch at its best',
    color: 'pytorch',
    names: [['newPytorchKept', 'newPytorchWide'], ['pytorchBest']],
  },
]

const passTitles: Record<Direction, string> = {
  forward: 'forward, training',
  backward: 'backward, training',
  eval: 'forward, eval',
}

/** Blue, orange and grey of Okabe and Ito, which colour-blind people tell apart. */
const style = `
  svg { --page: #ffffff; --text: #1c2430; --line: #c9d0d8; background: var(--page); color: var(--text);
    font: 12px system-ui, sans-serif; }
  svg { --ours: #0072b2; --onednn: #e69f00; --pytorch: #999999 }
  @media (prefers-color-scheme: dark) {
    svg { --page: #11151b; --text: #e6eaf0; --line: #3d4652; --ours: #56b4e9 }
  }
`

interface Point {
  readonly processor: string
  readonly pass: string
  readonly title: string
  readonly color: string
  readonly share: number
}

/**
 * The share of the memory's speed that each contestant reaches, the floor's time by its own: a stroke
 * a shape, a dot for their geometric mean, a row of pictures a processor. An SVG picture that follows
 * the light or dark of the page it is shown in.
 */
export function speedChart(subjects: readonly Subject[]): string {
  const groups = subjects.flatMap(groupsOf)
  const strokes = groups.flat()
  const dots = groups.map(meanOf)
  const processors = subjects.map(({ title }) => title)
  const first = passTitles[passes[0]]
  // Above 100 is what finds its input in a cache again.
  const most = Math.max(100, ...strokes.map(({ share }) => share))
  const channels = { x: 'share', y: 'title', fx: 'pass', fy: 'processor' }
  const fill = ({ color }: Point) => `var(--${color})`
  const { document } = parseHTML('<html></html>')
  const svg = Plot.plot({
    document,
    width: 960,
    height: 124 + subjects.length * 130,
    marginLeft: 170,
    marginRight: 24,
    marginTop: 84,
    marginBottom: 40,
    x: { label: "share of the memory's own speed (%)", domain: [0, most * 1.05], ticks: 5, grid: true },
    y: { label: null, domain: rows.map(({ title }) => title), padding: 0.3 },
    fx: { axis: null, domain: Object.values(passTitles), padding: 0.06 },
    fy: { label: null, axis: null, domain: processors, padding: 0.3 },
    style: { fontSize: '12px', overflow: 'visible' },
    marks: [
      Plot.axisFx({ anchor: 'top', label: null, dy: -20, fontSize: 13 }),
      Plot.ruleX([100], { stroke: 'var(--line)', strokeDasharray: '3 3' }),
      Plot.tickX(strokes, { ...channels, stroke: fill, strokeOpacity: 0.55, strokeWidth: 1.5 }),
      Plot.dot(dots, { ...channels, fill, r: 5, stroke: 'var(--page)' }),
      Plot.text(dots, {
        ...channels,
        text: ({ share }: Point) => share.toFixed(0),
        dy: -12,
        fontSize: 10,
        fill: 'currentColor',
      }),
      Plot.text(
        processors.map((processor) => ({ processor, pass: first })),
        {
          fx: 'pass',
          fy: 'processor',
          text: 'processor',
          frameAnchor: 'top-left',
          dx: -160,
          dy: -16,
          fontSize: 11,
          fontWeight: 600,
          fill: 'currentColor',
        },
      ),
    ],
  })
  const title = "Share of the memory's own speed: a stroke a shape, a dot for their geometric mean"
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  svg.setAttribute('role', 'img')
  svg.prepend(
    element(document, 'title', title),
    element(document, 'desc', describe(dots)),
    element(document, 'style', style),
  )
  const place = { x: '10', y: '22', 'text-anchor': 'start', 'font-size': '15', fill: 'currentColor' }
  svg.append(element(document, 'text', title, place))
  return svg.outerHTML
}

/** The shapes' points of each pass and row. */
function groupsOf({ title: processor, measurements, shapes, threads }: Subject): Point[][] {
  return passes
    .flatMap((pass) =>
      rows.map(({ title, color, names }) => {
        const figures = names
          .map((fastestOf) => overFloor(measurements, fastestOf, pass, shapes, threads))
          .find((each) => each.length > 0)
        const point = { processor, pass: passTitles[pass], title, color }
        return (figures ?? []).map(({ value }) => ({ ...point, share: 100 / value }))
      }),
    )
    .filter((points) => points.length > 0)
}

function meanOf(points: readonly Point[]): Point {
  return { ...points[0], share: geometricMean(points.map(({ share }) => share)) }
}

/** The picture in words. */
function describe(means: readonly Point[]): string {
  const sentences = [...new Set(means.map(({ processor }) => processor))].map((processor) => {
    const parts = means
      .filter((point) => point.processor === processor)
      .map(({ pass, title, share }) => `${pass}: ${title} ${share.toFixed(0)} %`)
    return `${processor}. ${parts.join('; ')}.`
  })
  return `Geometric means over all shapes. ${sentences.join(' ')}`
}

type Document = ReturnType<typeof parseHTML>['document']
type Element = ReturnType<Document['createElement']>

function element(
  document: Document,
  name: string,
  content: string,
  attributes: Record<string, string> = {},
): Element {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name)
  made.textContent = content
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  return made
}
