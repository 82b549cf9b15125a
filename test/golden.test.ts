/** BatchNorm1d means what PyTorch's means: golden/make.py has made what is replayed here. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BatchNorm1d, type Tensor, tensor } from '../lib/index.ts'
import { extentOf } from '../lib/shape.ts'
import { describeEachBackend } from './support/backends.ts'
import {
  channelOf,
  type ExactGradients,
  type ExactStatistics,
  exactGradients,
  exactStatistics,
} from './support/exact.ts'
import {
  biasGradientTolerance,
  type Doubt,
  doubtOfBatch,
  inputGradientTolerance,
  outputTolerance,
  relativeDoubtOfVariance,
  unit,
  weightGradientTolerance,
} from './support/tolerance.ts'

interface Packed {
  shape: number[]
  dtype: 'float32' | 'float64' | 'int64'
  data: string
}

interface Step {
  mode: 'train' | 'eval'
  input: Packed
  gradOutput: Packed
  output: Packed
  gradInput: Packed
  /** Of the parameters, added up over the steps. */
  gradients: Record<string, Packed>
  state: Record<string, Packed>
}

interface Case {
  name: string
  settings: { eps: number; momentum: number | null; affine: boolean; track_running_stats: boolean }
  channels: number
  state: Record<string, Packed>
  steps: Step[]
}

const file = new URL('golden/batchnorm1d.json', import.meta.url)
const { torch, cases } = JSON.parse(readFileSync(file, 'utf8')) as { torch: string; cases: Case[] }

function numbers({ dtype, data }: Packed): Float32Array | Float64Array | BigInt64Array {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64')).buffer
  const arrays = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array }
  return new arrays[dtype](bytes)
}

function floats(packed: Packed): Float32Array {
  expect(packed.dtype).toBe('float32')
  return numbers(packed) as Float32Array
}

function stateOf(packed: Record<string, Packed>) {
  return Object.fromEntries(
    Object.entries(packed).map(([key, value]) => [key, tensor(numbers(value), value.shape)]),
  )
}

/** Asserts that every element lies within its own tolerance of what PyTorch has. */
function expectNear(
  what: string,
  actual: Tensor | null,
  expected: Packed,
  tolerance: (index: number) => number,
): void {
  expect(actual?.shape, what).toEqual(expected.shape)
  for (const [index, value] of numbers(expected).entries()) {
    const error = Math.abs(Number(actual?.data[index]) - Number(value))
    const text = `${what}[${index}]: ${actual?.data[index]}, in PyTorch ${value}`
    expect(error, text).toBeLessThanOrEqual(tolerance(index))
  }
}

/** Runs the steps of a case on our module and compares everything that PyTorch showed after each. */
function replay({ name, settings, channels, state, steps }: Case): void {
  const { eps, momentum, affine, track_running_stats: trackRunningStats } = settings
  const module = new BatchNorm1d(channels, { eps, momentum, affine, trackRunningStats })
  expect(`${module}`).toBe(name)
  module.loadStateDict(stateOf(state))
  expect(Object.keys(module.stateDict())).toEqual(Object.keys(state))

  const weight = affine ? floats(state.weight) : new Float32Array(channels).fill(1)
  const bias = affine ? floats(state.bias) : new Float32Array(channels)
  // How wrong the running buffers and the parameters' gradients may be by now.
  const drift = { mean: new Float64Array(channels), variance: new Float64Array(channels) }
  const allowed = { weight: new Float64Array(channels), bias: new Float64Array(channels) }
  let before = state
  let updates = trackRunningStats ? Number(numbers(state.num_batches_tracked)[0]) : 0

  for (const [number, step] of steps.entries()) {
    const of = (what: string) => `step ${number} (${step.mode}): ${what}`
    const x = floats(step.input)
    const gradOutput = floats(step.gradOutput)
    const extent = extentOf(step.input.shape, 'channels-first')
    const count = extent.outer * extent.inner
    const training = step.mode === 'train'
    const batch = exactStatistics(x, extent, eps)
    const byBatch = training || !trackRunningStats
    const used = byBatch ? batch : runningStatistics(before, eps)
    const doubt = (channel: number): Doubt =>
      byBatch
        ? doubtOfBatch(count)
        : {
            mean: drift.mean[channel] * used.invstd[channel],
            invstd: (drift.variance[channel] * used.invstd[channel] ** 2) / 2 + unit,
          }

    if (training) module.train()
    else module.eval()
    const y = module.forward(tensor(x, step.input.shape))
    const reference = floats(step.output)
    expectNear(of('output'), y, step.output, (index) => {
      const channel = channelOf(index, extent)
      return outputTolerance(reference[index], weight[channel], bias[channel], doubt(channel))
    })

    const gradInput = module.backward(tensor(gradOutput, step.gradOutput.shape))
    const exact = exactGradients(gradOutput, x, extent, used, weight)
    const own = gradientTolerances(exact, count, doubt)
    expectNear(of('gradInput'), gradInput, step.gradInput, (index) => {
      const channel = channelOf(index, extent)
      return inputGradientTolerance(
        {
          gradOutput: gradOutput[index],
          normalized: (x[index] - used.mean[channel]) * used.invstd[channel],
          scale: weight[channel] * used.invstd[channel],
          meanGradient: byBatch ? exact.bias[channel] / count : 0,
          meanProduct: byBatch ? exact.weight[channel] / count : 0,
          meanGradientTolerance: byBatch ? own.bias[channel] / count : 0,
          meanProductTolerance: byBatch ? own.weight[channel] / count : 0,
        },
        doubt(channel),
      )
    })
    for (const [key, gradient] of Object.entries(step.gradients)) {
      const parameter = key as 'weight' | 'bias'
      const total = numbers(gradient) as Float64Array
      for (let channel = 0; channel < channels; channel++) {
        allowed[parameter][channel] += own[parameter][channel] + 2 * unit * Math.abs(total[channel])
      }
      const actual = tensor(module[parameter]?.grad as Float32Array, gradient.shape)
      expectNear(of(`${key}.grad`), actual, gradient, (channel) => allowed[parameter][channel])
    }

    if (training && trackRunningStats) {
      updates++
      const share = momentum ?? 1 / updates
      const mean = floats(step.state.running_mean)
      const variance = floats(step.state.running_var)
      for (let channel = 0; channel < channels; channel++) {
        const doubtOfMean = doubt(channel).mean / batch.invstd[channel]
        const unbiased = (batch.variance[channel] * count) / (count - 1)
        const doubtOfVariance = relativeDoubtOfVariance(count) * unbiased
        drift.mean[channel] =
          (1 - share) * drift.mean[channel] + share * doubtOfMean + 2 * unit * Math.abs(mean[channel])
        drift.variance[channel] =
          (1 - share) * drift.variance[channel] + share * doubtOfVariance + 2 * unit * variance[channel]
      }
    }
    const after = module.stateDict()
    const tolerances: Record<string, Float64Array> = { running_mean: drift.mean, running_var: drift.variance }
    for (const [key, expected] of Object.entries(step.state)) {
      const exactly = new Float64Array(channels)
      expectNear(of(key), after[key] as Tensor, expected, (index) => (tolerances[key] ?? exactly)[index])
    }
    before = step.state
  }
}

