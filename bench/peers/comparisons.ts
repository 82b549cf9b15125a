/** Times held against each other: ours against a peer's, and against the floor. */
import { bytesOf, nameOf } from '../../cli/measure/shapes.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import type { Figure } from '../goals.ts'
import type { ContestantName } from './contestants.ts'
import type { Measurements } from './measurements.ts'

/** What a batch normalization does. */
export type Direction = 'forward' | 'backward' | 'eval'

export const passes: readonly Direction[] = ['forward', 'backward', 'eval']

export interface Comparison {
  /** The same peer in one way or more: the fastest counts. */
  readonly peers: readonly ContestantName[]
  /** Which of ours stands against it. */
  readonly ours: ContestantName
  /** For a column, behind the product and its version. */
  readonly how: string
}

/**
 * Like against like: plain calls against plain ones, memory that is kept against `out`, C++ against C++.
 * oneDNN's plain layout is the one that ours has to take the data in; its best may be one of its own.
 */
export const comparisons = {
  newPytorch: { peers: ['newPytorch'], ours: 'plain', how: 'plain' },
  newPytorchBest: { peers: ['newPytorchKept', 'newPytorchWide'], ours: 'out', how: 'best' },
  newOnednn: { peers: ['newOnednn'], ours: 'native', how: 'best layout' },
  newOnednnPlain: { peers: ['newOnednnPlain'], ours: 'native', how: 'plain layout' },
  pytorch: { peers: ['pytorch'], ours: 'plain', how: 'plain' },
  pytorchBest: { peers: ['pytorchBest'], ours: 'out', how: 'best' },
  onednn: { peers: ['onednn'], ours: 'native', how: 'best layout' },
  onednnPlain: { peers: ['onednnPlain'], ours: 'native', how: 'plain layout' },
} satisfies Record<string, Comparison>

/** How many times as fast ours is, of each shape that both were measured on. */
export function speedups(
  measurements: Measurements,
  { peers, ours }: Comparison,
  pass: Direction,
  shapes: readonly Shape[],
  threads: number,
): Figure[] {
  return figuresOf(shapes, (shape) =>
    quotient(
      fastestOf(measurements, peers, pass, shape, threads),
      measurements.median(ours, pass, shape, threads),
    ),
  )
}

function fastestOf(
  measurements: Measurements,
  contestants: readonly ContestantName[],
  pass: Direction,
  shape: Shape,
  threads: number,
): number | undefined {
  const times = contestants.flatMap((name) => measurements.median(name, pass, shape, threads) ?? [])
  return times.length > 0 ? Math.min(...times) : undefined
}

/** Microseconds that the memory alone costs: the fastest with at most `threads` threads. */
export function floorOf(
  measurements: Measurements,
  pass: Direction,
  shape: Shape,
  threads: number,
): number | undefined {
  const times = Array.from({ length: threads }, (_, index) =>
    measurements.median('floor', pass, shape, index + 1),
  ).filter((time) => time !== undefined)
  return times.length > 0 ? Math.min(...times) : undefined
}

/** Below it what a call costs is not memory. */
const smallestForFloor = 64 * 1024

/** How many times the floor the fastest of some contestants takes, of each shape that is not small. */
export function overFloor(
  measurements: Measurements,
  contestants: readonly ContestantName[],
  pass: Direction,
  shapes: readonly Shape[],
  threads: number,
): Figure[] {
  const large = shapes.filter((shape) => bytesOf(shape) >= smallestForFloor)
  return figuresOf(large, (shape) =>
    quotient(
      fastestOf(measurements, contestants, pass, shape, threads),
      floorOf(measurements, pass, shape, threads),
    ),
  )
}

export function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b
}

function figuresOf(shapes: readonly Shape[], value: (shape: Shape) => number | undefined): Figure[] {
  return shapes.flatMap((shape) => {
    const measured = value(shape)
    return measured === undefined ? [] : [{ name: nameOf(shape), value: measured }]
  })
}
