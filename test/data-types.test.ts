/** Modules of float32, bfloat16, float16 and float64 values. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import type { Values } from '../lib/backend/backend.ts'
import {
  type AnyBatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  type ForwardOptions,
  LazyBatchNorm1d,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import type { HalfType } from '../lib/tensor/half.ts'
import { configurations, describeEachBackend, select, share } from './support/backends.ts'
import {
  callOf,
  chosenModule,
  combinations,
  contradicts,
  type Form,
  forms,
  forwardOptions,
  inputOf,
} from './support/choices.ts'
import { expectSameBits, filled, normal, normal64, snapshot } from './support/module.ts'
import {
  biasGradientTolerance,
  doubtOfBatch,
  inputGradientTolerance,
  outputTolerance,
  unit,
  unit64,
  weightGradientTolerance,
} from './support/tolerance.ts'

const halves: readonly HalfType[] = ['bfloat16', 'float16']

/** Rounded to a half. */
function narrowed({ data, shape }: Tensor, dtype: HalfType): Tensor<Uint16Array> {
  return tensor(data, shape, { dtype })
}

/** The numbers of halves, in float32. */
function widened(values: Tensor<Uint16Array>): Tensor {
  return tensor(values.numbers() as Float32Array, values.shape)
}

interface Case {
  readonly title: string
  readonly combination: (typeof combinations)[number]
  readonly form: Form
  readonly training: boolean
}

/** Each option alone in every form of input, two of them in one; without contradictions. */
const cases: Case[] = combinations.flatMap((combination) =>
  (combination.length === 1 ? forms : [forms[1]]).flatMap((form) =>
    [true, false].flatMap((training) => {
      const title = combination.map((choice) => choice.title).join(', ')
      const one = { title: `${title}, ${form.shape}, training ${training}`, combination, form, training }
      const needsPositions = combination.some(({ key }) => key === 'lengths')
      return (needsPositions && form.positions === 1) || contradicts(combination, form) ? [] : [one]
    }),
  ),
)

/** What a module makes of an input and a gradient, and what is left in it. */
function results<Data extends Values>(
  bn: AnyBatchNorm,
  x: Tensor<Data>,
  g: Tensor<Data>,
  call: ForwardOptions,
) {
  const y = bn.forward<Data>(x, call) as Tensor<Values>
  const gradResidual = call.residual && tensor(g.data.slice() as Data, g.shape, { dtype: g.dtype })
  const gradInput = bn.backward<Data>(g, { gradResidual: gradResidual as never }) as Tensor<Values>
  return { y, gradInput, gradResidual: gradResidual as Tensor<Values> | undefined, after: snapshot(bn) }
}

/** On another thread, into memory that is there. */
async function resultsAway<Data extends Values>(
  bn: AnyBatchNorm,
  x: Tensor<Data>,
  g: Tensor<Data>,
  call: ForwardOptions,
): Promise<ReturnType<typeof results>> {
  const room = () => tensor(g.data.slice().fill(7) as Data, g.shape, { dtype: g.dtype }) as Tensor<Values>
  const gradResidual = call.residual && room()
  const y = (await bn.forwardAsync<Data>(x, { ...call, out: room() })) as Tensor<Values>
  const gradInput = (await bn.backwardAsync<Data>(g, { gradResidual, out: room() })) as Tensor<Values>
  return { y, gradInput, gradResidual, after: snapshot(bn) }
}

function expectSame(actual: ReturnType<typeof results>, expected: ReturnType<typeof results>, title: string) {
  expectSameBits(actual.y, expected.y)
  expectSameBits(actual.gradInput, expected.gradInput)
  expect(actual.gradResidual === undefined).toBe(expected.gradResidual === undefined)
  if (actual.gradResidual && expected.gradResidual) expectSameBits(actual.gradResidual, expected.gradResidual)
  expect(actual.after, title).toEqual(expected.after)
}

