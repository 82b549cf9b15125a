/**
 * Values of float64 are computed with to float64's own precision, whatever the offset; halves are
 * computed with as the float32 numbers that they stand for, and rounded once.
 */
import { afterAll, describe, expect, test } from 'vitest'
import type { Activation, Backend, Extent, PerChannel, Values } from '../lib/backend/backend.ts'
import { currentBackend } from '../lib/backend/load.ts'
import { type HalfType, narrow, widened } from '../lib/half.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { type Kind, valuesOfType } from './support/data.ts'
import { channelOf } from './support/exact.ts'
import { exactFloat64 } from './support/exact-float64.ts'
import { Random } from './support/random.ts'
import {
  biasGradientTolerance,
  doubtOfBatch,
  inputGradientTolerance,
  weightGradientTolerance,
} from './support/tolerance.ts'

const extents: readonly Extent[] = [
  { outer: 1100, channels: 2, inner: 1 },
  { outer: 70, channels: 2, inner: 17 },
  { outer: 2, channels: 2, inner: 700 },
]

/** What one step of training gives: forward with all ones for weight, then backward. */
function train<Data extends Values>(
  backend: Backend,
  x: Data,
  gradOutput: Data,
  extent: Extent,
  eps: number,
  epilogue?: { activation: Activation; residual: Data },
) {
  const like = (source: Data) => source.slice().fill(0) as Data
  const ofDoubles = x.BYTES_PER_ELEMENT === 8
  const perChannel = (): PerChannel => new (ofDoubles ? Float64Array : Float32Array)(extent.channels)
  const doubles = () => new Float64Array(extent.channels)
  const moments = { count: 0, mean: doubles(), m2: doubles(), ...(ofDoubles && { lost: doubles() }) }
  const [invstd, y] = [doubles(), like(x)]
  const gradients = { input: like(x), residual: like(x), weight: perChannel(), bias: perChannel() }
  const affine = { weight: perChannel().fill(1), bias: null }
  const settings = { eps, momentum: 0, nonFinite: 'propagate' } as const
  backend.forward(x, extent, settings, affine, null, moments, invstd, y, epilogue)
  const activated = epilogue && { activation: epilogue.activation, output: y }
  const statistics = { ...moments, invstd }
  backend.backward(gradOutput, x, extent, statistics, affine.weight, true, gradients, activated)
  return { y, mean: moments.mean, m2: moments.m2, invstd, gradients }
}

/** |error| / max(1, |y|) of the output may be so large: 90 roundings of float64. */
const goal = 1e-14

/** Bounds that were derived for float32, in float64's roundings. */
const finer = 2 ** (24 - 53)

interface Row {
  readonly value: (random: Random, index: number) => number
  readonly eps: number
  /** All values are multiples of 2^-scale. */
  readonly scale: number
}

const table: Readonly<Record<string, Row>> = {
  'N(0, 1)': { value: (random) => random.normal(), eps: 1e-5, scale: 120 },
  'offset 1e6': { value: (random) => 1e6 + random.normal(), eps: 1e-5, scale: 120 },
  'offset 1e12': { value: (random) => 1e12 + random.normal(), eps: 1e-5, scale: 120 },
  'offset -1e12, std 1e-2': { value: (random) => 1e-2 * random.normal() - 1e12, eps: 1e-9, scale: 120 },
  'outlier of 1e8': {
    value: (random, index) => (index === 1000 ? 1e8 : random.normal()),
    eps: 1e-5,
    scale: 120,
  },
  'scale 1e100': { value: (random) => 1e100 * random.normal(), eps: 1e-5, scale: 120 },
  'scale 1e-100': { value: (random) => 1e-100 * random.normal(), eps: 1e-300, scale: 450 },
  sorted: { value: (_, index) => 100 + index / 5000, eps: 1e-5, scale: 120 },
  'constant 0.1': { value: () => 0.1, eps: 1e-5, scale: 120 },
}

const measured: Record<string, Record<string, string>> = {}

afterAll(() => {
  console.log('Largest |error| / max(1, |y|) of the output of float64 values, by data and backend')
  console.table(measured)
})

