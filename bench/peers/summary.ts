import type { Machine } from '../../lib/measure/machine.ts'
import { geometricMean } from '../../lib/measure/numbers.ts'
import { comparisons, floorOf, overFloor, passes, speedup } from './comparisons.ts'
import type { Measurements } from './measurements.ts'
import type { Options } from './options.ts'
import type { Target } from './targets.ts'

/** What a run found out. */
export interface Findings {
  readonly machine: Machine
  readonly cache: number
  readonly versions: Readonly<Record<string, string>>
  readonly options: Options
  readonly measurements: Measurements
  readonly scratch: ReadonlyMap<string, number>
  readonly targets: readonly Target[]
  readonly omissions: readonly string[]
}

/** The contents of results.json. */
export function summaryOf(findings: Findings) {
  const { measurements, options, scratch, ...rest } = findings
  const { shapes, threads, rounds } = options
  const places = threads.flatMap((count) =>
    passes.flatMap((pass) => shapes.map((shape) => ({ pass, shape, threads: count }))),
  )
  const speedups = comparisons.flatMap((comparison) =>
    places.flatMap((place) => {
      const ratio = speedup(measurements, comparison, place.pass, place.shape, place.threads)
      return ratio === undefined ? [] : [{ peer: comparison.peer, ours: comparison.ours, ...place, ratio }]
    }),
  )
  const geometricMeans = comparisons.flatMap(({ peer, ours }) =>
    threads.flatMap((count) =>
      passes.flatMap((pass) => {
        const ratios = speedups
          .filter((entry) => entry.peer === peer && entry.pass === pass && entry.threads === count)
          .map(({ ratio }) => ratio)
        return ratios.length === 0 ? [] : [{ peer, ours, pass, threads: count, ratio: geometricMean(ratios) }]
      }),
    ),
  )
  const floors = places.flatMap((place) => {
    const microseconds = floorOf(measurements, place.pass, place.shape, place.threads)
    const native = overFloor(measurements, 'native', place.pass, place.shape, place.threads)
    return microseconds === undefined ? [] : [{ ...place, microseconds, native }]
  })
  return {
    ...rest,
    rounds,
    unit: 'microseconds',
    measurements: measurements.all(),
    floors,
    speedups,
    geometricMeans,
    scratchBytes: Object.fromEntries(scratch),
  }
}
