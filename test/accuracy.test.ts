/**
 * Whatever the offset, the scale, the outliers and the order of the data: the output of training is
 * within 1e-6 * max(1, |y|) of an exact evaluation, and the gradients within their bounds.
 */
import { afterAll, describe, expect, test } from 'vitest'
import { BatchNorm1d, type Tensor, tensor } from '../lib/index.ts'
import { extentOf, type Layout } from '../lib/shape.ts'
import { type Configuration, configurations, describeEachBackend, select } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { channelOf, exactGradients, exactOutput, exactStatistics } from './support/exact.ts'
import { Random } from './support/random.ts'
import {
  biasGradientTolerance,
  doubtOfBatch,
  inputGradientTolerance,
  unit,
  weightGradientTolerance,
} from './support/tolerance.ts'

const goal = 1e-6

interface Row {
  readonly value: (random: Random, row: number, rows: number, channel: number) => number
  readonly rows: number
  readonly channels: number
  readonly eps: number
}

const usual = { rows: 4096, channels: 64, eps: 1e-5 }

/** An outlier in each channel, of another size and in another row: at and around where sums begin and end. */
function outliers(random: Random, row: number, rows: number, channel: number): number {
  const places = [0, 1, 2, 5, 8, 20, 63, 64, 100, 1023, 1024, 2048, rows - 1]
  return row === places[channel % places.length] ? 10 ** (2 + (channel % 12)) : random.normal()
}

/** One value of 1e8 in each channel, `at` of the way through, among N(0, 1). */
function outlier(at: number): Row['value'] {
  return (random, row, rows) => (row === Math.round(at * (rows - 1)) ? 1e8 : random.normal())
}

const table: Record<string, Row> = {
  'N(0, 1)': { ...usual, value: (random) => random.normal() },
  'offset 1e4, std 1e-2': { ...usual, value: (random) => 1e4 + 1e-2 * random.normal() },
  'offset 1e6, std 1': { ...usual, value: (random) => 1e6 + random.normal() },
  'outlier of 1e8 in the first row': { ...usual, value: outlier(0) },
  'outlier of 1e8 in the middle row': { ...usual, value: outlier(0.5) },
  'outlier of 1e8 in the last row': { ...usual, value: outlier(1) },
  'outliers of 1e2 to 1e13 anywhere': { ...usual, value: outliers },
  'constant 1e8': { ...usual, value: () => 1e8 },
  'constant 0.1': { ...usual, value: () => 0.1 },
  'scale 1e18': { ...usual, value: (random) => 1e18 * random.normal() },
  'scale 1e30': { ...usual, value: (random) => 1e30 * random.normal() },
  'scale 1e-30, eps 1e-70': { ...usual, eps: 1e-70, value: (random) => 1e-30 * random.normal() },
  'sorted, offset 100': { ...usual, value: (_, row, rows) => 100 + row / rows },
  '1e6 rows of N(10, 1)': {
    rows: 1_000_000,
    channels: 2,
    eps: 1e-5,
    value: (random) => 10 + random.normal(),
  },
}

/** How the rows of a table's row become an input; `positions` of them make one sample. */
interface Form {
  readonly name: string
  readonly layout: Layout
  readonly positions: number | null
}

const forms: readonly Form[] = [
  { name: '(N, C)', layout: 'channels-first', positions: null },
  { name: '(N, C, 64)', layout: 'channels-first', positions: 64 },
  { name: '(N, C, 16)', layout: 'channels-first', positions: 16 },
  { name: '(N, 64, C), channels last', layout: 'channels-last', positions: 64 },
]

function shapeOf({ rows, channels }: Row, { layout, positions }: Form): number[] {
  if (positions === null) return [rows, channels]
  return layout === 'channels-last'
    ? [rows / positions, positions, channels]
    : [rows / positions, channels, positions]
}

/** The same numbers in every form: row r of channel c is position r % positions of sample r / positions. */
function inputOf(row: Row, form: Form): Tensor {
  const { rows, channels, value } = row
  const shape = shapeOf(row, form)
  const { inner } = extentOf(shape, form.layout)
  const random = new Random(rows)
  const data = new Float32Array(rows * channels)
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < channels; c++) {
      data[(Math.floor(r / inner) * channels + c) * inner + (r % inner)] = value(random, r, rows, c)
    }
  }
  return tensor(data, shape)
}

function normalsLike({ data, shape }: Tensor, seed: number): Tensor {
  const random = new Random(seed)
  return tensor(
    data.map(() => random.normal()),
    shape,
  )
}

interface Step {
  readonly y: Float32Array
  readonly gradInput: Float32Array
  readonly gradWeight: Float32Array
  readonly gradBias: Float32Array
}