describeEachBackend('halves', (_, place) => {
  test.each(halves)('%s: every option is that of float32, rounded once where it is stored', async (half) => {
    for (const { combination, form, training, title } of share(cases, 3, place)) {
      const shape = [...form.shape]
      const make = () => chosenModule(combination, form, training, 'float32')
      const [x, g] = [1, 2].map((seed) => narrowed(normal(shape, seed), half))
      const call = forwardOptions(callOf(combination, form), shape, 'float32')
      const residual = call.residual && narrowed(call.residual as Tensor, half)
      const wide = results(make(), widened(x), widened(g), {
        ...call,
        residual: residual && widened(residual),
      })
      const expected = {
        y: narrowed(wide.y as Tensor, half),
        gradInput: narrowed(wide.gradInput as Tensor, half),
        gradResidual: wide.gradResidual && narrowed(wide.gradResidual as Tensor, half),
        after: wide.after,
      }
      expectSame(results(make(), x, g, { ...call, residual }), expected, title)
      if (combination.length > 1) continue
      expectSame(await resultsAway(make(), x, g, { ...call, residual }), expected, title)
    }
  })

  test('one module takes them in turn, and backward wants the type of the last forward', () => {
    const bn = filled(new BatchNorm1d(3))
    const [x, g] = [normal([6, 3], 1), normal([6, 3], 2)]
    const turns = [x, narrowed(x, 'bfloat16'), narrowed(x, 'float16'), x, narrowed(x, 'float16')]
    for (const input of turns as Tensor[]) {
      const y = bn.forward(input)
      expect([y.dtype, y.data.constructor]).toEqual([input.dtype, input.data.constructor])
      for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
        const gradOutput = tensor(g.data, g.shape, { dtype }) as Tensor
        const before = snapshot(bn)
        if (dtype === input.dtype) {
          expect(bn.backward(gradOutput).dtype).toBe(dtype)
        } else {
          expect(() => bn.backward(gradOutput)).toThrow(/^Expected gradOutput\.(data|dtype) to be /)
          expect(snapshot(bn)).toEqual(before)
        }
      }
    }
  })

  test('a lazy module learns its channels from them', () => {
    const bn = new LazyBatchNorm1d()
    expect(bn.forward(narrowed(normal([4, 5], 1), 'bfloat16')).dtype).toBe('bfloat16')
    expect(bn.numFeatures).toBe(5)
    expect(bn.runningMean?.dtype).toBe('float32')
  })
})

select(configurations[0])
const ofTypescript = cases.map((one) => resultsIn64(one))

function given64({ combination, form, training }: Case) {
  const shape = [...form.shape]
  return {
    bn: chosenModule(combination, form, training, 'float64'),
    x: inputOf('float64', shape, 1),
    g: inputOf('float64', shape, 2),
    call: forwardOptions(callOf(combination, form), shape, 'float64'),
  }
}

function resultsIn64(one: Case) {
  const { bn, x, g, call } = given64(one)
  return results(bn, x, g, call)
}

