/** What is done while the addon fails: everything that calls it, from the backend's single steps to the public face. */
import { createRequire } from 'node:module'
import { currentBackend } from '../../lib/backend/load.ts'
import { loadNative } from '../../lib/backend/native.ts'
import {
  activeBackend,
  BatchNorm1d,
  type BatchNormOptions,
  type DataType,
  type ForwardOptions,
  functional,
  Moments,
  recalibrate,
  setNumThreads,
  supportedInstructionSets,
  type Tensor,
  tensor,
  useInstructionSet,
} from '../../lib/index.ts'
import type { ParameterType } from '../../lib/tensor/data-type.ts'
import { outputArray } from '../../lib/tensor/output-memory.ts'
import { product } from '../../lib/tensor/shape.ts'
import { filled, snapshot } from './module.ts'
import { everyResult, inputsOf, operationNames } from './operations/index.ts'
import { Random } from './random.ts'

/** A call, and what of its surroundings has to stay as it was where it fails. What it gives is compared by its bits. */
export interface Attempt {
  call(): unknown
  state(): unknown
}

/** Makes one, of objects of its own. */
export type FaultyOperation = () => Attempt

const types = ['float32', 'float64', 'bfloat16', 'float16'] as const
const channels = 5

const numbersOf = new Map<string, Float64Array>()

/** In memory of their own. */
function values(shape: number[], seed: number, dtype: DataType = 'float32'): Tensor {
  const key = `${product(shape)} of ${seed}`
  const random = new Random(seed)
  const numbers =
    numbersOf.get(key) ?? Float64Array.from({ length: product(shape) }, () => random.uniform() - 0.5)
  numbersOf.set(key, numbers)
  return tensor(numbers, shape, { dtype: dtype as 'float32' })
}

interface Case {
  readonly options?: BatchNormOptions<ParameterType>
  readonly forward?: (shape: number[]) => ForwardOptions
  readonly type?: DataType
  readonly shape?: number[]
}

const cases: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(types.map((type) => [type, { type }])),
  'several threads': { shape: [1100, 65] },
  'several threads, float64': { shape: [2, 90, 400], type: 'float64' },
  'the average of all batches': { options: { momentum: null } },
  'not tracking': { options: { trackRunningStats: false } },
  'statistics that do not move': { options: { updateStats: false } },
  'running statistics that normalize and move': { options: { useBatchStats: false, updateStats: true } },
  'ghost batches': { options: { virtualBatchSize: 3 } },
  renorm: { options: { renorm: { rMax: 1.5, dMax: 0.5 } } },
  'ghost batches, renorm': { options: { virtualBatchSize: 3, renorm: { rMax: 1.5, dMax: 0.5 } } },
  masked: { forward: ([samples]) => ({ mask: Array.from({ length: samples }, (_, i) => i % 3 > 0) }) },
  weighted: { forward: ([samples]) => ({ weights: Array.from({ length: samples }, (_, i) => 1 + (i % 3)) }) },
  'activation and residual': {
    options: { activation: 'leakyRelu' },
    forward: (shape) => ({ residual: values(shape, 3) }),
  },
}

/** A module with an input, its last forward done, and gradients that are not zero. */
function prepared({ options = {}, forward, type = 'float32', shape = [9, channels, 4] }: Case) {
  const dtype = type === 'float64' ? 'float64' : 'float32'
  const module = filled(new BatchNorm1d(shape[1], { ...options, dtype }))
  const [x, gradOutput] = [values(shape, 1, type), values(shape, 2, type)]
  const callOptions = forward?.(shape) ?? {}
  module.forward(x, callOptions)
  module.backward(gradOutput)
  const given = { x: x.data.slice(), gradOutput: gradOutput.data.slice() }
  return {
    module,
    x,
    gradOutput,
    callOptions,
    state: () => ({ ...snapshot(module), x: x.data, gradOutput: gradOutput.data, given }),
  }
}

type Prepared = ReturnType<typeof prepared>

const calls: Readonly<Record<string, (prepared: Prepared) => unknown>> = {
  forward: ({ module, x, callOptions }) => module.forward(x, callOptions),
  'forward in eval': ({ module, x, callOptions }) => module.eval().forward(x, callOptions),
  recompute: ({ module, x, callOptions }) => module.recompute(x, callOptions),
  backward: ({ module, gradOutput }) => module.backward(gradOutput),
  forwardAsync: ({ module, x, callOptions }) => module.forwardAsync(x, callOptions),
  'forwardAsync in eval': ({ module, x, callOptions }) => module.eval().forwardAsync(x, callOptions),
  recomputeAsync: ({ module, x, callOptions }) => module.recomputeAsync(x, callOptions),
  backwardAsync: ({ module, gradOutput }) => module.backwardAsync(gradOutput),
}

