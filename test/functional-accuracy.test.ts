/**
 * The functions are as exact as a module: what `batchNormStats` gives is enough for the gradients of
 * inputs with an offset, in float64 too, where a mean of 53 bits is not.
 */
import { describe, expect, test } from 'vitest'
import { functional, type Layout, type Tensor, tensor } from '../lib/index.ts'
import { extentOf } from '../lib/tensor/shape.ts'
import { describeEachBackend } from './support/backends.ts'
import { channelOf } from './support/exact.ts'
import { ExactChannel, none, worseOf } from './support/oracle.ts'
import { Random } from './support/random.ts'
import { secondGradientMagnitudes } from './support/second-gradients.ts'

const eps = 1e-5
const forms: [string, number[], Layout][] = [
  ['(N, C)', [200, 3], 'channels-first'],
  ['(N, C, 64)', [5, 3, 64], 'channels-first'],
  ['(N, 50, C), channels last', [4, 50, 3], 'channels-last'],
]
const offsets = [0, 1e6, 1e12, -1e15]

/** x = offset + deviation, without rounding: deviations are multiples of 1/8, of which 1e15 is one too. */
function pointOf(shape: readonly number[], layout: Layout, offset: number) {
  const random = new Random(5)
  const extent = extentOf(shape, layout)
  const length = extent.outer * extent.channels * extent.inner
  const normals = (count: number) => Float64Array.from({ length: count }, () => random.normal())
  const deviations = normals(length).map((value) => Math.round(8 * value) / 8)
  const x = tensor(
    deviations.map((deviation) => offset + deviation),
    shape,
  )
  return {
    extent,
    deviations,
    x,
    gradOutput: tensor(normals(length), shape),
    gradGradInput: tensor(normals(length), shape),
    gradGradWeight: normals(extent.channels),
    gradGradBias: normals(extent.channels),
    weight: normals(extent.channels),
    stats: functional.batchNormStats(x, { eps, layout }),
  }
}

/** Of each channel of a tensor, its values. */
function columnsOf({ data }: Tensor<Float64Array>, extent: ReturnType<typeof extentOf>): Float64Array[] {
  return Array.from({ length: extent.channels }, (_, channel) =>
    data.filter((_value, index) => channelOf(index, extent) === channel),
  )
}

describeEachBackend('float64', () => {
  describe.each(forms)('%s', (_, shape, layout) => {
    test.each(offsets)('batchNormBackward is within the promise at offset %d', (offset) => {
      const { extent, x, gradOutput, weight, stats } = pointOf(shape, layout, offset)
      const gradients = functional.batchNormBackward(gradOutput, x, { ...stats, weight, layout })
      const [ofX, ofG, ofGradInput] = [x, gradOutput, gradients.gradInput].map((each) =>
        columnsOf(each, extent),
      )
      let worst = none
      for (const [channel, values] of ofX.entries()) {
        const exact = new ExactChannel(values, ofG[channel], {
          eps,
          weight: weight[channel],
          bias: 0,
          running: null,
        })
        worst = worseOf(worst, exact.inputGradient(ofGradInput[channel], 'float64'))
        worst = worseOf(worst, exact.weightGradient(gradients.gradWeight.data[channel], 'float64'))
        worst = worseOf(worst, exact.biasGradient(gradients.gradBias.data[channel], 'float64'))
      }
      expect(worst.share, JSON.stringify(worst)).toBeLessThanOrEqual(1)
    })

    test.each(offsets)('batchNormDoubleBackward is the same at offset %d as without', (offset) => {
      const second = (at: number) => {
        const { x, gradOutput, stats, extent: _, deviations: __, ...rest } = pointOf(shape, layout, at)
        return functional.batchNormDoubleBackward(gradOutput, x, { ...rest, ...stats, layout })
      }
      const [actual, expected] = [second(offset), second(0)]
      const { extent, deviations, gradOutput, gradGradInput, gradGradWeight, gradGradBias, weight, stats } =
        pointOf(shape, layout, 0)
      const magnitudes = secondGradientMagnitudes({
        x: deviations,
        gradOutput: gradOutput.data,
        u: gradGradInput.data,
        v: gradGradWeight,
        w: gradGradBias,
        weight,
        ...stats,
        extent,
        training: true,
      })
      for (const name of ['gradInput', 'gradWeight', 'gradGradOutput'] as const) {
        const shares = actual[name].data.map(
          (value, index) => Math.abs(value - expected[name].data[index]) / magnitudes[name](index) / 1e-14,
        )
        expect(Math.max(...shares), name).toBeLessThanOrEqual(1)
      }
    })
  })
})