describeEachBackend('float64', (_, place) => {
  test('every option gives the bits of the TypeScript backend, here and on another thread', async () => {
    for (const [index, one] of share([...cases.entries()], 3, place)) {
      const expected = ofTypescript[index]
      expectSame(resultsIn64(one), expected, one.title)
      if (one.combination.length > 1) continue
      const { bn, x, g, call } = given64(one)
      expectSame(await resultsAway(bn, x, g, call), expected, one.title)
    }
  })

  test('parameters, statistics, gradients and state are float64', () => {
    const bn = filled(new BatchNorm1d(3, { dtype: 'float64', positiveScale: true }))
    bn.forward(normal64([6, 3], 1))
    bn.backward(normal64([6, 3], 2))
    const { num_batches_tracked: counter, ...state } = bn.stateDict()
    expect(Object.values(state).map(({ dtype }) => dtype)).toEqual(new Array(5).fill('float64'))
    expect(counter.dtype).toBe('int64')
    for (const { grad, data } of bn.parameters()) {
      expect([grad.constructor, data.constructor]).toEqual([Float64Array, Float64Array])
      // Not what float32 would hold.
      expect([...grad].every((value) => Math.fround(value) !== value)).toBe(true)
    }
    expect(String(bn)).toContain(', dtype=float64')
  })

  test('a lazy module takes it from its options', () => {
    const bn = new LazyBatchNorm1d({ dtype: 'float64' })
    expect(() => bn.forward(normal([4, 5], 1))).toThrow('Expected input.data to be a Float64Array')
    expect(bn.constructor).toBe(LazyBatchNorm1d)
    expect(bn.forward(normal64([4, 5], 1)).dtype).toBe('float64')
    expect(String(bn)).toBe(String(new BatchNorm1d(5, { dtype: 'float64' })))
    expect(bn.runningMean?.dtype).toBe('float64')
  })

  test('a state comes back to the bit; that of float32 too; to float32 it is rounded', () => {
    const bn = filled(new BatchNorm1d(3, { dtype: 'float64' }))
    bn.forward(normal64([6, 3], 1))
    const state = bn.stateDict()
    const same = new BatchNorm1d(3, { dtype: 'float64' })
    same.loadStateDict(state)
    expect(snapshot(same)).toEqual({ ...snapshot(bn), gradients: snapshot(same).gradients })

    const single = new BatchNorm1d(3)
    single.loadStateDict(state)
    const rounded = Object.entries(state).map(([key, { data }]) => [
      key,
      data instanceof BigInt64Array ? data : Float32Array.from(data as Float64Array),
    ])
    expect(snapshot(single).state).toEqual(Object.fromEntries(rounded))
    same.loadStateDict(single.stateDict())
    expect(Array.from(same.runningMean?.data ?? [])).toEqual(Array.from(single.runningMean?.data ?? []))

    const before = snapshot(single)
    const large = { ...state, running_var: Float64Array.of(1, 1e39, 1) }
    expect(() => single.loadStateDict(large)).toThrow(
      'running_var: expected numbers that fit float32, received 1e+39 at [1]',
    )
    expect(snapshot(single)).toEqual(before)
    same.loadStateDict(large)
    expect(same.runningVar?.data[1]).toBe(1e39)
  })

  test('a variance that float32 cannot hold is nothing to warn of', () => {
    const bn = new BatchNorm1d(1, { dtype: 'float64', nonFinite: 'throw' })
    bn.forward(tensor([[1e25], [-1e25]], { dtype: 'float64' }))
    expect(Math.abs((bn.runningVar?.data[0] ?? 0) / (0.9 + 0.1 * 2e50) - 1)).toBeLessThan(8 * unit64)
    const before = snapshot(bn)
    expect(() => bn.forward(tensor([[1e200], [-1e200]], { dtype: 'float64' }))).toThrow('fit float64')
    expect(snapshot(bn)).toEqual(before)
  })
})

/** Options whose results depend on differences between values alone. */
const centred: { title: string; options: BatchNormOptions; call: ForwardOptions }[] = [
  { title: 'plain', options: {}, call: {} },
  { title: 'mask', options: {}, call: { mask: [1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1] } },
  { title: 'weights', options: {}, call: { weights: [1, 2, 3, 1, 0, 2, 2, 1, 3, 1, 1, 1] } },
  { title: 'ghost batches', options: { virtualBatchSize: 4 }, call: {} },
  { title: 'renorm', options: { renorm: { rMax: 1, dMax: 1 } }, call: {} },
  { title: 'activation', options: { activation: 'leakyRelu', negativeSlope: 0.5 }, call: {} },
]
const offsets = [
  { dtype: 'float32', offset: 2 ** 18, by: 1 },
  { dtype: 'float64', offset: 2 ** 46, by: unit64 / unit },
] as const

/** Of the values in the test below: the largest xhat, gradient and invstd, and how many a channel there are. */
const [most, mostGradient, mostInvstd, count] = [6, 4, 2, 60]
const doubt = doubtOfBatch(count)
const sumTolerance = biasGradientTolerance(count * mostGradient, count)
const gradientTolerance = inputGradientTolerance(
  {
    gradOutput: mostGradient,
    normalized: most,
    scale: mostInvstd,
    meanGradient: mostGradient,
    meanProduct: mostGradient * most,
    meanGradientTolerance: sumTolerance / count,
    meanProductTolerance:
      weightGradientTolerance(count * mostGradient * most, count * mostGradient, sumTolerance, count, doubt) /
      count,
  },
  doubt,
)

