/** The golden files: what PyTorch answered, made by test/golden/make.py. */
import { fileURLToPath } from 'node:url'
import {
  type BatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  loadSafetensors,
  type SafetensorsFile,
  Tensor,
} from '../../lib/index.ts'
import type { ParameterType } from '../../lib/tensor/data-type.ts'
import { parameterType } from '../../lib/tensor/data-type.ts'
import { elementCount } from '../../lib/tensor/shape.ts'
import type { FloatType } from '../../lib/tensor/tensor.ts'

const modules = { BatchNorm1d, BatchNorm2d, BatchNorm3d }

export type Floats = Tensor<Float32Array | Float64Array>
export type Numbers = Tensor<Float32Array | Float64Array | BigInt64Array>

/** One forward and one backward, in numbers: halves are widened. */
export interface GoldenStep {
  readonly training: boolean
  readonly input: Floats
  readonly gradOutput: Floats
  readonly output: Floats
  readonly gradInput: Floats
  /** Of `weight` and `bias`, added up over the steps. */
  readonly gradients: ReadonlyMap<string, Floats>
  /** The running statistics and their counter after the step, under PyTorch's keys. */
  readonly running: ReadonlyMap<string, Numbers>
}

export interface GoldenCase {
  readonly name: string
  readonly numFeatures: number
  readonly options: Required<
    Pick<BatchNormOptions, 'eps' | 'momentum' | 'scale' | 'center' | 'trackRunningStats' | 'layout'>
  >
  /** The type of inputs and outputs. */
  readonly dtype: FloatType
  /** What PyTorch computed in; halves stand for its mixed types. */
  readonly oracle: FloatType
  /** Parameters whose gradient is not wanted. */
  readonly frozen: readonly ('weight' | 'bias')[]
  /** As PyTorch prints the module; `null` where that does not say all. */
  readonly prints: string | null
  /** The state before the first step, with PyTorch's keys in PyTorch's order. */
  readonly state: ReadonlyMap<string, Numbers>
  readonly steps: readonly GoldenStep[]
  /** A new module with the options of the case. */
  readonly create: () => BatchNorm<ParameterType>
}

/** A case as the metadata of a file tell it. */
interface Words extends Omit<GoldenCase, 'name' | 'state' | 'steps' | 'create'> {
  module: keyof typeof modules
  state: string[]
  steps: { mode: 'train' | 'eval'; shape: number[] }[]
}

/** `test/golden/NAME.safetensors` */
export function openGolden(name: string): SafetensorsFile {
  return loadSafetensors(fileURLToPath(new URL(`../golden/${name}.safetensors`, import.meta.url)))
}

/** All cases of a file. */
export function goldenCases(name: string): GoldenCase[] {
  using file = openGolden(name)
  const cases = JSON.parse(file.metadata.cases) as Record<string, Words>
  return Object.entries(cases).map(([name, words]) => readCase(file, name, words))
}

const runningKeys = ['running_mean', 'running_var', 'num_batches_tracked']
const valueKeys = ['input', 'gradOutput', 'output', 'gradInput'] as const

function readCase(file: SafetensorsFile, name: string, words: Words): GoldenCase {
  const { module, numFeatures, options, state } = words
  const get = (key: string) => file.get(`${name}/${key}`) as Numbers
  const keysOfRunning = runningKeys.filter((key) => state.includes(key))
  const keysOfParameters = state.filter((key) => !runningKeys.includes(key))
  const shapes = words.steps.map(({ shape }) => shape)

  const values = valueKeys.map((key) => cut(get(key), shapes))
  const gradients = keysOfParameters.map((key) => rows(get(`${key}.grad`)))
  const running = keysOfRunning.map((key) => rows(get(key)))
  const at = (keys: readonly string[], lists: readonly Numbers[][], index: number) =>
    new Map(keys.map((key, place) => [key, lists[place][index]]))

  const parameters = keysOfParameters.map((key): [string, Numbers] => [key, get(key)])
  const steps = words.steps.map(({ mode }, index) => ({
    training: mode === 'train',
    ...(Object.fromEntries(at(valueKeys, values, index)) as Pick<GoldenStep, (typeof valueKeys)[number]>),
    gradients: at(keysOfParameters, gradients, index) as Map<string, Floats>,
    running: at(keysOfRunning, running, index + 1),
  }))
  return {
    ...words,
    name,
    state: new Map([...parameters, ...at(keysOfRunning, running, 0)]),
    steps,
    create: () => new modules[module](numFeatures, { ...options, dtype: parameterType(words.dtype) }),
  }
}

/** The tensors that stand one after another. */
function cut({ data }: Numbers, shapes: readonly number[][]): Numbers[] {
  let end = 0
  return shapes.map((shape) => {
    const begin = end
    end += elementCount('a golden tensor', shape)
    return new Tensor<Float32Array | Float64Array | BigInt64Array>(data.subarray(begin, end), shape)
  })
}

/** The rows of a matrix; of a vector its elements. */
function rows(matrix: Numbers): Numbers[] {
  const [count, ...shape] = matrix.shape
  return cut(matrix, new Array(count).fill(shape))
}
