/** The gradients of the gradients: what they are derived from says what they are, and PyTorch agrees. */
import { describe, expect, test } from 'vitest'
import { functional, type Layout, type Tensor, tensor } from '../lib/index.ts'
import { halfOfNumber } from '../lib/tensor/half.ts'
import { extentOf } from '../lib/tensor/shape.ts'
import { configurations, describeEachBackend, select, testEachNative } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { channelOf } from './support/exact.ts'
import { Random } from './support/random.ts'

const unit = 2 ** -53
const eps = 1e-2

/** Everything that L is made of: x, g and gamma, and u, v and w, in float64. */
interface Point {
  readonly shape: number[]
  readonly layout: Layout
  readonly training: boolean
  readonly x: Float64Array
  readonly g: Float64Array
  readonly weight: Float64Array | null
  readonly u: Float64Array | null
  readonly v: Float64Array | null
  readonly w: Float64Array | null
  /** Of eval mode. */
  readonly running: { mean: Float64Array; variance: Float64Array }
}

type Present = Partial<Record<'u' | 'v' | 'w' | 'weight', boolean>>

function pointOf(
  shape: number[],
  training: boolean,
  present: Present,
  layout: Layout = 'channels-first',
): Point {
  const random = new Random(1)
  const { channels, outer, inner } = extentOf(shape, layout)
  const normals = (length: number) => Float64Array.from({ length }, () => random.normal())
  const length = outer * channels * inner
  const { u = true, v = true, w = true, weight = true } = present
  // All are drawn, so that what is left out changes none of the others.
  const all = { x: normals(length), g: normals(length), u: normals(length), v: normals(channels) }
  const rest = { w: normals(channels), weight: normals(channels) }
  const running = { mean: normals(channels), variance: normals(channels).map((value) => value * value + 0.5) }
  return {
    ...{ shape, layout, training, x: all.x, g: all.g, running },
    u: u ? all.u : null,
    v: v ? all.v : null,
    w: w ? rest.w : null,
    weight: weight ? rest.weight : null,
  }
}

function optionsOf(point: Point) {
  const { shape, layout, training, x, weight, running } = point
  const statistics = training
    ? functional.batchNormStats(tensor(x, shape), { eps, layout })
    : { mean: running.mean, invstd: running.variance.map((variance) => 1 / Math.sqrt(variance + eps)) }
  const { mean, invstd } = statistics
  return { mean, invstd, weight, training, layout }
}

function secondOf(point: Point) {
  const { shape, x, g, u, v, w } = point
  const gradGrad = { gradGradInput: u && tensor(u, shape), gradGradWeight: v, gradGradBias: w }
  const options = { ...optionsOf(point), ...gradGrad }
  return functional.batchNormDoubleBackward(tensor(g, shape), tensor(x, shape), options)
}

/** `L = sum(u * gradInput) + sum(v * gradWeight) + sum(w * gradBias)` */
function lossOf(point: Point): number {
  const { shape, x, g, u, v, w } = point
  const first = functional.batchNormBackward(tensor(g, shape), tensor(x, shape), optionsOf(point))
  const dot = (one: Float64Array | null, { data }: Tensor<Float64Array>) =>
    one ? one.reduce((sum, value, index) => sum + value * data[index], 0) : 0
  return dot(u, first.gradInput) + dot(v, first.gradWeight) + dot(w, first.gradBias)
}

/**
 * What L may be wrong by: each of its terms is a product of a u, v or w with at most 3 terms of the first
 * backward, in which |avg(g)| and |avg(g * xhat)| are at most the largest |g| (xhat has a mean square
 * below 1 in training), so that with the largest of everything a term is below 3 * u * scale * g * xhat or
 * v * g * xhat or w * g. Statistics and sums of n values bring at most n + 10 roundings to each.
 */
function roundingOf(point: Point): number {
  const { x, g, u, v, w, weight, shape, layout } = point
  const { mean, invstd } = optionsOf(point)
  const extent = extentOf(shape, layout)
  const largest = (values: Float64Array | null, otherwise: number) =>
    values ? values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) : otherwise
  const xhat = x.map((value, index) => {
    const channel = channelOf(index, extent)
    return (value - mean[channel]) * invstd[channel]
  })
  const scale = largest(weight, 1) * largest(invstd, 0)
  const terms = 3 * largest(u, 0) * scale + largest(v, 0) + largest(w, 0)
  const count = extent.outer * extent.inner
  return unit * (count + 10) * x.length * terms * largest(g, 0) * Math.max(1, largest(xhat, 0))
}

function valuesOf({ gradInput, gradWeight, gradGradOutput }: ReturnType<typeof secondOf>): number[][] {
  // Sums of another order of terms may have zeros of another sign: 0 + -0 is 0.
  return [gradInput, gradWeight, gradGradOutput].map(({ data }) => Array.from(data, (value) => value + 0))
}

