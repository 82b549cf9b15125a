import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Backend, NonFinite } from './backend.ts'

type OptionalFloats = Float32Array | null

type NormalizeArguments = [
  outer: number,
  channels: number,
  inner: number,
  x: Float32Array,
  mean: Float64Array,
  invstd: Float64Array,
  weight: OptionalFloats,
  bias: OptionalFloats,
  y: Float32Array,
]

type ForwardArguments = [
  outer: number,
  channels: number,
  inner: number,
  x: Float32Array,
  eps: number,
  momentum: number,
  nonFinite: number,
  weight: OptionalFloats,
  bias: OptionalFloats,
  runningMean: OptionalFloats,
  runningVariance: OptionalFloats,
  mean: Float64Array,
  m2: Float64Array,
  invstd: Float64Array,
  y: Float32Array,
]

type BackwardArguments = [
  outer: number,
  channels: number,
  inner: number,
  gradOutput: Float32Array,
  x: Float32Array,
  mean: Float64Array,
  invstd: Float64Array,
  weight: OptionalFloats,
  training: boolean,
  gradInput: OptionalFloats,
  gradWeight: OptionalFloats,
  gradBias: OptionalFloats,
]

/** The addon's functions; native/addon/operations.h unpacks their arguments in this order. */
interface Addon {
  statistics(
    outer: number,
    channels: number,
    inner: number,
    x: Float32Array,
    mean: Float64Array,
    m2: Float64Array,
  ): void
  merge(
    channels: number,
    intoCount: number,
    intoMean: Float64Array,
    intoM2: Float64Array,
    fromCount: number,
    fromMean: Float64Array,
    fromM2: Float64Array,
  ): void
  updateRunning(
    channels: number,
    runningMean: Float32Array,
    runningVariance: Float32Array,
    count: number,
    mean: Float64Array,
    m2: Float64Array,
    momentum: number,
  ): void
  evalStatistics(
    channels: number,
    runningMean: Float32Array,
    runningVariance: Float32Array,
    eps: number,
    mean: Float64Array,
    invstd: Float64Array,
  ): void
  normalize(...call: NormalizeArguments): void
  normalizeAsync(...call: NormalizeArguments): Promise<void>
  forward(...call: ForwardArguments): boolean
  forwardAsync(...call: ForwardArguments): Promise<boolean>
  backward(...call: BackwardArguments): void
  backwardAsync(...call: BackwardArguments): Promise<void>
  supportedInstructionSets(): string[]
  instructionSet(): string
  useInstructionSet(name: string): boolean
  threads(): number
  setNumThreads(count: number): void
  takeOutput(bytes: number): ArrayBuffer | undefined
  returnOutput(buffer: ArrayBufferLike): boolean
  outputMemory(): [used: number, waiting: number, limit: number]
  setOutputMemoryLimit(bytes: number): void
}

/** The SIMD kernels of native/, and what can be set about them, for the whole process. */
export interface Native extends Backend {
  readonly name: 'native'
  instructionSet(): string
  /** Best first. */
  supportedInstructionSets(): string[]
  /** @throws RangeError that lists the supported ones when `name` is not among them. */
  useInstructionSet(name: string): void
  threads(): number
  setNumThreads(count: number): void
  /** Memory that is used again; `undefined` where the limit is reached. Its content is arbitrary. */
  takeOutput(bytes: number): ArrayBuffer | undefined
  /** Gives such memory back at once and detaches the buffer; `false` for any other. */
  returnOutput(buffer: ArrayBufferLike): boolean
  /** Bytes in use, waiting for the next use, and the most that both may come to. */
  outputMemory(): [used: number, waiting: number, limit: number]
  setOutputMemoryLimit(bytes: number): void
}

const nonFiniteCodes: Record<NonFinite, number> = { propagate: 0, skip: 1, throw: 2 }