function ofModule(name: string, given: Case): FaultyOperation {
  return () => {
    const subject = prepared(given)
    return { call: () => calls[name](subject), state: subject.state }
  }
}

function ofModules(): [string, FaultyOperation][] {
  return Object.keys(calls).flatMap((name) =>
    Object.entries(cases).map(([title, given]): [string, FaultyOperation] => [
      `${name}, ${title}`,
      ofModule(name, given),
    ]),
  )
}

/** The single steps, on values of each type. */
function ofBackend(): [string, FaultyOperation][] {
  return types.flatMap((type) =>
    operationNames.map((name): [string, FaultyOperation] => [
      `${name} of the backend, ${type}`,
      () => {
        const extent = { outer: 6, channels: 3, inner: 2 }
        const kinds = { kind: 'normal', gradientKind: 'normal' } as const
        const inputs = inputsOf({ type, extent, ...kinds, seed: 1, eps: 1e-5, momentum: 0.1, offset: 1 })
        return { call: () => everyResult(currentBackend(), inputs, [name]), state: () => inputs }
      },
    ]),
  )
}

const x = values([9, channels, 4], 1)
const gradOutput = values([9, channels, 4], 2)

const others: Readonly<Record<string, FaultyOperation>> = {
  // Where no smaller call has left any.
  'forward, more scratch memory than a thread keeps': ofModule('forward', { shape: [2, 150_000] }),
  'backward, more scratch memory than a thread keeps': ofModule('backward', { shape: [2, 60_000] }),
  'functional.batchNorm': () => {
    const [runningMean, runningVar] = [new Float32Array(channels), new Float32Array(channels).fill(1)]
    const options = { training: true, runningMean, runningVar }
    return { call: () => functional.batchNorm(x, options), state: () => [runningMean, runningVar, x.data] }
  },
  'functional.batchNorm in eval': () => {
    const [runningMean, runningVar] = [new Float32Array(channels), new Float32Array(channels).fill(2)]
    return {
      call: () => functional.batchNorm(x, { runningMean, runningVar }),
      state: () => [runningMean, x.data],
    }
  },
  'functional.batchNormStats': () => ({ call: () => functional.batchNormStats(x), state: () => x.data }),
  'functional.batchNormBackward': () => {
    const facts = functional.batchNormStats(x)
    return { call: () => functional.batchNormBackward(gradOutput, x, facts), state: () => [facts, x.data] }
  },
  'functional.batchNormDoubleBackward': () => {
    const facts = functional.batchNormStats(x)
    const options = { ...facts, gradGradInput: values([...x.shape], 4) }
    return { call: () => functional.batchNormDoubleBackward(gradOutput, x, options), state: () => facts }
  },
  'Moments.update': () => {
    const moments = Moments.of(gradOutput)
    return { call: () => moments.update(x), state: () => moments.toJSON() }
  },
  'Moments.merge': () => {
    const [moments, other] = [Moments.of(gradOutput), Moments.of(x)]
    return { call: () => moments.merge(other), state: () => [moments.toJSON(), other.toJSON()] }
  },
  recalibrate: () => {
    const { module, state } = prepared({})
    return { call: () => recalibrate(module, [x, gradOutput]), state }
  },
  // From 32 MiB on the addon is shown the memory, which nothing has touched yet.
  'an output of 32 MiB': () => ({ call: () => outputArray(2 ** 23).length, state: () => null }),
  activeBackend: () => ({ call: () => activeBackend(), state: () => null }),
  supportedInstructionSets: () => ({ call: () => supportedInstructionSets(), state: () => null }),
  setNumThreads: () => {
    setNumThreads(2)
    return { call: () => setNumThreads(3), state: () => activeBackend() }
  },
  useInstructionSet: () => {
    const [best, ...rest] = supportedInstructionSets()
    useInstructionSet(best)
    return { call: () => useInstructionSet(rest.at(-1) ?? best), state: () => activeBackend() }
  },
  'loading the addon': () => {
    forgetAddon()
    return { call: () => loadNative().supportedInstructionSets(), state: () => null }
  },
}

/** It is initialized again where it is loaded next. */
function forgetAddon(): void {
  const { cache } = createRequire(import.meta.url)
  for (const path of Object.keys(cache)) if (path.endsWith('.node')) delete cache[path]
}

/** Every operation, by its name. */
export const faultyOperations: ReadonlyMap<string, FaultyOperation> = new Map([
  ...ofBackend(),
  ...ofModules(),
  ...Object.entries(others),
])