/** The central difference of L along one number of one of its arrays. */
function slopeOf(point: Point, name: 'x' | 'g' | 'weight', index: number, step: number): number {
  const moved = (by: number) => {
    const values = (point[name] as Float64Array).slice()
    values[index] += by
    return lossOf({ ...point, [name]: values })
  }
  return (moved(step) - moved(-step)) / (2 * step)
}

const modes: [string, boolean][] = [
  ['training', true],
  ['eval', false],
]
const types = ['float32', 'bfloat16', 'float16'] as const
const parts: [string, Present][] = [
  ['u, v, w', {}],
  ['u', { v: false, w: false }],
  ['v', { u: false, w: false }],
  ['w', { u: false, v: false }],
  ['u, v, w without a weight', { weight: false }],
]
const forms: [string, number[], Layout][] = [
  ['[6, 3]', [6, 3], 'channels-first'],
  ['[3, 2, 4]', [3, 2, 4], 'channels-first'],
  ['[3, 4, 2], channels last', [3, 4, 2], 'channels-last'],
]
const cases = parts.flatMap(([given, present]) =>
  forms.flatMap(([form, shape, layout]) =>
    modes.map(([mode, training]) => ({ given, form, mode, training, present, shape, layout })),
  ),
)

describeEachBackend('double backward', () => {
  test.each(cases)(
    'is the slope of L by central differences: $given, $form, $mode',
    ({ training, present, shape, layout }) => {
      const point = pointOf(shape, training, present, layout)
      const { gradInput, gradWeight, gradGradOutput } = secondOf(point)
      const rounding = roundingOf(point)

      // L is linear in g and the weight: a difference of any width is its slope.
      gradGradOutput.data.forEach((value, index) => {
        expect(Math.abs(value - slopeOf(point, 'g', index, 1))).toBeLessThanOrEqual(2 * rounding)
      })
      if (point.weight) {
        gradWeight.data.forEach((value, index) => {
          expect(Math.abs(value - slopeOf(point, 'weight', index, 1))).toBeLessThanOrEqual(2 * rounding)
        })
      }
      // A central difference errs by step^2 / 6 times a third derivative: one of twice the width by 3 times
      // as much more. The rounding of L is divided by the step.
      const step = 2 ** -14
      gradInput.data.forEach((value, index) => {
        const slope = slopeOf(point, 'x', index, step)
        const curvature = Math.abs(slopeOf(point, 'x', index, 2 * step) - slope)
        expect(Math.abs(value - slope)).toBeLessThanOrEqual(curvature + (2 * rounding) / step)
      })
    },
  )

  test.each<[string, Present]>([
    ['gradGradInput', { u: false }],
    ['gradGradWeight', { v: false }],
    ['gradGradBias', { w: false }],
    ['weight', { weight: false }],
  ])('%s that is left out stands for zeros, the weight for ones', (_, present) => {
    const point = pointOf([5, 3, 2], true, present)
    const { u, v, w, weight, x } = point
    const [zeros, ones] = [new Float64Array(3), new Float64Array(3).fill(1)]
    const filled = { u: u ?? x.map(() => 0), v: v ?? zeros, w: w ?? zeros, weight: weight ?? ones }
    expect(valuesOf(secondOf(point))).toEqual(valuesOf(secondOf({ ...point, ...filled })))
  })

  test.each(modes)(
    'without any gradient that comes back all is 0, whatever the input holds: %s',
    (_, training) => {
      const point = pointOf([4, 2], training, { u: false, v: false, w: false })
      point.g[0] = Number.POSITIVE_INFINITY
      const { gradInput, gradWeight, gradGradOutput } = secondOf(point)
      for (const { data } of [gradInput, gradWeight, gradGradOutput])
        expect(data.every((value) => value === 0)).toBe(true)
    },
  )

  test.each(modes)('an infinite value stays in its channel, and where its term is: %s', (_, training) => {
    const point = pointOf([4, 2], training, { v: false })
    point.u?.set([Number.POSITIVE_INFINITY])
    const { gradInput, gradWeight, gradGradOutput } = secondOf(point)
    const others = (data: Float64Array) => data.filter((_, index) => index % 2 === 1)
    expect(others(gradInput.data).every(Number.isFinite)).toBe(true)
    expect(others(gradGradOutput.data).every(Number.isFinite)).toBe(true)
    expect(gradWeight.data.map(Number.isFinite as never)).toEqual(Float64Array.of(0, 1))
    // In eval gradInput has no term of u.
    expect(gradInput.data.every((value) => value === 0)).toBe(!training)
  })

  test.each(modes.flatMap(([mode, training]) => types.map((type) => ({ type, mode, training }))))(
    '$type, $mode: what float64 makes of the same numbers, rounded once',
    ({ type, training }) => {
      const half = type === 'float32' ? null : type
      const point = pointOf([9, 3, 2], training, {})
      const { shape } = point
      // The numbers of `point` as they are after rounding, in both types.
      const rounded = (values: Float64Array | null) =>
        tensor(values as Float64Array, shape, { dtype: type }) as Tensor<Uint16Array>
      const [x, g, u] = [rounded(point.x), rounded(point.g), rounded(point.u)]
      const perChannel = (values: Float64Array | null) => Float32Array.from(values as Float64Array)
      const [v, w, weight] = [perChannel(point.v), perChannel(point.w), perChannel(point.weight)]
      const wide = (values: Tensor<Uint16Array> | Float32Array) =>
        Float64Array.from('shape' in values ? (values.numbers() as Float32Array) : values)
      const same = {
        ...point,
        x: wide(x),
        g: wide(g),
        u: wide(u),
        v: wide(v),
        w: wide(w),
        weight: wide(weight),
      }
      const { mean, invstd } = optionsOf(same)
      const options = { mean, invstd, training, weight, gradGradInput: u, gradGradWeight: v, gradGradBias: w }
      const second = functional.batchNormDoubleBackward(g, x, options)

      const expected = secondOf(same)
      for (const name of ['gradInput', 'gradGradOutput'] as const) {
        expect(second[name].dtype).toBe(type)
        const bits = half
          ? expected[name].data.map((value) => halfOfNumber(value, half))
          : expected[name].data
        expect([...second[name].data]).toEqual([...(half ? bits : Float32Array.from(bits))])
      }
      expect(second.gradWeight.data).toEqual(Float32Array.from(expected.gradWeight.data))
    },
  )

  const empties = modes.flatMap(([mode, training]) =>
    [
      [0, 3],
      [2, 3, 0],
    ].map((shape) => ({ mode, training, shape })),
  )
  test.each(empties)('of an empty batch of shape $shape: empty, and zeros: $mode', ({ training, shape }) => {
    const { gradInput, gradWeight, gradGradOutput } = secondOf(pointOf(shape, training, {}))
    expect([gradInput.shape, gradGradOutput.shape]).toEqual([shape, shape])
    expect([...gradWeight.data]).toEqual([0, 0, 0])
  })
})