describeEachBackend('an offset costs no digits', () => {
  describe.each(offsets)('$dtype', ({ dtype, offset, by }) => {
    test.each(centred)('$title', ({ options, call }) => {
      const shape = [12, 2, 5]
      // Eighths, which stay exact beside the offset.
      const values = Float64Array.from(normal(shape, 1).data, (value) => Math.round(8 * value) / 8)
      const g = tensor(normal64(shape, 2).data, shape, { dtype }) as Tensor
      const [near, far] = [0, offset].map((at) => {
        const bn = new BatchNorm1d(2, { ...options, dtype })
        bn.runningMean?.data.fill(at + 0.25)
        const x = tensor(
          values.map((value) => value + at),
          shape,
          { dtype },
        ) as Tensor
        const y = bn.forward(x, call).data
        return { y, gradInput: bn.backward(g).data, invstd: 1 / Math.sqrt(bn.runningVar?.data[0] ?? 0) }
      })
      expect(Math.max(...near.y.map(Math.abs))).toBeLessThan(most)
      expect(Math.max(...g.data.map(Math.abs))).toBeLessThan(mostGradient)
      expect(near.invstd).toBeLessThan(mostInvstd)
      near.y.forEach((value, index) => {
        // Both err, with batch renormalization in d too, which is as wrong as the mean.
        const tolerance = 2 * by * (outputTolerance(value, 1, 0, doubt) + 2 * doubt.mean)
        expect(Math.abs(far.y[index] - value), `y[${index}]`).toBeLessThanOrEqual(tolerance)
        const change = Math.abs(far.gradInput[index] - near.gradInput[index])
        expect(change, `gradInput[${index}]`).toBeLessThanOrEqual(2 * by * gradientTolerance)
      })
    })
  })
})

describe('positiveScale in float64', () => {
  test.each([
    [0, Math.LN2],
    [1, 1.3132616875182228],
    [-40, Math.exp(-40)],
    [-700, Math.exp(-700)],
    [-708.5, 2 ** -1022],
    [-1e6, 2 ** -1022],
    [40, 40 + Math.exp(-40)],
    [800, 800],
    [Number.NEGATIVE_INFINITY, 2 ** -1022],
    [Number.NaN, Number.NaN],
  ])('of %s is %s', (raw, gamma) => {
    const bn = new BatchNorm1d(1, { dtype: 'float64', positiveScale: true })
    bn.rawWeight?.data.fill(raw)
    const weight = bn.weight?.data[0] ?? 0
    // Two roundings, and those of exp and log1p.
    if (Number.isNaN(gamma)) expect(weight).toBeNaN()
    else expect(Math.abs(weight - gamma)).toBeLessThanOrEqual(4 * unit64 * gamma)
  })

  test('starts at 1, and a weight comes back to within its rounding, a state to the bit', () => {
    const make = () => new BatchNorm1d(5, { dtype: 'float64', positiveScale: true })
    const bn = make()
    expect([...(bn.weight?.data ?? [])]).toEqual(new Array(5).fill(1))
    const weight = Float64Array.of(1e-300, 1e-10, 0.1, 3, 1e5)
    bn.loadStateDict({ weight }, { strict: false })
    bn.weight?.data.forEach((value, channel) => {
      const raw = bn.rawWeight?.data[channel] ?? 0
      expect(Math.abs(value / weight[channel] - 1)).toBeLessThanOrEqual((4 + 2 * Math.abs(raw)) * unit64)
    })
    const other = make()
    other.loadStateDict(bn.stateDict())
    expect(snapshot(other)).toEqual(snapshot(bn))
  })
})

