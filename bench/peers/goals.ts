/**
 * What this library wants to reach beside its peers. A goal whose measurements were not made
 * (`--shapes`, a peer that is not installed) is not met and not missed. The goals in floors are those
 * of `npm run bench:native`.
 */
import { nameOf } from '../../cli/measure/shapes.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import { type Goal, goal, meanGoal, worstGoal } from '../goals.ts'
import { comparisons, type Direction, passes, quotient, speedups } from './comparisons.ts'
import type { Measurements } from './measurements.ts'

/** What the goals are judged by. */
export interface Evidence {
  readonly measurements: Measurements
  readonly shapes: readonly Shape[]
  readonly threads: readonly number[]
}

/** How many times as fast, for forward and backward. */
const againstPeers = [
  {
    name: 'PyTorch 2.6 as installed, plain calls on both sides',
    comparison: comparisons.newPytorch,
    mean: 3,
    worst: 1.2,
  },
  {
    name: 'PyTorch 2.6 at its best, ours with out',
    comparison: comparisons.newPytorchBest,
    mean: 2.2,
    worst: 1.05,
  },
  {
    name: 'oneDNN 3.7 in its best layout, both from C++',
    comparison: comparisons.newOnednn,
    mean: 1.5,
    worst: 1,
  },
  {
    name: 'oneDNN 3.7 in the plain layout, both from C++',
    comparison: comparisons.newOnednnPlain,
    worst: 1.5,
  },
]

const smallShape: Shape = [32, 64]
/** Microseconds of a call with `out`, one thread. */
const smallCall = { forward: 1.8, backward: 2 }

const middleShape: Shape = [4096, 256]
/**
 * Copies of the array by a plain loop: what the TypeScript backend took in the first edition, for
 * each pass over x (and gradOutput) that the definition makes.
 */
const copyLoops = {
  forward: { passes: 2, most: 3.6 },
  backward: { passes: 4, most: 2.3 },
  eval: { passes: 1, most: 3.1 },
}

export function goalsOf(evidence: Evidence): Goal[] {
  return [
    ...evidence.threads.flatMap((threads) => beside(evidence, threads)),
    ...smallCalls(evidence),
    ...typescript(evidence),
  ]
}

function beside({ measurements, shapes }: Evidence, threads: number): Goal[] {
  return againstPeers.flatMap(({ name, comparison, mean, worst }) =>
    (['forward', 'backward'] as const).flatMap((pass) => {
      const figures = speedups(measurements, comparison, pass, shapes, threads)
      const title = `${name}: ${pass}, ${threadsName(threads)}`
      return [
        ...(mean === undefined ? [] : [meanGoal(title, 'at least', mean, figures)]),
        worstGoal(title, 'at least', worst, figures),
      ]
    }),
  )
}

function smallCalls({ measurements }: Evidence): Goal[] {
  return (['forward', 'backward'] as const).map((pass) => {
    const name = `from JavaScript: ${pass} of ${nameOf(smallShape)} with out, one thread, microseconds`
    return goal(name, 'at most', smallCall[pass], measurements.median('out', pass, smallShape, 1))
  })
}

function typescript({ measurements }: Evidence): Goal[] {
  const copy = measurements.median('typescript', 'copy', middleShape, 1)
  return passes.map((pass: Direction) => {
    const loops = copyLoops[pass]
    const time = measurements.median('typescript', pass, middleShape, 1)
    const name = `TypeScript backend: ${pass} of ${nameOf(middleShape)}, in ${loops.passes} plain copy loops`
    return goal(name, 'at most', loops.most, quotient(time, copy && copy * loops.passes))
  })
}

function threadsName(threads: number): string {
  return threads === 1 ? 'one thread' : `${threads} threads`
}
