/** Asks the library what PyTorch was asked: a module, or the functions. */
import { expect } from 'vitest'
import { functional, Tensor, tensor } from '../../lib/index.ts'
import type { FloatArray } from './bits.ts'
import type { Floats, GoldenCase, Numbers } from './golden.ts'
import { compare } from './golden-compare.ts'

/** Runs the steps of a case on a module. */
export function replayModule(golden: GoldenCase): void {
  const module = golden.create()
  // PyTorch does not print the type of the parameters, which is no option of its modules' there.
  const prints =
    module.dtype === 'float64' ? golden.prints?.replace(/\)$/, ', dtype=float64)') : golden.prints
  if (prints) expect(`${module}`).toBe(prints)
  module.loadStateDict(Object.fromEntries(golden.state))
  expect(Object.keys(module.stateDict())).toEqual([...golden.state.keys()])

  for (const [key, parameter] of module.namedParameters()) {
    parameter.requiresGrad = !golden.frozen.some((name) => name === key)
  }

  compare(golden, ({ training, input, gradOutput }) => {
    const output = module.train(training).forward(ofType(golden, input))
    const gradInput = module.backward(ofType(golden, gradOutput))
    expect([output.dtype, gradInput.dtype]).toEqual([golden.dtype, golden.dtype])
    const gradients = module
      .namedParameters()
      .map(([key, { grad, shape }]): [string, Numbers] => [`${key}.grad`, new Tensor(grad, shape)])
    const state = Object.entries(module.stateDict()) as [string, Numbers][]
    return new Map<string, Numbers>([...numbers({ output, gradInput }), ...gradients, ...state])
  })
}

/** Runs the steps of a case on the functions; what a module would keep is kept here. */
export function replayFunctions(golden: GoldenCase): void {
  const { dtype } = golden
  const { eps, momentum, layout, trackRunningStats } = golden.options
  const kept = new Map(
    [...golden.state].map(([key, { data, shape }]) => [key, new Tensor(data.slice(), shape)]),
  )
  const vector = (key: string) => kept.get(key) as Floats | undefined
  const [weight, bias] = [vector('weight'), vector('bias')]
  const running = { runningMean: vector('running_mean'), runningVar: vector('running_var') }
  const counter = kept.get('num_batches_tracked')?.data as BigInt64Array | undefined
  const zerosLike = (parameter: Floats | undefined) => parameter?.data.map(() => 0)
  const totals = { weight: zerosLike(weight), bias: zerosLike(bias) }

  compare(golden, (step) => {
    const [input, gradOutput] = [ofType(golden, step.input), ofType(golden, step.gradOutput)]
    const training = step.training || !trackRunningStats
    const statistics = training
      ? functional.batchNormStats(input, { eps, layout })
      : evalStatistics(vector('running_mean'), vector('running_var'), eps)
    if (training && counter) counter[0]++
    const settings = { training, eps, layout, momentum: momentum ?? 1 / Number(counter?.[0]) }
    const output = functional.batchNorm(input, { ...running, weight, bias, ...settings })
    const options = { ...statistics, weight, training, layout }
    const { gradInput, gradWeight, gradBias } = functional.batchNormBackward(gradOutput, input, options)
    expect([output.dtype, gradInput.dtype]).toEqual([dtype, dtype])
    addTo(totals.weight, gradWeight.data)
    addTo(totals.bias, gradBias.data)
    const sums = Object.entries(totals).flatMap(([key, total]): [string, Numbers][] =>
      total ? [[`${key}.grad`, new Tensor(total, gradWeight.shape)]] : [],
    )
    return new Map<string, Numbers>([...numbers({ output, gradInput }), ...sums, ...kept])
  })
}

/** Numbers as the values of a case: of float32, float64, or as the bits of halves. */
function ofType({ dtype }: GoldenCase, { data, shape }: Floats): Floats {
  return tensor(data, shape, { dtype }) as Floats
}

/** Results in numbers: halves are widened. */
function numbers(results: Readonly<Record<string, Floats>>): [string, Numbers][] {
  return Object.entries(results).map(([key, value]) => [key, new Tensor(value.numbers(), value.shape)])
}

function addTo(total: FloatArray | undefined, values: FloatArray): void {
  total?.forEach((_, index) => {
    total[index] += values[index]
  })
}

/** What eval normalizes with. */
function evalStatistics(mean: Floats | undefined, variance: Floats | undefined, eps: number) {
  if (!mean || !variance) throw new TypeError('Expected running statistics in eval but received none')
  return {
    mean: Float64Array.from(mean.data),
    invstd: Float64Array.from(variance.data, (value) => 1 / Math.sqrt(value + eps)),
  }
}
