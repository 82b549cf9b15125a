import type { BackendName } from '../../lib/backend/load.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { type Machine, machineLine } from '../measure/machine.ts'
import { ratio, threeDigits } from '../measure/numbers.ts'
import { nameOf } from '../measure/shapes.ts'
import type { Timing } from '../measure/timing.ts'
import { oneLine } from '../printable.ts'
import { afterFirst, formatTable } from '../table.ts'

/** A median of one operation on one shape. */
export interface Measured extends Timing {
  readonly shape: Shape
  readonly operation: 'copy' | 'forward' | 'backward' | 'eval'
  /** `null` for the copy. */
  readonly backend: BackendName | null
  /** How many times as long as the copy of the same array. */
  readonly timesCopy: number
}

export interface Report {
  readonly machine: Machine
  readonly instructionSet: string | null
  readonly threads: number
  /** Why the native backend was not measured. */
  readonly loadError: string | null
  readonly results: readonly Measured[]
}

/** As a table for the terminal. */
export function text({ machine, instructionSet, threads, loadError, results }: Report): string {
  const how =
    loadError === null
      ? `native: ${instructionSet}, up to ${threads} threads; TypeScript: 1 thread`
      : `The native addon did not load, so the TypeScript backend alone is measured: ${oneLine(loadError)}`
  const rows = results.map(({ shape, operation, backend, ...each }) => [
    [nameOf(shape), backend, operation].filter(Boolean).join(' '),
    threeDigits(each.median),
    `${threeDigits(each.lowerQuartile)} - ${threeDigits(each.upperQuartile)}`,
    ratio(each.gigabytesPerSecond),
    ratio(each.timesCopy),
  ])
  return [
    machineLine(machine),
    how,
    '',
    formatTable(['', 'median us', 'quartiles', 'GB/s', 'x copy'], rows, afterFirst),
    '',
    'forward is in training. GB/s: what the definition reads and writes (forward 3 passes over the array, backward 5,',
    'eval and copy 2). x copy: the time in times of y.set(x), which is the floor for eval on one thread.',
  ].join('\n')
}
