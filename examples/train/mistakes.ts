import * as Plot from '@observablehq/plot'
import { drawDigit } from '../../cli/page/digit.ts'
import { html, type Markup } from '../../cli/page/markup.ts'
import { draw, figure } from '../../cli/page/picture.ts'
import { CLASSES, PIXELS } from '../../cli/training/digits.ts'
import { nameOf, type Run, rightOf } from './run.ts'

/** Digits that are drawn. */
export const DIGITS_SHOWN = 22

interface Cell {
  readonly label: number
  readonly told: number
  readonly count: number
}

/** Which digits are taken for which, and some of those that are. */
export function mistakeSection(runs: readonly Run[]): Markup {
  const wrong = [...runs[0].told.keys()].filter((digit) => runs[0].told[digit] !== runs[0].test.labels[digit])
  const shown = wrong.slice(0, DIGITS_SHOWN)
  return html`<section>
<h2>What is told wrongly</h2>
<div class="pair">
${runs.map((run) =>
  figure(
    `Test digits ${nameOf(run)}`,
    confusionChart(run),
    `A row for each digit, a column for what it was told to be. ${run.test.count - rightOf(run)} are told wrongly.`,
  ),
)}
</div>
<p>The first ${shown.length} of the ${wrong.length} digits that the network ${nameOf(runs[0])} tells wrongly.</p>
<ul class="card digits">
${shown.map((digit) => digitItem(runs[0], digit))}</ul>
</section>`
}

/** How many test digits of each class are told to be of each. */
export function confusionOf({ test, told }: Run): Cell[] {
  const counts = new Array<number>(CLASSES * CLASSES).fill(0)
  told.forEach((label, digit) => {
    counts[test.labels[digit] * CLASSES + label]++
  })
  return counts.map((count, at) => ({ label: Math.floor(at / CLASSES), told: at % CLASSES, count }))
}

function confusionChart(run: Run): string {
  const cells = confusionOf(run).filter(({ count }) => count > 0)
  const wrong = cells.filter(({ label, told }) => label !== told).sort((a, b) => b.count - a.count)
  const most = wrong.slice(0, 3).map(({ label, told, count }) => `${label} told as ${told}: ${count}`)
  const place = { x: 'told', y: 'label', inset: 0.5 }
  const classes = Array.from({ length: CLASSES }, (_, label) => label)
  return draw({
    width: 420,
    height: 360,
    marginTop: 4,
    marginLeft: 40,
    ariaLabel: `Confusion matrix ${nameOf(run)}`,
    ariaDescription: `${rightOf(run)} of ${run.test.count} told right. Most often wrong: ${most.join('; ')}.`,
    x: { label: 'told', domain: classes, tickSize: 0 },
    y: { label: 'digit', domain: classes, tickSize: 0 },
    opacity: { type: 'identity' },
    marks: [
      Plot.cell(
        cells.filter(({ label, told }) => label === told),
        { ...place, fill: 'var(--blue)', fillOpacity: 0.25 },
      ),
      Plot.cell(wrong, {
        ...place,
        fill: 'var(--orange)',
        fillOpacity: ({ count }: Cell) => 0.15 + (0.6 * count) / wrong[0].count,
      }),
      Plot.text(cells, { x: 'told', y: 'label', text: ({ count }: Cell) => String(count), fontSize: 11 }),
    ],
  })
}

function digitItem({ test, told }: Run, digit: number): Markup {
  const words = `${test.labels[digit]}, told as ${told[digit]}`
  const pixels = test.inputs.subarray(digit * PIXELS, (digit + 1) * PIXELS)
  return html`<li>${drawDigit(pixels, `A ${words}`, `Digit ${digit + 1} of the test, handwritten.`)}${words}</li>
`
}
