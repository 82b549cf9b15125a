/** Every operation of a backend on one input, for comparing backends with each other. */
import type {
  Affine,
  Backend,
  Extent,
  Gradients,
  Moments,
  NonFinite,
  Running,
  Statistics,
} from '../../lib/backend/backend.ts'
import { typescriptBackend } from '../../lib/backend/typescript/index.ts'
import type { FloatArray } from './bits.ts'
import { difference } from './bits.ts'
import { type Kind, values } from './data.ts'
import { guarded, guardsHold, unwritten } from './guarded.ts'
import { Random } from './random.ts'

/** What the arrays of an input are made from. */
export interface Recipe {
  readonly extent: Extent
  readonly kind: Kind
  readonly gradientKind: Kind
  readonly seed: number
  readonly eps: number
  readonly momentum: number
  /** How many elements the arrays start off their buffers' alignment. */
  readonly offset: number
}

export interface Inputs extends Recipe {
  readonly x: Float32Array
  readonly gradOutput: Float32Array
  readonly weight: Float32Array
  readonly bias: Float32Array
  readonly running: Running
  /** The statistics of `x`, by the specification, so that a difference stays where it arises. */
  readonly moments: Moments
  readonly statistics: Statistics
}

/** What an operation wrote or returned, by name. */
type Results = Record<string, FloatArray>

type Operation = (backend: Backend, inputs: Inputs) => Results

export function inputsOf(recipe: Recipe): Inputs {
  const { extent, kind, gradientKind, seed, eps, offset } = recipe
  const { channels } = extent
  const random = new Random(seed)
  const perChannel = (value: () => number) => guarded(Float32Array.from({ length: channels }, value), offset)

  const x = guarded(values(kind, extent, seed), offset)
  const moments = emptyMoments(channels)
  typescriptBackend.statistics(x, extent, moments)
  const invstd = guarded(moments.m2.map((m2) => 1 / Math.sqrt(m2 / moments.count + eps)))
  return {
    ...recipe,
    x,
    gradOutput: guarded(values(gradientKind, extent, seed + 1), offset + 1),
    weight: perChannel(() => random.normal()),
    bias: perChannel(() => random.normal()),
    running: {
      mean: perChannel(() => random.normal()),
      variance: perChannel(() => (random.below(16) === 0 ? 0 : random.uniform())),
    },
    moments,
    statistics: { mean: moments.mean, invstd },
  }
}

/** Names what `actual` does otherwise than `expected`, both the answers of `everyResult`. */
export function differences(actual: Results, expected: Results): string[] {
  return Object.keys(expected).flatMap((name) => {
    const found = difference(actual[name], expected[name])
    return found === null ? [] : [`${name}: ${found}`]
  })
}

/**
 * The results of the operations that are named, keyed by operation and array.
 * Throws when an operation wrote outside of its outputs or changed an input.
 */
export function everyResult(backend: Backend, inputs: Inputs, names: readonly string[]): Results {
  const { x, gradOutput, weight, bias } = inputs
  const before = [x, gradOutput, weight, bias].map((array) => array.slice())
  const results: Results = {}
  for (const name of names) {
    for (const [key, array] of Object.entries(operations[name](backend, inputs))) {
      if (!guardsHold(array)) throw new Error(`${name} wrote outside of ${key}`)
      results[`${name}: ${key}`] = array
    }
  }
  for (const [index, array] of [x, gradOutput, weight, bias].entries()) {
    const changed = difference(array, before[index])
    if (changed !== null) throw new Error(`input ${index} has changed: ${changed}`)
  }
  return results
}

function emptyMoments(channels: number): Moments {
  return { count: 0, mean: guarded(new Float64Array(channels)), m2: guarded(new Float64Array(channels)) }
}

function copyOfRunning({ mean, variance }: Running, offset: number): Running {
  return { mean: guarded(mean, offset), variance: guarded(variance, offset) }
}

function single(value: number): Float64Array {
  return guarded(Float64Array.of(value))
}

function ofMoments({ count, mean, m2 }: Moments): Results {
  return { count: single(count), mean, m2 }
}

function ofRunning({ mean, variance }: Running): Results {
  return { runningMean: mean, runningVariance: variance }
}

function statistics(backend: Backend, { x, extent }: Inputs): Results {
  const moments = emptyMoments(extent.channels)
  backend.statistics(x, extent, moments)
  return ofMoments(moments)
}

/** `into` and `from` are the moments of two parts of a batch, cut `share` of its samples in. */
function merge(share: number): Operation {
  return (backend, { x, extent }) => {
    const { outer, channels, inner } = extent
    const samples = Math.round(outer * share)
    const cut = samples * channels * inner
    const [into, from] = [x.subarray(0, cut), x.subarray(cut)].map((part, index) => {
      const moments = emptyMoments(channels)
      const own = index === 0 ? samples : outer - samples
      if (own > 0) typescriptBackend.statistics(part, { ...extent, outer: own }, moments)
      return moments
    })
    backend.merge(into, from)
    return ofMoments(into)
  }
}

