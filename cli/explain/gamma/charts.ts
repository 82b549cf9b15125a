import * as Plot from '@observablehq/plot'
import { draw } from '../../page/picture.ts'
import { percent, powerOfTen, scientific } from '../../training/format.ts'
import { spreadOf } from '../../training/statistics.ts'
import type { Comparison, GammaAnswer } from './experiment.ts'

const PANELS = [
  { activation: 'relu', title: 'before ReLU', color: 'var(--blue)' },
  { activation: 'tanh', title: 'before tanh', color: 'var(--orange)' },
] as const

/** The accuracy of each seed with and without gamma, a line from one to the other. */
export function accuracyChart(answer: GammaAnswer, width: number): string {
  const sides = ['with', 'without']
  return draw({
    width,
    marginTop: 26,
    marginBottom: 30,
    ariaLabel: 'Test accuracy with and without gamma',
    ariaDescription: PANELS.map(({ activation, title }) => describe(title, answer[activation])).join(' '),
    fx: { label: null, padding: 0.08 },
    x: { label: null, domain: sides, padding: 0.5, tickSize: 0 },
    y: { label: null, grid: true, ticks: 5, nice: true },
    marks: PANELS.flatMap(({ activation, title, color }) => {
      const { withGamma, withoutGamma } = answer[activation]
      const values = [withGamma, withoutGamma].map((accuracies) => accuracies.map((share) => share * 100))
      const runs = values.flatMap((side, index) =>
        side.map((accuracy, seed) => ({ gamma: sides[index], accuracy, seed })),
      )
      const means = values.map((side, index) => ({ gamma: sides[index], accuracy: spreadOf(side).mean }))
      const place = { fx: () => title, x: 'gamma', y: 'accuracy' }
      return [
        Plot.line(runs, { ...place, z: 'seed', stroke: color, strokeOpacity: 0.5 }),
        Plot.dot(runs, { ...place, r: 3, fill: color, fillOpacity: 0.6 }),
        Plot.line(means, { ...place, stroke: color, strokeWidth: 3 }),
        Plot.dot(means, { ...place, r: 6, fill: color, stroke: 'var(--card)', strokeWidth: 1.5 }),
      ]
    }),
  })
}

function describe(title: string, { withGamma, withoutGamma }: Comparison): string {
  const list = (accuracies: readonly number[]) => accuracies.map(percent).join(', ')
  return `${title}, seed by seed: with gamma ${list(withGamma)}; without ${list(withoutGamma)}.`
}

/** The largest change of a logit on a logarithmic scale. */
export function changeChart({ absorbed, folded, movedPastTanh }: GammaAnswer, width: number): string {
  const rows = [
    { row: 'ReLU: gamma absorbed', color: 'var(--blue)', change: absorbed.largestChange },
    { row: 'ReLU: and batch norm folded', color: 'var(--blue)', change: folded.largestChange },
    { row: 'tanh: gamma moved all the same', color: 'var(--orange)', change: movedPastTanh.largestChange },
  ]
  const exponents = rows.map(({ change }) => Math.log10(change))
  const from = 10 ** (Math.floor(Math.min(...exponents)) - 1)
  const to = 10 ** (Math.ceil(Math.max(...exponents)) + 1)
  return draw({
    width,
    marginLeft: 16,
    marginRight: 24,
    ariaLabel: 'Largest change of a logit',
    ariaDescription: `${rows.map(({ row, change }) => `${row}: ${scientific(change)}`).join('; ')}.`,
    x: {
      type: 'log',
      domain: [from, to],
      label: 'largest change of a logit (log scale)',
      grid: true,
      ticks: 5,
      tickFormat: (value: number) => powerOfTen(Math.round(Math.log10(value))),
    },
    y: { axis: null, type: 'band', domain: rows.map(({ row }) => row) },
    marks: rows.flatMap((row) => [
      Plot.ruleY([row], { y: 'row', x1: from, x2: 'change', stroke: row.color, strokeWidth: 3 }),
      Plot.dot([row], { y: 'row', x: 'change', r: 6, fill: row.color }),
      Plot.text([row], { y: 'row', frameAnchor: 'left', text: 'row', dx: 4, dy: -16 }),
      Plot.text([row], {
        y: 'row',
        x: 'change',
        text: ({ change }) => scientific(change),
        dy: 18,
        fontWeight: 600,
      }),
    ]),
  })
}