/** Loads the addon: a prebuilt one, or the one that was built at installation. Throws if there is none. */
export function loadNative(): Native {
  const root = packageRoot()
  const addon: Addon = createRequire(join(root, 'package.json'))('node-gyp-build')(root)
  return {
    name: 'native',

    statistics(x, { outer, channels, inner }, moments) {
      addon.statistics(outer, channels, inner, x, moments.mean, moments.m2)
      moments.count = outer * inner
    },
    merge(into, from) {
      addon.merge(into.mean.length, into.count, into.mean, into.m2, from.count, from.mean, from.m2)
      into.count += from.count
    },
    updateRunning(running, { count, mean, m2 }, momentum) {
      addon.updateRunning(mean.length, running.mean, running.variance, count, mean, m2, momentum)
    },
    evalStatistics(running, eps, { mean, invstd }) {
      addon.evalStatistics(mean.length, running.mean, running.variance, eps, mean, invstd)
    },
    normalize: flatNormalize(addon.normalize),
    normalizeAsync: flatNormalize(addon.normalizeAsync),
    forward: flatForward(addon.forward),
    forwardAsync: flatForward(addon.forwardAsync),
    backward: flatBackward(addon.backward),
    backwardAsync: flatBackward(addon.backwardAsync),

    instructionSet: () => addon.instructionSet(),
    supportedInstructionSets: () => addon.supportedInstructionSets(),
    useInstructionSet(name) {
      if (addon.useInstructionSet(name)) return
      const supported = addon.supportedInstructionSets().join(', ')
      throw new RangeError(`Expected instruction set to be one of ${supported} but received ${name}`)
    },
    threads: () => addon.threads(),
    setNumThreads: (count) => addon.setNumThreads(count),
    takeOutput: (bytes) => addon.takeOutput(bytes),
    returnOutput: (buffer) => addon.returnOutput(buffer),
    outputMemory: () => addon.outputMemory(),
    setOutputMemoryLimit: (bytes) => addon.setOutputMemoryLimit(bytes),
  }
}

// A backend's arguments in objects become the addon's in a row: each property that C++ would have to
// look up costs some 40 ns there, and nothing here.

function flatNormalize<Result>(call: (...flat: NormalizeArguments) => Result) {
  return (...[x, extent, { mean, invstd }, { weight, bias }, y]: Parameters<Backend['normalize']>): Result =>
    call(extent.outer, extent.channels, extent.inner, x, mean, invstd, weight, bias, y)
}

function flatForward<Result>(call: (...flat: ForwardArguments) => Result) {
  return (
    ...[x, extent, settings, affine, running, moments, invstd, y]: Parameters<Backend['forward']>
  ): Result => {
    moments.count = extent.outer * extent.inner
    return call(
      extent.outer,
      extent.channels,
      extent.inner,
      x,
      settings.eps,
      settings.momentum,
      nonFiniteCodes[settings.nonFinite],
      affine.weight,
      affine.bias,
      running ? running.mean : null,
      running ? running.variance : null,
      moments.mean,
      moments.m2,
      invstd,
      y,
    )
  }
}

function flatBackward<Result>(call: (...flat: BackwardArguments) => Result) {
  return (
    ...[gradOutput, x, extent, statistics, weight, training, gradients]: Parameters<Backend['backward']>
  ): Result =>
    call(
      extent.outer,
      extent.channels,
      extent.inner,
      gradOutput,
      x,
      statistics.mean,
      statistics.invstd,
      weight,
      training,
      gradients.input,
      gradients.weight,
      gradients.bias,
    )
}

/** The folder of package.json: two above this file in lib/, one above it in dist/. */
function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  const candidates = [join(here, '..'), join(here, '..', '..')]
  const root = candidates.find((folder) => existsSync(join(folder, 'package.json')))
  if (root === undefined) {
    throw new Error(
      `Expected batchnorm's package.json above ${here} but found none (do not bundle the package: mark it external)`,
    )
  }
  return root
}