describe('every backend gives the same bits', () => {
  const results = () => modes.map(([, training]) => secondOf(pointOf([300, 5, 3], training, {})))
  select(configurations[0])
  const expected = results()
  testEachNative(() => {
    results().forEach((second, index) => {
      for (const name of ['gradInput', 'gradWeight', 'gradGradOutput'] as const) {
        expect(difference(second[name].data, expected[index][name].data)).toBeNull()
      }
    })
  })
})

describe('what does not fit is an error', () => {
  const x = tensor([
    [1, 2],
    [3, 5],
  ])
  const options = { mean: Float64Array.of(2, 3.5), invstd: Float64Array.of(1, 0.5) }
  const call = (change: object) => () => functional.batchNormDoubleBackward(x, x, { ...options, ...change })

  test.each<[string, () => unknown, string]>([
    [
      'a single value a channel',
      () => functional.batchNormDoubleBackward(tensor([[1, 2]]), tensor([[1, 2]]), options),
      'Expected more than 1 value per channel when training, got input size [1, 2]',
    ],
    [
      'a gradOutput of another shape',
      () => functional.batchNormDoubleBackward(tensor([[1, 2]]), x, options),
      "Expected gradOutput of shape [2, 2], the input's, but received [1, 2]",
    ],
    [
      'a gradGradInput of another shape',
      call({ gradGradInput: tensor([[1, 2]]) }),
      "Expected gradGradInput of shape [2, 2], the input's, but received [1, 2]",
    ],
    [
      'a gradGradInput of another type',
      call({ gradGradInput: tensor(Float64Array.of(1, 2, 3, 4), [2, 2]) }),
      'Expected gradGradInput.data to be a Float32Array (dtype float32) but received a Float64Array of length 4',
    ],
    [
      'a gradGradWeight that is too short',
      call({ gradGradWeight: new Float32Array(1) }),
      'Expected gradGradWeight to be of length 2, for one value a channel, but received',
    ],
    [
      'a gradGradBias of another type',
      call({ gradGradBias: new Float64Array(2) }),
      'Expected gradGradBias to be a Float32Array',
    ],
    [
      'no mean',
      call({ mean: undefined }),
      'Expected mean to be a Float64Array or Float32Array but received undefined',
    ],
    [
      'a mode that is none',
      call({ training: 'yes' }),
      "Expected training to be true or false but received 'yes'",
    ],
    [
      'no options',
      () => functional.batchNormDoubleBackward(x, x, null as never),
      'Expected options to be an object but received null',
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })
})
