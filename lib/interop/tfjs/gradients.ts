import { customGrad, type Tensor, type Tensor1D, tensor } from '@tensorflow/tfjs-core'
import type { Extent, Statistics } from '../../backend/backend.ts'
import { currentBackend } from '../../backend/load.ts'
import { type GradGradients, secondGradients } from '../../functional/second-gradients.ts'
import type { Rows } from './mask.ts'
import { setGradientOfRows } from './masked.ts'
import { type Ranks, setGradientOfRanks } from './ranks.ts'
import { float32Of } from './values.ts'

/** gamma and beta as tensors; `null` stands for a switch that is off: all ones, all zeros. */
export interface AffineTensors {
  readonly gamma: Tensor1D | null
  readonly beta: Tensor1D | null
}

/**
 * What the statistics are of: the batch, its unmasked values, the parts of it on all ranks, or batches before, which are
 * constants to the gradient.
 */
export type StatisticsSource = 'batch' | readonly Rows[] | Ranks | 'moving'

/** What a forward pass leaves for the gradients: its tensors, and arrays with the values of those. */
interface Normalized extends AffineTensors {
  readonly input: Tensor
  readonly x: Float32Array
  readonly weight: Float32Array | null
  readonly extent: Extent
  readonly statistics: Statistics
  readonly source: StatisticsSource
}

/**
 * The gradients of the input, of gamma and of beta, without those of what is `null`.
 *
 * Each is a function of gradOutput, the input and gamma that has gradients of its own, those of
 * `functional.batchNormDoubleBackward`. The second gradients are linear in what comes back for the
 * first ones, so those of each are computed alone, and TensorFlow.js adds them.
 */
export function gradientsOf(gradOutput: Tensor, normalized: Normalized): Tensor[] {
  const { input, gamma, beta, x, weight, extent, statistics, source } = normalized
  const gradients = {
    input: new Float32Array(x.length),
    weight: gamma && new Float32Array(extent.channels),
    bias: beta && new Float32Array(extent.channels),
  }
  const dy = float32Of(gradOutput)
  if (typeof source !== 'string' && 'collective' in source) {
    const own = setGradientOfRanks(gradients.input, dy, x, extent, statistics, weight, source)
    gradients.weight?.set(own.product)
    gradients.bias?.set(own.gradient)
  } else {
    currentBackend().backward(dy, x, extent, statistics, weight, source === 'batch', gradients)
    if (typeof source !== 'string') {
      setGradientOfRows(gradients.input, dy, x, extent, statistics, weight, source)
    }
  }

  const sources = [gradOutput, input, gamma].filter((source) => source !== null)
  const differentiable = (name: keyof GradGradients, values: Float32Array, shape: number[]) =>
    customGrad(() => ({
      value: tensor(values, shape),
      gradFunc: (gradGradient: Tensor) => {
        const second = secondGradientsOf(name, gradGradient, dy, normalized)
        return sources.map((source, index) => last(second[index], source.shape, [gradGradient, ...sources]))
      },
    }))(...sources)

  return [
    differentiable('input', gradients.input, input.shape),
    ...(gradients.weight ? [differentiable('weight', gradients.weight, [extent.channels])] : []),
    ...(gradients.bias ? [differentiable('bias', gradients.bias, [extent.channels])] : []),
  ]
}

/** The gradients of gradOutput, the input and gamma, where `gradGradient` is that of the gradient `name`. */
function secondGradientsOf(
  name: keyof GradGradients,
  gradGradient: Tensor,
  dy: Float32Array,
  { x, weight, extent, statistics, source }: Normalized,
): Float64Array[] {
  if (typeof source !== 'string') {
    throw new Error('The gradients of a batch norm with a mask or a collective cannot be differentiated.')
  }
  const first = {
    gradOutput: Float64Array.from(dy),
    x: Float64Array.from(x),
    extent,
    statistics,
    weight,
    training: source === 'batch',
  }
  const none = { input: null, weight: null, bias: null }
  const gradGradients = { ...none, [name]: Float64Array.from(float32Of(gradGradient)) }
  const second = secondGradients(first, gradGradients)
  return [second.gradOutput, second.input, second.weight]
}

/** A tensor that depends on `sources`, but how is not known: better an error than zeros. */
function last(values: Float64Array, shape: number[], sources: Tensor[]): Tensor {
  return customGrad(() => ({
    value: tensor(Float32Array.from(values), shape),
    gradFunc: () => {
      throw new Error('The gradients of a batch norm can be differentiated once, not twice.')
    },
  }))(...sources)
}