describeEachBackend('float64', ({ title }) => {
  const cases = Object.entries(table).flatMap(([name, row]) =>
    extents.map((extent) => ({ name, row, extent, shape: Object.values(extent).join(', ') })),
  )
  test.each(cases)('$name, ($shape): as exact as float64 allows', ({ name, row, extent }) => {
    const { outer, channels, inner } = extent
    const [random, count] = [new Random(outer), outer * inner]
    const x = Float64Array.from({ length: count * channels }, (_, index) => row.value(random, index))
    const gradOutput = x.map(() => random.normal())
    const { y, gradients } = train(currentBackend(), x, gradOutput, extent, row.eps)
    const exact = exactFloat64(x, gradOutput, extent, row.eps, row.scale)

    let error = 0
    for (const [index, value] of exact.output.entries()) {
      error = Math.max(error, Math.abs(y[index] - value) / Math.max(1, Math.abs(value)))
    }
    measured[name] = { ...measured[name], [title]: error.toExponential(1) }
    expect(error).toBeLessThanOrEqual(goal)

    const doubt = doubtOfBatch(count)
    for (let channel = 0; channel < channels; channel++) {
      const { bias, weight, biasMagnitude, weightMagnitude } = exact.gradients
      const allowedBias = biasGradientTolerance(biasMagnitude[channel], count)
      const allowedWeight = weightGradientTolerance(
        weightMagnitude[channel],
        bias[channel],
        allowedBias,
        count,
        doubt,
      )
      expect(Math.abs(gradients.bias[channel] - bias[channel])).toBeLessThanOrEqual(allowedBias * finer)
      expect(Math.abs(gradients.weight[channel] - weight[channel])).toBeLessThanOrEqual(allowedWeight * finer)
      for (const [index, value] of exact.gradients.input.entries()) {
        if (channelOf(index, extent) !== channel) continue
        const allowed = inputGradientTolerance(
          {
            gradOutput: gradOutput[index],
            normalized: exact.output[index],
            scale: exact.invstd[channel],
            meanGradient: bias[channel] / count,
            meanProduct: weight[channel] / count,
            meanGradientTolerance: allowedBias / count,
            meanProductTolerance: allowedWeight / count,
          },
          doubt,
        )
        const off = Math.abs(gradients.input[index] - value)
        if (!(off <= allowed * finer))
          expect.fail(`gradInput[${index}] is off by ${off} of ${allowed * finer}`)
      }
    }
  })
})

describeEachBackend('halves', () => {
  const kinds: readonly Kind[] = ['normal', 'scale 1e4', 'scale 1e-6', 'everything at once', 'sorted']
  describe.each<HalfType>(['bfloat16', 'float16'])('%s', (half) => {
    test.each(kinds)('%s: the float32 results of the same numbers, rounded once', (kind) => {
      for (const [index, extent] of extents.entries()) {
        const halves = (ofKind: Kind, seed: number) =>
          valuesOfType(half, ofKind, extent, seed + 10 * index) as Uint16Array
        const [x, gradOutput, residual] = [halves(kind, 1), halves('normal', 2), halves('normal', 3)]
        const activation: Activation = { name: 'leakyRelu', negativeSlope: 0.1 }
        const eps = 1e-9
        const ofHalves = { ...extent, half }
        const wide = (bits: Uint16Array) => widened(bits, half)
        const rounded = (values: Float32Array): Float32Array => {
          const bits = new Uint16Array(values.length)
          narrow(values, half, bits)
          return wide(bits)
        }

        const backend = currentBackend()
        const actual = train(backend, x, gradOutput, ofHalves, eps, { activation, residual })
        const floats = train(backend, wide(x), wide(gradOutput), extent, eps, {
          activation,
          residual: wide(residual),
        })
        for (const key of ['mean', 'm2', 'invstd'] as const) {
          expect(difference(actual[key], floats[key]), key).toBeNull()
        }
        expect(difference(wide(actual.y), rounded(floats.y)), 'y').toBeNull()
        // Without an activation, whose output is rounded: the gradients of the same numbers.
        const plain = train(backend, x, gradOutput, ofHalves, eps)
        const plainFloats = train(backend, wide(x), wide(gradOutput), extent, eps)
        const { input, weight, bias } = plain.gradients
        expect(difference(wide(input), rounded(plainFloats.gradients.input)), 'gradInput').toBeNull()
        expect(difference(weight as Float32Array, plainFloats.gradients.weight as Float32Array)).toBeNull()
        expect(difference(bias as Float32Array, plainFloats.gradients.bias as Float32Array)).toBeNull()
      }
    })
  })
})
