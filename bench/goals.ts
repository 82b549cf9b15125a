/** What is to be reached, and whether it was. */

import { geometricMean, ratio } from '../cli/measure/numbers.ts'
import { afterFirst, formatTable } from '../cli/table.ts'

export interface Goal {
  readonly name: string
  readonly wanted: string
  readonly measured: string
  readonly verdict: 'met' | 'MISSED' | 'not measured'
}

/** What was measured of one case, such as a shape. */
export interface Figure {
  readonly name: string
  readonly value: number
}

/** Whether larger or smaller is better. */
export type Direction = 'at least' | 'at most'

export function meanGoal(
  name: string,
  direction: Direction,
  limit: number,
  figures: readonly Figure[],
): Goal {
  const mean = figures.length > 0 ? geometricMean(figures.map(({ value }) => value)) : undefined
  return judged(`${name}, geometric mean`, direction, limit, mean, `of ${figures.length}`)
}

/** A goal for each of the figures: judged is the worst, and where it was is told. */
export function worstGoal(
  name: string,
  direction: Direction,
  limit: number,
  figures: readonly Figure[],
): Goal {
  const worst = worstOf(direction, figures)
  return judged(`${name}, worst`, direction, limit, worst?.value, worst?.name)
}

export function goal(name: string, direction: Direction, limit: number, value: number | undefined): Goal {
  return judged(name, direction, limit, value)
}

export function worstOf(direction: Direction, figures: readonly Figure[]): Figure | undefined {
  const sign = direction === 'at least' ? 1 : -1
  return figures.toSorted((a, b) => sign * (a.value - b.value)).at(0)
}

/** Each goal that was measured, and how many were met. */
export function goalsTable(goals: readonly Goal[]): string {
  const measured = goals.filter(({ verdict }) => verdict !== 'not measured')
  const rows = measured.map(({ name, wanted, measured, verdict }) => [name, wanted, measured, verdict])
  const count = (verdict: Goal['verdict']) => goals.filter((each) => each.verdict === verdict).length
  const summary = `${count('met')} goals met, ${count('MISSED')} missed, ${count('not measured')} not measured`
  return `${formatTable(['goal', 'wanted', 'measured', 'verdict'], rows, afterFirst)}\n\n${summary}`
}

function judged(
  name: string,
  direction: Direction,
  limit: number,
  value: number | undefined,
  remark = '',
): Goal {
  const wanted = `${direction} ${limit}`
  if (value === undefined) return { name, wanted, measured: '-', verdict: 'not measured' }
  const met = direction === 'at least' ? value >= limit : value <= limit
  return { name, wanted, measured: `${ratio(value)} ${remark}`.trim(), verdict: met ? 'met' : 'MISSED' }
}