function runningStatistics(state: Record<string, Packed>, eps: number): ExactStatistics {
  const variance = Float64Array.from(floats(state.running_var))
  return {
    mean: Float64Array.from(floats(state.running_mean)),
    variance,
    invstd: variance.map((value) => 1 / Math.sqrt(value + eps)),
  }
}

function gradientTolerances(exact: ExactGradients, count: number, doubt: (channel: number) => Doubt) {
  const bias = exact.biasMagnitude.map((magnitude) => biasGradientTolerance(magnitude, count))
  const weight = exact.weightMagnitude.map((magnitude, channel) =>
    weightGradientTolerance(magnitude, exact.bias[channel], bias[channel], count, doubt(channel)),
  )
  return { weight, bias }
}

test('the golden file holds every combination of shape, affine, tracking and momentum', () => {
  expect(torch).toMatch(/^1\.13/)
  expect(cases).toHaveLength(3 * 2 * 4)
})

describeEachBackend('BatchNorm1d gives what PyTorch gives, step after step', () => {
  test.each(cases.map((golden, index) => ({ ...golden, index })))('case $index: $name', replay)
})

/**
 * A case from the field: BatchNorm1d(10, affine=False) in training, printed by PyTorch to 4 decimals.
 * The print that came with it reads 910.9046 where 610.9046 stands here: one digit was misread, for
 * PyTorch makes 0.4537, -1.3869 and 0.9332 of 910.9046, and the output that was printed of 610.9046.
 */
const field = {
  input: `
    553.9385  358.0948 -311.0905  946.6582  320.4365 1158.4661  610.9046 -300.3665 -730.4023 -432.1760
   -428.9000 -373.9978  304.2072 -230.9816  246.2242  757.4435 -489.5371 -2545.6099 2042.6073 -763.0421
   -350.7178 1166.3325 -511.8971 -1168.5955 1719.1627 -95.6929 1275.7457 2684.2368 -1186.4659 -1935.6162`,
  output: `
    1.4106  -0.0403  -0.3979   1.2684  -0.6516   1.0550   0.1995  -0.1150  -0.5413   0.9479
   -0.7929  -1.2041   1.3742  -0.0925  -0.7612   0.2882  -1.3122  -1.1632   1.4021   0.4350
   -0.6177   1.2444  -0.9763  -1.1759   1.4128  -1.3431   1.1128   1.2782  -0.8609  -1.3829`,
}

describeEachBackend('a table from the field', () => {
  test('is reproduced to the printed decimals', () => {
    const words = (text: string) => text.trim().split(/\s+/)
    const module = new BatchNorm1d(10, { affine: false })
    const y = module.forward(tensor(Float32Array.from(words(field.input), Number), [3, 10]))
    expect(Array.from(y.data, (value) => value.toFixed(4))).toEqual(words(field.output))
  })
})
