import { geometricMean, median, ratio, threeDigits } from '../../cli/measure/numbers.ts'
import { nameOf } from '../../cli/measure/shapes.ts'
import { afterFirst, formatTable } from '../../cli/table.ts'
import { worstOf } from '../goals.ts'
import type { Operation, ValueType } from './cases.ts'
import { floorsOf } from './goals.ts'
import type { Measurement } from './program.ts'

/** A row a shape, a column an operation: in floors, microseconds behind it. */
export function floorsTable(measurements: readonly Measurement[], type: ValueType): string {
  const alone = measurements.filter((each) => each.threads === 1 && each.type === type)
  const summary = (name: string, of: (operation: Operation) => number) => [
    name,
    ...operationsIn(alone).map((operation) => ratio(of(operation))),
  ]
  const valuesOf = (operation: Operation) => floorsOf(alone, operation, type)
  return table(alone, `${type}, one thread: in floors, microseconds`, cellOfFloors, [
    summary('geometric mean', (operation) => geometricMean(valuesOf(operation).map(({ value }) => value))),
    summary('worst', (operation) => worstOf('at most', valuesOf(operation))?.value ?? Number.NaN),
  ])
}

/** How many times as fast as one thread. */
export function gainsTable(measurements: readonly Measurement[], type: ValueType, threads: number): string {
  const together = measurements.filter((each) => each.threads === threads && each.type === type)
  return table(together, `${type}, ${threads} threads: times as fast as one, microseconds`, cellOfGain)
}

/** How many times as fast as another build; both in turns, several times each. */
export function comparisonTable(ours: readonly Measurement[], theirs: readonly Measurement[]): string {
  const others = groups(theirs)
  const rows = [...groups(ours)].flatMap(([name, runs]) => {
    const times = runs.map(({ microseconds }) => microseconds)
    const otherTimes = (others.get(name) ?? []).map(({ microseconds }) => microseconds)
    if (otherTimes.length === 0) return []
    const gains = times.map((time, turn) => otherTimes[turn] / time)
    const floors = (of: readonly Measurement[]) => {
      const known = of.flatMap(({ inFloors }) => inFloors ?? [])
      return known.length > 0 ? ratio(median(known)) : '-'
    }
    return [
      [
        name,
        threeDigits(median(otherTimes)),
        threeDigits(median(times)),
        floors(others.get(name) ?? []),
        floors(runs),
        ratio(median(gains)),
      ],
    ]
  })
  const header = ['', 'other us', 'this us', 'other floors', 'this floors', 'times as fast']
  return formatTable(header, rows, afterFirst)
}

function cellOfFloors({ inFloors, microseconds }: Measurement): string {
  return `${ratio(inFloors ?? Number.NaN)} ${threeDigits(microseconds).padStart(6)}`
}

function cellOfGain({ gain, microseconds }: Measurement): string {
  return `${gain === undefined ? '-' : ratio(gain)} ${threeDigits(microseconds).padStart(6)}`
}

function table(
  measurements: readonly Measurement[],
  title: string,
  cell: (measurement: Measurement) => string,
  summaries: readonly string[][] = [],
): string {
  const operations = operationsIn(measurements)
  const shapes = [...new Set(measurements.map(({ shape }) => nameOf(shape)))]
  const rows = shapes.map((shape) => [
    shape,
    ...operations.map((operation) => {
      const found = measurements.find((each) => nameOf(each.shape) === shape && each.operation === operation)
      return found === undefined ? '-' : cell(found)
    }),
  ])
  return `${title}\n\n${formatTable(['', ...operations], [...rows, ...summaries.map(padded)], afterFirst)}`
}

/** Ratios stand below ratios. */
function padded([name, ...cells]: readonly string[]): string[] {
  return [name, ...cells.map((cell) => `${cell}       `)]
}

function operationsIn(measurements: readonly Measurement[]): Operation[] {
  return [...new Set(measurements.map(({ operation }) => operation))]
}

function groups(measurements: readonly Measurement[]): Map<string, Measurement[]> {
  const found = new Map<string, Measurement[]>()
  for (const each of measurements) {
    const { shape, type, operation, threads } = each
    const name = `${nameOf(shape)} ${type} ${operation}, ${threads} thread${threads === 1 ? '' : 's'}`
    found.set(name, [...(found.get(name) ?? []), each])
  }
  return found
}
