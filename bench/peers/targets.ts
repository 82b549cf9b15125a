/**
 * What this library wants to reach, and whether it did. A target whose measurements were not made
 * (`--shapes`, a peer that is not installed) is not met and not missed.
 */
import { geometricMean, ratio, threeDigits } from '../../lib/measure/numbers.ts'
import { bytesOf, elementsOf, nameOf, type Shape } from '../../lib/measure/shapes.ts'
import { type Comparison, comparisons, floorOf, type Pass, passes, quotient, speedup } from './comparisons.ts'
import type { Measurements } from './measurements.ts'

export interface Target {
  readonly name: string
  readonly wanted: string
  readonly measured: string
  readonly verdict: 'PASS' | 'MISS' | 'not measured'
}

/** What the targets are judged by. */
export interface Evidence {
  readonly measurements: Measurements
  readonly shapes: readonly Shape[]
  readonly threads: readonly number[]
  /** Bytes of the last-level cache. */
  readonly cache: number
  /** Bytes of scratch memory by the name of a shape. */
  readonly scratch: ReadonlyMap<string, number>
}

type Figure = { readonly shape: Shape; readonly value: number }

const mebibyte = 2 ** 20
const smallShape: Shape = [32, 64]
const middleShape: Shape = [4096, 256]
const largeShapes: readonly [Shape, Shape] = [
  [16384, 2048],
  [65536, 2048],
]
/** Below it what a call costs is not memory. */
const smallestForFloor = 64 * 1024
/** Two medians of the same thing differ by so much. */
const noise = 0.03

export function targetsOf(evidence: Evidence): Target[] {
  return [
    ...evidence.threads.flatMap((threads) => [
      ...comparisons.flatMap((comparison) => againstPeer(evidence, comparison, threads)),
      ...againstFloor(evidence, threads),
      ...smallCalls(evidence, threads),
      ...linearCost(evidence, threads),
      ...againstScripts(evidence, threads),
    ]),
    ...twoThreads(evidence),
    scratchMemory(evidence),
    ...plainLoop(evidence),
  ]
}

function againstPeer(evidence: Evidence, comparison: Comparison, threads: number): Target[] {
  const { measurements, shapes } = evidence
  const wanted: Record<string, Partial<Record<Pass | 'least', number>>> = {
    pytorch: { forward: 4, backward: 4, eval: 2, least: 1.3 },
    pytorchBest: { forward: 2.2, backward: 2.2, eval: 1.2, least: 1.05 },
    onednn: { forward: 1.6, backward: 1.6, least: 1.15 },
  }
  const goals = wanted[comparison.peer]
  return passes
    .filter((pass) => goals[pass] !== undefined)
    .flatMap((pass) => {
      const figures = figuresOf(shapes, (shape) => speedup(measurements, comparison, pass, shape, threads))
      const name = `${comparison.title}: ${pass}, ${threadsName(threads)}`
      const mean = figures.length > 0 ? geometricMean(figures.map(({ value }) => value)) : undefined
      return [
        atLeast(`${name}, geometric mean`, goals[pass] as number, mean),
        worstAtLeast(`${name}, every shape`, goals.least as number, figures),
      ]
    })
}

function againstFloor({ measurements, shapes, cache }: Evidence, threads: number): Target[] {
  const inMemory = shapes.filter((shape) => bytesOf(shape) > cache)
  const inCache = shapes.filter((shape) => bytesOf(shape) <= cache && bytesOf(shape) >= smallestForFloor)
  const target = (pass: Pass, limit: number, among: readonly Shape[], where: string) =>
    worstAtMost(
      `floor: ${pass}, ${threadsName(threads)}, ${where}`,
      limit,
      figuresOf(among, (shape) =>
        quotient(
          measurements.median('native', pass, shape, threads),
          floorOf(measurements, pass, shape, threads),
        ),
      ),
    )
  return [
    target('forward', 1.25, inMemory, 'larger than the last-level cache'),
    target('forward', 1.8, inCache, 'within the last-level cache'),
    target('backward', 1.3, [...inCache, ...inMemory], 'every shape'),
  ]
}

function smallCalls({ measurements }: Evidence, threads: number): Target[] {
  const name = (pass: Pass) =>
    `from JavaScript: ${pass} of ${nameOf(smallShape)} with out, ${threadsName(threads)}, microseconds`
  return [
    atMost(name('forward'), 2.5, measurements.median('out', 'forward', smallShape, threads)),
    atMost(name('backward'), 4, measurements.median('out', 'backward', smallShape, threads)),
  ]
}

