import { geometricMean, ratio, threeDigits } from '../../cli/measure/numbers.ts'
import { nameOf } from '../../cli/measure/shapes.ts'
import { afterFirst, formatTable } from '../../cli/table.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { type Figure, worstOf } from '../goals.ts'
import {
  type Comparison,
  comparisons,
  type Direction,
  floorOf,
  overFloor,
  passes,
  speedups,
} from './comparisons.ts'
import type { Contestant, ContestantName } from './contestants.ts'
import type { Measurements } from './measurements.ts'

export interface Shown {
  readonly measurements: Measurements
  readonly shapes: readonly Shape[]
  readonly threads: readonly number[]
  readonly contestants: readonly Contestant[]
  /** A contestant's product and version, such as `PyTorch 2.6`, and with how it is used. */
  readonly productOf: (name: ContestantName) => string
  readonly columnOf: (name: ContestantName) => string
}

/** Two tables an operation and number of threads, a row a shape: times, and ratios of them. */
export function timesTables(shown: Shown): string {
  return shown.threads
    .flatMap((threads) =>
      passes.flatMap((pass) => {
        const title = `${pass}, ${threads} thread${threads === 1 ? '' : 's'}`
        return [
          `${title}: microseconds\n\n${timesTable(shown, threads, pass)}`,
          `${title}: in floors, and times as fast as peers\n\n${ratiosTable(shown, threads, pass)}`,
        ]
      }),
    )
    .join('\n\n')
}

function timesTable(
  { measurements, shapes, contestants, columnOf }: Shown,
  threads: number,
  pass: Direction,
): string {
  const others = contestants.filter(({ name, operations }) => name !== 'floor' && operations.includes(pass))
  const rows = shapes.map((shape) => [
    nameOf(shape),
    cell(floorOf(measurements, pass, shape, threads), threeDigits),
    ...others.map(({ name, singleThreaded }) =>
      cell(measurements.median(name, pass, shape, singleThreaded ? 1 : threads), threeDigits),
    ),
  ])
  return formatTable(['shape', 'floor', ...others.map(({ name }) => columnOf(name))], rows, afterFirst)
}

function ratiosTable(
  { measurements, shapes, contestants, productOf }: Shown,
  threads: number,
  pass: Direction,
): string {
  const present = Object.values<Comparison>(comparisons).filter(({ peers }) =>
    contestants.some(({ name }) => peers.includes(name)),
  )
  const columns = [
    {
      title: 'C++ in floors',
      worst: 'at most' as const,
      figures: overFloor(measurements, ['native'], pass, shapes, threads),
    },
    ...present.map((comparison) => ({
      title: `${productOf(comparison.peers[0])} ${comparison.how}`,
      worst: 'at least' as const,
      figures: speedups(measurements, comparison, pass, shapes, threads),
    })),
  ]
  const valueAt = (figures: readonly Figure[], name: string) =>
    figures.find((figure) => figure.name === name)?.value
  const rows = [
    ...shapes.map((shape) => [
      nameOf(shape),
      ...columns.map(({ figures }) => cell(valueAt(figures, nameOf(shape)), ratio)),
    ]),
    ['geometric mean', ...columns.map(({ figures }) => cell(meanOf(figures), ratio))],
    ['worst', ...columns.map(({ figures, worst }) => cell(worstOf(worst, figures)?.value, ratio))],
  ]
  return formatTable(['shape', ...columns.map(({ title }) => title)], rows, afterFirst)
}

function meanOf(figures: readonly Figure[]): number | undefined {
  return figures.length === 0 ? undefined : geometricMean(figures.map(({ value }) => value))
}

function cell(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '-' : format(value)
}
