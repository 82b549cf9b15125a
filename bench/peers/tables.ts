import { afterFirst, formatTable } from '../../lib/cli/table.ts'
import { ratio, threeDigits } from '../../lib/measure/numbers.ts'
import { nameOf, type Shape } from '../../lib/measure/shapes.ts'
import { comparisons, floorOf, overFloor, type Pass, passes, speedup } from './comparisons.ts'
import type { Contestant } from './contestants.ts'
import type { Measurements } from './measurements.ts'
import type { Target } from './targets.ts'

/**
 * Medians in microseconds, a row a shape, a table an operation and number of threads. `x floor` is how
 * many times the floor ours takes from C++; `x PEER` how many times faster than the peer is ours.
 */
export function timesTables(
  measurements: Measurements,
  shapes: readonly Shape[],
  threads: readonly number[],
  contestants: readonly Contestant[],
): string {
  return threads
    .flatMap((count) =>
      passes.map((pass) => {
        const title = `${pass}, ${count} thread${count === 1 ? '' : 's'}, microseconds`
        return `${title}\n\n${timesTable(measurements, shapes, count, pass, contestants)}`
      }),
    )
    .join('\n\n')
}

function timesTable(
  measurements: Measurements,
  shapes: readonly Shape[],
  threads: number,
  pass: Pass,
  contestants: readonly Contestant[],
): string {
  const shown = contestants.filter(({ operations }) => operations.includes(pass))
  const header = [
    'shape',
    'floor',
    ...shown.map(({ title }) => title),
    'x floor',
    ...comparisons.map(({ peer }) => `x ${contestants.find(({ name }) => name === peer)?.title ?? peer}`),
  ]
  const rows = shapes.map((shape) => [
    nameOf(shape),
    cell(floorOf(measurements, pass, shape, threads), threeDigits),
    ...shown.map(({ name, singleThreaded }) =>
      cell(measurements.median(name, pass, shape, singleThreaded ? 1 : threads), threeDigits),
    ),
    cell(overFloor(measurements, 'native', pass, shape, threads), ratio),
    ...comparisons.map((comparison) => cell(speedup(measurements, comparison, pass, shape, threads), ratio)),
  ])
  return formatTable(header, rows, afterFirst)
}

export function targetsTable(targets: readonly Target[]): string {
  return formatTable(
    ['target', 'wanted', 'measured', 'verdict'],
    targets.map(({ name, wanted, measured, verdict }) => [name, wanted, measured, verdict]),
    afterFirst,
  )
}

function cell(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? '-' : format(value)
}
