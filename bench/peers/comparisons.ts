/** Times held against each other: ours against a peer's, and against the floor. */
import type { Shape } from '../../lib/measure/shapes.ts'
import type { ContestantName, Operation } from './contestants.ts'
import type { Measurements } from './measurements.ts'

/** What a batch normalization does. */
export type Pass = 'forward' | 'backward' | 'eval'

export const passes: readonly Pass[] = ['forward', 'backward', 'eval']

export interface Comparison {
  readonly peer: ContestantName
  /** Which of ours stands against it. */
  readonly ours: ContestantName
  readonly title: string
}

/** Like against like: fresh outputs against fresh ones, kept memory against `out`, C++ against C++. */
export const comparisons: readonly Comparison[] = [
  { peer: 'pytorch', ours: 'fresh', title: 'PyTorch as installed, both with fresh outputs' },
  { peer: 'pytorchBest', ours: 'out', title: 'PyTorch at its best, ours with out' },
  { peer: 'onednn', ours: 'native', title: 'oneDNN in its best layout, both from C++' },
]

/** How many times faster ours is; `undefined` where one of the two was not measured. */
export function speedup(
  measurements: Measurements,
  { peer, ours }: Comparison,
  pass: Pass,
  shape: Shape,
  threads: number,
): number | undefined {
  return quotient(
    measurements.median(peer, pass, shape, threads),
    measurements.median(ours, pass, shape, threads),
  )
}

/**
 * Microseconds that the memory alone costs: each part the fastest with at most so many threads.
 *
 *     forward   a read of x, and the faster copy of it
 *     backward  two reads of x and of gradOutput and one write: three reads and a copy
 *     eval      the faster copy
 */
export function floorOf(
  measurements: Measurements,
  pass: Pass,
  shape: Shape,
  threads: number,
): number | undefined {
  const fastest = (...operations: Operation[]) => {
    const times = operations.flatMap((operation) =>
      Array.from({ length: threads }, (_, index) =>
        measurements.median('floor', operation, shape, index + 1),
      ).filter((time) => time !== undefined),
    )
    return times.length > 0 ? Math.min(...times) : undefined
  }
  const read = fastest('read')
  const copy = fastest('copy', 'stream')
  if (read === undefined || copy === undefined) return undefined
  return copy + { forward: 1, backward: 3, eval: 0 }[pass] * read
}

/** How many times the floor it takes. */
export function overFloor(
  measurements: Measurements,
  contestant: ContestantName,
  pass: Pass,
  shape: Shape,
  threads: number,
): number | undefined {
  return quotient(
    measurements.median(contestant, pass, shape, threads),
    floorOf(measurements, pass, shape, threads),
  )
}

export function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b
}