/** One step of training on the public face. */
function train(
  input: Tensor,
  gradOutput: Tensor,
  { channels, eps }: Row,
  { layout }: Form,
  on: Configuration,
): Step {
  select(on)
  const module = new BatchNorm1d(channels, { eps, layout, trackRunningStats: false })
  const y = module.forward(input)
  const gradInput = module.backward(gradOutput)
  return {
    y: y.data,
    gradInput: gradInput.data,
    gradWeight: module.weight?.grad as Float32Array,
    gradBias: module.bias?.grad as Float32Array,
  }
}

/** The largest of `ratio(index)`; NaN, which no goal admits, if there is one. */
function largest(length: number, ratio: (index: number) => number): number {
  let result = 0
  for (let index = 0; index < length; index++) result = Math.max(result, ratio(index))
  return result
}

const measured: Record<string, Record<string, string>> = {}

afterAll(() => {
  console.log('Largest |error| / max(1, |y|) of the output, by data and layout')
  console.table(measured)
})

describe.each(Object.entries(table))('%s', (name, row) => {
  test.each(forms)('as $name', (form) => {
    const input = inputOf(row, form)
    const gradOutput = normalsLike(input, 1)
    const extent = extentOf(input.shape, form.layout)
    const ones = new Float32Array(row.channels).fill(1)
    const zeros = new Float32Array(row.channels)
    const statistics = exactStatistics(input.data, extent, row.eps)
    const exact = exactOutput(input.data, extent, statistics, ones, zeros)
    const [reference, ...others] = configurations.map((on) => train(input, gradOutput, row, form, on))

    const error = largest(exact.length, (index) => {
      return Math.abs(reference.y[index] - exact[index]) / Math.max(1, Math.abs(exact[index]))
    })
    measured[name] = { ...measured[name], [form.name]: error.toExponential(1) }
    expect(error).toBeLessThanOrEqual(goal)

    const count = row.rows
    const doubt = doubtOfBatch(count)
    const gradients = exactGradients(gradOutput.data, input.data, extent, statistics, ones)
    const allowed = {
      bias: gradients.biasMagnitude.map((magnitude) => biasGradientTolerance(magnitude, count)),
      weight: gradients.weightMagnitude.map((magnitude, channel) => {
        const allowedBias = biasGradientTolerance(gradients.biasMagnitude[channel], count)
        return weightGradientTolerance(magnitude, gradients.bias[channel], allowedBias, count, doubt)
      }),
    }
    // Each as a share of its bound, the rounding of the float32 that holds it included.
    const share = (actual: number, expected: number, bound: number) =>
      Math.abs(actual - expected) / (bound + unit * Math.abs(expected))
    const shares = {
      gradBias: largest(row.channels, (channel) =>
        share(reference.gradBias[channel], gradients.bias[channel], allowed.bias[channel]),
      ),
      gradWeight: largest(row.channels, (channel) =>
        share(reference.gradWeight[channel], gradients.weight[channel], allowed.weight[channel]),
      ),
      gradInput: largest(exact.length, (index) => {
        const channel = channelOf(index, extent)
        const bound = inputGradientTolerance(
          {
            gradOutput: gradOutput.data[index],
            normalized: exact[index],
            scale: statistics.invstd[channel],
            meanGradient: gradients.bias[channel] / count,
            meanProduct: gradients.weight[channel] / count,
            meanGradientTolerance: allowed.bias[channel] / count,
            meanProductTolerance: allowed.weight[channel] / count,
          },
          doubt,
        )
        return share(reference.gradInput[index], gradients.input[index], bound)
      }),
    }
    for (const [gradient, ofBound] of Object.entries(shares)) expect(ofBound, gradient).toBeLessThanOrEqual(1)

    for (const [index, step] of others.entries()) {
      for (const key of ['y', 'gradInput', 'gradWeight', 'gradBias'] as const) {
        expect(difference(step[key], reference[key]), `${key}, ${configurations[index + 1].title}`).toBeNull()
      }
    }
  })
})

describeEachBackend('constant data', () => {
  test('give exactly the bias', () => {
    const random = new Random(3)
    for (const constant of [0.1, 1e8, -3e-5, 1 / 3]) {
      const module = new BatchNorm1d(64)
      const { weight, bias } = module
      if (weight === null || bias === null) throw new Error('an affine module has both')
      for (let channel = 0; channel < 64; channel++) {
        weight.data[channel] = random.normal()
        bias.data[channel] = random.normal()
      }
      const y = module.forward(tensor(new Float32Array(4096 * 64).fill(constant), [4096, 64]))
      const expected = y.data.map((_, index) => bias.data[index % 64])
      expect(difference(y.data, expected)).toBeNull()
    }
  })
})