function twoThreads({ measurements, shapes, threads, cache }: Evidence): Target[] {
  if (!threads.includes(1) || !threads.includes(2)) return []
  const gain = (among: readonly Shape[], pass: Pass) =>
    figuresOf(among, (shape) =>
      quotient(measurements.median('native', pass, shape, 1), measurements.median('native', pass, shape, 2)),
    )
  const large = shapes.filter((shape) => bytesOf(shape) > mebibyte && bytesOf(shape) <= cache)
  return passes.flatMap((pass) => [
    worstAtLeast(
      `two threads against one: ${pass}, above 1 MiB in the last-level cache`,
      1.7,
      gain(large, pass),
    ),
    worstAtLeast(`two threads against one: ${pass}, every shape`, 1 - noise, gain(shapes, pass)),
  ])
}

function linearCost({ measurements }: Evidence, threads: number): Target[] {
  const [large, largest] = largeShapes
  const each = (pass: Pass, shape: Shape) => {
    const time = measurements.median('native', pass, shape, threads)
    return time === undefined ? undefined : time / elementsOf(shape)
  }
  return passes.map((pass) =>
    atMost(
      `time an element at 512 MiB against 128 MiB: ${pass}, ${threadsName(threads)}`,
      1.15,
      quotient(each(pass, largest), each(pass, large)),
    ),
  )
}

function scratchMemory({ shapes, scratch }: Evidence): Target {
  const figures = figuresOf(shapes, (shape) => quotient(scratch.get(nameOf(shape)), bytesOf(shape)))
  return worstAtMost('scratch memory, part of the input', 1 / 64, figures)
}

function againstScripts({ measurements }: Evidence, threads: number): Target[] {
  const ours = (pass: Pass) => measurements.median('out', pass, middleShape, threads)
  const [forward, backward] = [ours('forward'), ours('backward')]
  const step = forward === undefined || backward === undefined ? undefined : forward + backward
  const where = `${nameOf(middleShape)}, ours with out and ${threadsName(threads)}`
  const tfjs = (operation: 'forward' | 'step') => measurements.median('tfjs', operation, middleShape, 1)
  const typescript = (pass: Pass) => measurements.median('typescript', pass, middleShape, 1)
  return [
    atLeast(`TensorFlow.js (wasm): forward, ${where}`, 50, quotient(tfjs('forward'), forward)),
    atLeast(`TensorFlow.js (wasm): forward and backward, ${where}`, 50, quotient(tfjs('step'), step)),
    atLeast(`TypeScript backend: forward, ${where}`, 20, quotient(typescript('forward'), forward)),
    atLeast(`TypeScript backend: backward, ${where}`, 20, quotient(typescript('backward'), backward)),
  ]
}

/** Passes over an array: forward reads x twice, backward x and gradOutput, eval reads x once. */
function plainLoop({ measurements }: Evidence): Target[] {
  const counts = { forward: 2, backward: 4, eval: 1 }
  const copy = measurements.median('typescript', 'copy', middleShape, 1)
  return passes.map((pass) => {
    const time = measurements.median('typescript', pass, middleShape, 1)
    const loops = copy === undefined ? undefined : copy * counts[pass]
    const name = `TypeScript backend: ${pass} of ${nameOf(middleShape)} against a plain copy loop, times ${counts[pass]}`
    return atMost(name, 3, quotient(time, loops))
  })
}

function figuresOf(shapes: readonly Shape[], value: (shape: Shape) => number | undefined): Figure[] {
  return shapes.flatMap((shape) => {
    const measured = value(shape)
    return measured === undefined ? [] : [{ shape, value: measured }]
  })
}

function atLeast(name: string, limit: number, value: number | undefined): Target {
  return judged(name, `at least ${limit}`, value, value !== undefined && value >= limit)
}

function atMost(name: string, limit: number, value: number | undefined): Target {
  return judged(name, `at most ${limit}`, value, value !== undefined && value <= limit)
}

function worstAtLeast(name: string, limit: number, figures: readonly Figure[]): Target {
  const worst = figures.toSorted((a, b) => a.value - b.value).at(0)
  return withShape(atLeast(name, limit, worst?.value), worst)
}

function worstAtMost(name: string, limit: number, figures: readonly Figure[]): Target {
  const worst = figures.toSorted((a, b) => b.value - a.value).at(0)
  return withShape(atMost(name, limit, worst?.value), worst)
}

function judged(name: string, wanted: string, value: number | undefined, met: boolean): Target {
  if (value === undefined) return { name, wanted, measured: '-', verdict: 'not measured' }
  const measured = value < 0.1 ? threeDigits(value) : ratio(value)
  return { name, wanted, measured, verdict: met ? 'PASS' : 'MISS' }
}

function withShape(target: Target, worst: Figure | undefined): Target {
  return worst === undefined ? target : { ...target, measured: `${target.measured} ${nameOf(worst.shape)}` }
}

function threadsName(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`
}