/** More values than 32 bits can count. */
function mergeLargeCounts(backend: Backend, { moments, extent }: Inputs): Results {
  const into: Moments = { ...emptyMoments(extent.channels), count: 2 ** 33 + 1 }
  const from: Moments = { count: 2 ** 40 - 3, mean: moments.mean, m2: moments.m2 }
  backend.merge(into, from)
  return ofMoments(into)
}

function updateRunning(momentum: (recipe: Recipe) => number): Operation {
  return (backend, inputs) => {
    const running = copyOfRunning(inputs.running, inputs.offset)
    backend.updateRunning(running, inputs.moments, momentum(inputs))
    return ofRunning(running)
  }
}

function evalStatistics(backend: Backend, { running, eps, extent: { channels } }: Inputs): Results {
  const mean = guarded(new Float64Array(channels))
  const invstd = guarded(new Float64Array(channels))
  backend.evalStatistics(running, eps, { mean, invstd })
  return { mean, invstd }
}

function normalize(affine: (inputs: Inputs) => Affine): Operation {
  return (backend, inputs) => {
    const y = unwritten(inputs.x.length, inputs.offset + 2)
    backend.normalize(inputs.x, inputs.extent, inputs.statistics, affine(inputs), y)
    return { y }
  }
}

function normalizeInPlace(
  backend: Backend,
  { x, extent, offset, statistics, weight, bias }: Inputs,
): Results {
  const y = guarded(x, offset)
  backend.normalize(y, extent, statistics, { weight, bias }, y)
  return { y }
}

function forward(nonFinite: NonFinite, tracking: boolean, inPlace = false): Operation {
  return (backend, inputs) => {
    const { x, extent, eps, momentum, weight, bias, offset } = inputs
    const running = tracking ? copyOfRunning(inputs.running, offset) : null
    const moments = emptyMoments(extent.channels)
    const invstd = guarded(new Float64Array(extent.channels))
    const y = inPlace ? guarded(x, offset) : unwritten(x.length, offset + 3)
    const settings = { eps, momentum, nonFinite }
    const fits = backend.forward(
      inPlace ? y : x,
      extent,
      settings,
      { weight, bias },
      running,
      moments,
      invstd,
      y,
    )
    return {
      fits: single(Number(fits)),
      ...ofMoments(moments),
      invstd,
      y,
      ...(running ? ofRunning(running) : {}),
    }
  }
}

type Where = 'apart' | 'over gradOutput' | 'over x'

/** `wanted` names the gradients to write: any of i(nput), w(eight), b(ias). */
function backward(training: boolean, wanted: string, withWeight = true, where: Where = 'apart'): Operation {
  return (backend, inputs) => {
    const { extent, statistics, offset } = inputs
    const x = where === 'over x' ? guarded(inputs.x, offset) : inputs.x
    const gradOutput = where === 'over gradOutput' ? guarded(inputs.gradOutput, offset) : inputs.gradOutput
    const apart = () =>
      where === 'over x' ? x : where === 'over gradOutput' ? gradOutput : unwritten(x.length, offset + 1)
    const gradients: Gradients = {
      input: wanted.includes('i') ? apart() : null,
      weight: wanted.includes('w') ? unwritten(extent.channels, offset) : null,
      bias: wanted.includes('b') ? unwritten(extent.channels, offset) : null,
    }
    backend.backward(
      gradOutput,
      x,
      extent,
      statistics,
      withWeight ? inputs.weight : null,
      training,
      gradients,
    )
    return Object.fromEntries(Object.entries(gradients).filter(([, array]) => array !== null))
  }
}

const operations: Record<string, Operation> = {
  statistics,
  'merge of halves': merge(0.5),
  'merge into nothing': merge(0),
  'merge of nothing': merge(1),
  'merge of large counts': mergeLargeCounts,
  updateRunning: updateRunning(({ momentum }) => momentum),
  'updateRunning, momentum 1': updateRunning(() => 1),
  'updateRunning, momentum 0': updateRunning(() => 0),
  evalStatistics,
  normalize: normalize(({ weight, bias }) => ({ weight, bias })),
  'normalize, weight alone': normalize(({ weight }) => ({ weight, bias: null })),
  'normalize, bias alone': normalize(({ bias }) => ({ weight: null, bias })),
  'normalize, not affine': normalize(() => ({ weight: null, bias: null })),
  'normalize in place': normalizeInPlace,
}
for (const nonFinite of ['propagate', 'skip', 'throw'] as const) {
  operations[`forward, ${nonFinite}`] = forward(nonFinite, true)
  operations[`forward, ${nonFinite}, not tracking`] = forward(nonFinite, false)
}
operations['forward in place'] = forward('propagate', true, true)
for (const training of [true, false]) {
  const mode = training ? 'training' : 'eval'
  for (const wanted of ['iwb', 'iw', 'ib', 'wb', 'i', 'w', 'b', '']) {
    operations[`backward in ${mode}, ${wanted || 'nothing'}`] = backward(training, wanted)
  }
  operations[`backward in ${mode}, no weight`] = backward(training, 'iwb', false)
  operations[`backward in ${mode}, over gradOutput`] = backward(training, 'iwb', true, 'over gradOutput')
  operations[`backward in ${mode}, over x`] = backward(training, 'iwb', true, 'over x')
}

/** The names of all operations and their variants. */
export const operationNames: readonly string[] = Object.keys(operations)
