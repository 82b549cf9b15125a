import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { bytesOf, nameOf, type Shape } from '../../lib/measure/shapes.ts'
import { overFloor, type Pass, passes } from './comparisons.ts'
import type { ContestantName } from './contestants.ts'
import type { Measurements } from './measurements.ts'

/** Those that keep their memory, in the order of the bars. */
const shown: readonly { name: ContestantName; title: string }[] = [
  { name: 'out', title: 'batchnorm, from JavaScript' },
  { name: 'onednn', title: 'oneDNN' },
  { name: 'pytorchBest', title: 'PyTorch at its best' },
]

const passTitles: Record<Pass, string> = {
  forward: 'forward, training',
  backward: 'backward, training',
  eval: 'forward, eval',
}

/** Blue, orange and grey of Okabe and Ito, which colour-blind people tell apart. */
const style = `
  svg { --page: #ffffff; --text: #1c2430; --line: #c9d0d8; background: var(--page); color: var(--text);
    font: 12px system-ui, sans-serif; }
  svg { --out: #0072b2; --onednn: #e69f00; --pytorchBest: #999999 }
  @media (prefers-color-scheme: dark) {
    svg { --page: #11151b; --text: #e6eaf0; --line: #3d4652; --out: #56b4e9 }
  }
`

/**
 * Bars of the share of the memory's speed that each contestant reaches: the floor's time by its own.
 * An SVG picture that follows the light or dark of the page it is shown in.
 */
export function speedChart(
  measurements: Measurements,
  shapes: readonly Shape[],
  threads: number,
  machine: string,
): string {
  const bars = shapes.flatMap((shape) =>
    passes.flatMap((pass) =>
      shown.flatMap(({ name, title }) => {
        const over = overFloor(measurements, name, pass, shape, threads)
        return over === undefined
          ? []
          : [{ shape: nameOf(shape), pass: passTitles[pass], name, title, share: 100 / over }]
      }),
    ),
  )
  const measured = shapes
    .toSorted((a, b) => bytesOf(a) - bytesOf(b))
    .map(nameOf)
    .filter((shape) => bars.some((bar) => bar.shape === shape))
  // Above 100 is what finds its input in a cache again.
  const most = Math.max(100, ...bars.map(({ share }) => share))
  const place = { x: 'share', y: 'name', fx: 'pass', fy: 'shape' }
  const { document } = parseHTML('<html></html>')
  const svg = Plot.plot({
    document,
    width: 960,
    height: 110 + measured.length * 44,
    marginLeft: 110,
    marginRight: 24,
    marginTop: 76,
    marginBottom: 44,
    x: { label: "share of the memory's own speed (%)", domain: [0, most * 1.1], ticks: 5, grid: true },
    y: { axis: null, domain: shown.map(({ name }) => name), padding: 0.12 },
    fx: { label: null, domain: Object.values(passTitles), padding: 0.08 },
    fy: { label: null, axis: 'left', domain: measured, padding: 0.2 },
    style: { fontSize: '12px', overflow: 'visible' },
    marks: [
      Plot.barX(bars, {
        ...place,
        fill: ({ name }) => `var(--${name})`,
        title: ({ title, shape, pass, share }) => `${title}, ${shape}, ${pass}: ${share.toFixed(0)} %`,
      }),
      Plot.text(bars, {
        ...place,
        text: ({ share }) => share.toFixed(0),
        textAnchor: 'start',
        dx: 3,
        fontSize: 10,
      }),
      Plot.ruleX([0], { stroke: 'var(--line)' }),
    ],
  })
  const title = `Share of the memory's own speed, ${threads} thread${threads === 1 ? '' : 's'}`
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  svg.setAttribute('role', 'img')
  svg.prepend(
    element(document, 'title', title),
    element(document, 'desc', describe(bars, measured)),
    element(document, 'style', style),
  )
  svg.append(...legend(document, title, machine))
  return svg.outerHTML
}

type Document = ReturnType<typeof parseHTML>['document']
type Element = ReturnType<Document['createElement']>

interface Bar {
  readonly shape: string
  readonly pass: string
  readonly title: string
  readonly share: number
}

/** The picture in words. */
function describe(bars: readonly Bar[], shapes: readonly string[]): string {
  const rows = shapes.map((shape) => {
    const parts = Object.values(passTitles).map((pass) => {
      const figures = bars
        .filter((bar) => bar.shape === shape && bar.pass === pass)
        .map(({ title, share }) => `${title} ${share.toFixed(0)} %`)
      return `${pass}: ${figures.join(', ')}`
    })
    return `${shape}: ${parts.join('; ')}.`
  })
  return `What reading and writing the arrays alone would take, in parts of the time taken. ${rows.join(' ')}`
}

function legend(document: Document, title: string, machine: string): Element[] {
  const text = (content: string, x: number, y: number, attributes: Record<string, string> = {}) =>
    element(document, 'text', content, {
      x: String(x),
      y: String(y),
      fill: 'currentColor',
      'text-anchor': 'start',
      ...attributes,
    })
  return [
    text(title, 10, 20, { 'font-size': '16', 'font-weight': '600' }),
    text(machine, 10, 36, { 'font-size': '10', opacity: '0.75' }),
    ...shown.flatMap(({ name, title }, index) => {
      const x = 10 + index * 200
      return [
        element(document, 'rect', '', {
          x: String(x),
          y: '44',
          width: '12',
          height: '10',
          fill: `var(--${name})`,
        }),
        text(title, x + 18, 53),
      ]
    }),
  ]
}

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
