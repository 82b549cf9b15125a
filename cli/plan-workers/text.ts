import { formatTable } from '../table.ts'
import { shown } from './plan.ts'
import type { Report } from './report.ts'
import { cellsAlone, cellsOf, titles, titlesAlone } from './table.ts'

/** The report for a terminal. */
export function textOf({ options: { batch }, plans, facts, sentences }: Report): string {
  const rows = shown(plans).map((plan) => [
    ...cellsOf(plan),
    ...(batch === undefined ? [] : cellsAlone(plan, batch)),
  ])
  const all = batch === undefined ? titles : [...titles, ...titlesAlone]
  return [
    ...facts.map(([name, value]) => `${name}: ${value}`),
    '',
    'What synchronizing adds to a step, forward and backward; the averaging of gradients is not in it:',
    '',
    formatTable(all, rows, (column) => !['faster', 'moments in'].includes(all[column])),
    '',
    ...sentences,
  ].join('\n')
}