describeEachBackend('a type that does not go with the module', () => {
  const shape = [4, 3]
  const inputs = {
    float32: normal(shape, 1),
    float64: normal64(shape, 1),
    bfloat16: narrowed(normal(shape, 1), 'bfloat16'),
    float16: narrowed(normal(shape, 1), 'float16'),
  }
  const bits = { data: new Uint16Array(12), shape }
  const to32 = 'to be a Float32Array (dtype float32) but received'
  const to64 = 'to be a Float64Array (dtype float64) but received'

  test.each<[ParameterType, string, object, string]>([
    [
      'float32',
      'float64',
      inputs.float64,
      `input.data ${to32} a Float64Array of length 12 (convert it with Float32Array.from)`,
    ],
    [
      'float64',
      'float32',
      inputs.float32,
      `input.data ${to64} a Float32Array of length 12 (convert it with Float64Array.from)`,
    ],
    ['float64', 'bfloat16', inputs.bfloat16, `input.data ${to64} a Uint16Array of length 12`],
    ['float64', 'float16', inputs.float16, `input.data ${to64} a Uint16Array of length 12`],
    [
      'float32',
      'bits that do not say which',
      bits,
      "input.dtype to be 'bfloat16' or 'float16', for a Uint16Array of length 12, but received undefined",
    ],
    ['float32', 'int64', tensor(new BigInt64Array(12), shape), `input.data ${to32} a BigInt64Array`],
    ['float64', 'int64', tensor(new BigInt64Array(12), shape), `input.data ${to64} a BigInt64Array`],
  ])('%s parameters, %s input', async (dtype, _, input, message) => {
    const bn = filled(new BatchNorm1d<ParameterType>(3, { dtype }))
    const before = snapshot(bn)
    expect(() => bn.forward(input as Tensor)).toThrow(`Expected ${message}`)
    await expect(bn.forwardAsync(input as Tensor)).rejects.toThrow(`Expected ${message}`)
    expect(snapshot(bn)).toEqual(before)
  })

  const types = Object.keys(inputs) as (keyof typeof inputs)[]
  const pairs = types.flatMap((type) => types.flatMap((other) => (type === other ? [] : [{ type, other }])))
  test.each(pairs)('$type values, $other beside them', ({ type, other }) => {
    const dtype = type === 'float64' ? 'float64' : 'float32'
    const bn = filled(new BatchNorm1d<ParameterType>(3, { dtype }))
    const [right, wrong] = [inputs[type], inputs[other]] as Tensor[]
    bn.forward(right, { residual: right })
    const before = snapshot(bn)
    const both = type.endsWith('float16') && other.endsWith('float16')
    const expected = (name: string) =>
      both
        ? `Expected ${name}.dtype to be '${type}' but received '${other}'`
        : `Expected ${name}.data to be a `
    expect(() => bn.forward(right, { residual: wrong })).toThrow(expected('residual'))
    expect(() => bn.forward(right, { out: wrong })).toThrow(expected('out'))
    expect(() => bn.backward(wrong)).toThrow(expected('gradOutput'))
    expect(() => bn.backward(right, { out: wrong })).toThrow(expected('out'))
    expect(() => bn.backward(right, { gradResidual: wrong })).toThrow(expected('gradResidual'))
    expect(snapshot(bn)).toEqual(before)
    expect(bn.backward(right).dtype).toBe(type)
  })

  test.each([['bfloat16'], ['int64'], [32]])('dtype: %s', (dtype) => {
    expect(() => new BatchNorm1d(3, { dtype: dtype as never })).toThrow(
      /^Expected dtype to be one of float32, float64 but received/,
    )
  })
})

test('the types of results are those of inputs and of parameters', () => {
  const single = new BatchNorm1d(3)
  const double = new BatchNorm1d(3, { dtype: 'float64' })
  const half = narrowed(normal([4, 3], 1), 'float16')
  expectTypeOf(single.forward(normal([4, 3], 1))).toEqualTypeOf<Tensor>()
  expectTypeOf(single.forward(half)).toEqualTypeOf<Tensor<Uint16Array>>()
  expectTypeOf(single.backward(half)).toEqualTypeOf<Tensor<Uint16Array>>()
  expectTypeOf(double.forward(normal64([4, 3], 1))).toEqualTypeOf<Tensor<Float64Array>>()
  expectTypeOf(double.forwardAsync(normal64([4, 3], 1))).resolves.toEqualTypeOf<Tensor<Float64Array>>()
  expectTypeOf(single.weight.grad).toEqualTypeOf<Float32Array>()
  expectTypeOf(double.weight.grad).toEqualTypeOf<Float64Array>()
  expectTypeOf(double.runningVar.data).toEqualTypeOf<Float64Array>()
  expectTypeOf(double.namedParameters()[0][1].data).toEqualTypeOf<Float64Array>()
  expectTypeOf(new BatchNorm1d(3, double.options)).toEqualTypeOf<BatchNorm1d<'float64'>>()
})
