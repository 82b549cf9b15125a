/**
 * `activation` and `residual`: `y = activation(bn(x) + residual)` in one pass has the bits of one after
 * another, on every backend, and so have the gradients.
 */
import { describe, expect, test } from 'vitest'
import {
  absorbScale,
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  collapse,
  type ForwardOptions,
  type FusedActivationOptions,
  foldIntoNext,
  foldIntoPrevious,
  functional,
  linearity,
  setIdentity,
  type Tensor,
  tensor,
  toAffine,
} from '../lib/index.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import { describeEachBackend, share } from './support/backends.ts'
import type { FloatArray } from './support/bits.ts'
import { callOf, choices, type Form, forms, inputOf, optionsOf } from './support/choices.ts'
import { aliveAfterCollection } from './support/garbage.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'

/** A number as the type holds it. */
type Rounded = (value: number) => number
const rounding: Record<ParameterType, Rounded> = { float32: Math.fround, float64: (value) => value }
const types = ['float32', 'float64'] as const

interface Activation {
  readonly options: FusedActivationOptions
  readonly apply: (z: number, rounded: Rounded) => number
  /** What it lets through of a gradient, told by its output. */
  readonly through: (gradient: number, y: number, rounded: Rounded) => number
}

/** PyTorch's: NaN passes relu, and so does its gradient; leakyRelu multiplies 0 too. */
function leaky(negativeSlope: number | undefined): Activation {
  const slope = negativeSlope ?? 0.01
  return {
    options: { activation: 'leakyRelu', negativeSlope },
    apply: (z, rounded) => (z > 0 ? z : rounded(z * rounded(slope))),
    through: (gradient, y, rounded) => (y > 0 ? gradient : rounded(gradient * rounded(slope))),
  }
}

const none: Activation = { options: {}, apply: (z) => z, through: (gradient) => gradient }
const relu: Activation = {
  options: { activation: 'relu' },
  // biome-ignore lint/complexity/useMathMinMax: Math.max(-0, 0) is 0
  apply: (z) => (z < 0 ? 0 : z),
  through: (gradient, y) => (y <= 0 ? 0 : gradient),
}
const activations = [none, relu, leaky(undefined), leaky(0.3), leaky(0), leaky(1.5)]

/** Larger ones, that vectors and threads share out. */
const larger: Form[] = [
  { layout: 'channels-first', shape: [41, 2, 500], positions: 500 },
  { layout: 'channels-last', shape: [200, 90, 2], positions: 90 },
]

const cases = activations.flatMap((activation) =>
  [true, false]
    .filter((hasResidual) => hasResidual || activation !== none)
    .map((hasResidual) => ({
      ...activation,
      hasResidual,
      title: `${JSON.stringify(activation.options)}${hasResidual ? ', residual' : ''}`,
    })),
)

type Case = (typeof cases)[number]

const inputs = [...forms, ...larger].flatMap((form) => types.map((dtype) => ({ dtype, form })))

type Either = Tensor<FloatArray>

function zip(a: Either, b: Either, combine: (a: number, b: number) => number): Either {
  return tensor(
    a.data.map((value, index) => combine(value, b.data[index])),
    a.shape,
  )
}

/** One after another: a batch norm, the sum, the activation, and the way back. */
function composed<Type extends ParameterType>(
  bn: BatchNorm<Type>,
  { apply, through, hasResidual }: Case,
  x: Either,
  z: Either,
  g: Either,
  call: ForwardOptions = {},
) {
  const rounded = rounding[x.dtype as ParameterType]
  const normalized = bn.forward(x, call)
  const sum = hasResidual ? zip(normalized, z, (a, b) => rounded(a + b)) : normalized
  const y = tensor(
    sum.data.map((value) => apply(value, rounded)),
    x.shape,
  )
  const gradResidual = zip(g, y, (gradient, value) => through(gradient, value, rounded))
  return { y, gradResidual, gradInput: bn.backward(gradResidual), after: snapshot(bn) }
}

/** What eval normalizes with. */
function ofRunning({ runningMean, runningVar, eps }: BatchNorm1d) {
  return {
    mean: Float64Array.from(runningMean?.data ?? []),
    invstd: Float64Array.from(runningVar?.data ?? [], (value) => 1 / Math.sqrt(value + eps)),
  }
}

/** All other options; what is masked has a test of its own. */
const ways = [
  [],
  ...choices
    .filter(({ key }) => !['activation', 'residual', 'mask', 'lengths', 'dtype'].includes(key))
    .map((each) => [each]),
]

describeEachBackend('in one pass', (_, place) => {
  describe.each(cases.map((one, at) => ({ ...one, at })))('$title', ({ at, ...one }) => {
    test.each(share(inputs, 5, place + at))('$dtype, $form.layout, $form.shape', async ({ dtype, form }) => {
      const shape = [...form.shape]
      const [x, z, g] = [1, 2, 3].map((seed) => inputOf(dtype, shape, seed))
      // Where positions are does not matter to an activation.
      for (const way of form === forms[1] ? ways : [[]]) {
        for (const training of [true, false]) {
          const make = (options: BatchNormOptions) => {
            const bn = filled(new BatchNorm1d(2, { ...optionsOf(way, form), ...options, dtype }))
            if (way.some(({ frozen }) => frozen)) bn.freeze()
            return bn.train(training)
          }
          const { weights } = callOf(way, form)
          const counted = weights ? { weights } : {}
          const expected = composed(make({}), one, x, z, g, counted)
          const call: ForwardOptions = { ...counted, ...(one.hasResidual && { residual: z }) }
          const bn = make(one.options)
          expectSameBits(bn.forward(x, call), expected.y)
          const gradResidual = g.data.slice().fill(42)
          const [over, back, out] = [z, g, g].map(({ data }) => tensor(data.slice(), shape))
          const kept = one.hasResidual ? { gradResidual } : {}
          expectSameBits(bn.backward(out, { ...kept, out }), expected.gradInput)
          if (one.hasResidual) expectSameBits(tensor(gradResidual, shape), expected.gradResidual)
          expect(snapshot(bn)).toEqual(expected.after)

          // Elsewhere, over what is read.
          const away = make(one.options)
          const overResidual = { ...counted, ...(one.hasResidual && { residual: over }), out: over }
          expectSameBits(await away.forwardAsync(x, overResidual), expected.y)
          if (one.hasResidual) {
            expectSameBits(await away.backwardAsync(back, { gradResidual: back }), expected.gradInput)
            expectSameBits(back, expected.gradResidual)
          } else {
            expectSameBits(await away.backwardAsync(back, { out: back }), expected.gradInput)
          }
          expect(snapshot(away)).toEqual(expected.after)
        }
      }
    })

    test('of the functions', () => {
      const shape = [9, 2, 3]
      const [x, z, g] = [normal(shape, 1), normal(shape, 2), normal(shape, 3)]
      const bn = filled(new BatchNorm1d(2))
      const { weight, bias } = bn
      for (const training of [true, false]) {
        const { mean, invstd } = functional.batchNormStats(x)
        const statistics = training ? { mean, invstd } : ofRunning(bn)
        const running = {
          runningMean: bn.runningMean?.data.slice(),
          runningVar: bn.runningVar?.data.slice(),
        }
        bn.zeroGrad()
        const expected = composed(bn.train(training), one, x, z, g)
        const residual = one.hasResidual ? z : null
        const y = functional.batchNorm(x, { ...one.options, ...running, weight, bias, training, residual })
        expectSameBits(y, expected.y)
        expect(running).toEqual({ runningMean: bn.runningMean?.data, runningVar: bn.runningVar?.data })
        const output = one.options.activation ? y : undefined
        const options = { ...one.options, ...statistics, weight, training, output }
        const [back, gradResidual] = [tensor(g.data.slice(), shape), tensor(g.data.slice(), shape)]
        for (const [from, where] of [
          [gradResidual, { gradResidual }],
          [back, { out: back, gradResidual }],
        ] as const) {
          const gradients = functional.batchNormBackward(from, x, { ...options, ...where })
          expectSameBits(gradients.gradInput, expected.gradInput)
          expectSameBits(gradResidual, expected.gradResidual)
          expect([gradients.gradWeight.data, gradients.gradBias.data]).toEqual(expected.after.gradients)
          gradResidual.data.fill(42)
        }
      }
    })

    test('what is special stays so: NaN, infinities, zeros of either sign, numbers below the normal ones', () => {
      const special = [NaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-45, 3e38, -3e38, 1, -1, 1e-38]
      const values = special.flatMap((a) => special.map((b) => [a, b]))
      const shape = [values.length, 1]
      const [x, z, g] = [0, 1, 0].map((at) =>
        tensor(
          Float32Array.from(values, (pair) => pair[at]),
          shape,
        ),
      )
      // y is x, so that the residual meets every one of them.
      const make = (options: BatchNormOptions) => new BatchNorm1d(1, { ...options, eps: 0 }).eval()
      const expected = composed(make({}), one, x, z, g)
      const bn = make(one.options)
      expectSameBits(bn.forward(x, one.hasResidual ? { residual: z } : {}), expected.y)
      expectSameBits(bn.backward(g), expected.gradInput)
      expect(snapshot(bn)).toEqual(expected.after)
    })

    test('what a mask leaves out is 0, whatever its residual, and so are its gradients', () => {
      const shape = [9, 2, 3]
      const [x, z, g] = [normal(shape, 1), normal(shape, 2), normal(shape, 3)]
      const mask = [1, 0, 1, 1, 0, 1, 0, 0, 1]
      const counted = ({ data }: Either) =>
        tensor(
          data.map((value, index) => (mask[Math.floor(index / 6)] === 1 ? value : 0)),
          shape,
        )
      for (const training of [true, false]) {
        const make = (options: BatchNormOptions) => filled(new BatchNorm1d(2, options)).train(training)
        const expected = composed(make({}), one, x, z, g, { mask })
        const bn = make(one.options)
        const gradResidual = new Float32Array(54).fill(42)
        expectSameBits(bn.forward(x, { mask, ...(one.hasResidual && { residual: z }) }), counted(expected.y))
        expectSameBits(bn.backward(g, one.hasResidual ? { gradResidual } : {}), expected.gradInput)
        if (one.hasResidual) expectSameBits(tensor(gradResidual, shape), counted(expected.gradResidual))
        expect(snapshot(bn)).toEqual(expected.after)
      }
    })
  })
})

describeEachBackend('what backward needs of an activation', () => {
  const shape = [4, 3]
  const [x, z, g] = [normal(shape, 1), normal(shape, 2), normal(shape, 3)]

  function after(call: ForwardOptions = {}, options: BatchNormOptions = { activation: 'relu' }) {
    const bn = filled(new BatchNorm1d(3, options))
    return { bn, y: bn.forward(x, call), before: snapshot(bn) }
  }

  test('the output: one that was transferred or disposed of is told', () => {
    const { bn, y, before } = after()
    structuredClone(y.data, { transfer: [y.data.buffer as ArrayBuffer] })
    expect(() => bn.backward(g)).toThrow(
      'Expected the output of forward() to be of length 12, for backward(gradOutput), but received a Float32Array',
    )
    expect(snapshot(bn)).toEqual(before)
    // Without an activation it is nobody's business.
    const plain = after({}, {})
    structuredClone(plain.y.data, { transfer: [plain.y.data.buffer as ArrayBuffer] })
    expectSameBits(plain.bn.backward(g), after({}, {}).bn.backward(g))
  })

  test('the output: neither out nor gradResidual may be it', () => {
    const { bn, y, before } = after({ residual: z })
    expect(() => bn.backward(g, { out: y })).toThrow('Expected out not to overlap the output of forward()')
    expect(() => bn.backward(g, { gradResidual: y })).toThrow(
      'Expected gradResidual not to overlap the output of forward()',
    )
    expect(snapshot(bn)).toEqual(before)
    expectSameBits(bn.backward(g), after({ residual: z }).bn.backward(g))
  })

  test('the output, also where it was written over the input, which eval without a scale can do without', () => {
    const over = x.data.slice()
    const { bn, before } = after({ out: over }, { activation: 'relu' })
    bn.forward(tensor(over, shape), { out: over })
    expect(() => bn.backward(g)).toThrow('Expected the input of forward() to be unchanged until backward')
    expect(snapshot(bn).gradients).toEqual(before.gradients)

    const make = () => filled(new BatchNorm1d(3, { activation: 'relu', scale: false })).eval()
    const [one, other] = [make(), make()]
    const written = x.data.slice()
    one.forward(tensor(written, shape), { out: written })
    other.forward(x)
    expectSameBits(one.backward(g), other.backward(g))
  })

  test('the last output, when one that was larger or of another forward is gone', () => {
    const { bn } = after()
    const first = bn.forward(normal([8, 3], 5))
    const y = bn.forward(x)
    first.data.fill(Number.NaN)
    const other = after().bn
    other.forward(normal([8, 3], 5))
    other.forward(x)
    expect(y.shape).toEqual(shape)
    expectSameBits(bn.backward(g), other.backward(g))
  })

  const asked = [{}, { mask: [1, 1, 0, 1, 1, 1, 1, 1] }, { weights: [1, 2, 3, 4, 5, 6, 7, 8] }]
  test.each(asked)('no residual, and without an activation no output, is kept alive: %o', async (call) => {
    const eight = [8, 3]
    const used = [{}, { virtualBatchSize: 4 }, { activation: 'relu' as const }].map((options) => {
      const bn = new BatchNorm1d(3, options)
      const residual = normal(eight, 1)
      const y = bn.forward(normal(eight, 2), { ...call, residual })
      return { bn, y: new WeakRef(y.data.buffer), residual: new WeakRef(residual.data.buffer) }
    })
    const unused = [...used.map(({ residual }) => residual), ...used.slice(0, 2).map(({ y }) => y)]
    expect(await aliveAfterCollection(unused)).toEqual(unused.map(() => false))
    for (const { bn } of used) expect(bn.backward(normal(eight, 3)).shape).toEqual(eight)
  })

  test('that of recompute, when the first was dropped', () => {
    const { bn, y } = after({ residual: z })
    const again = bn.recompute(x, { residual: z })
    expectSameBits(again, y)
    y.data.fill(Number.NaN)
    expectSameBits(bn.backward(g), after({ residual: z }).bn.backward(g))
  })
})

describe('what takes a batch norm for an affine function', () => {
  const linear = () => ({ weight: normal([3, 3], 1), bias: normal([3], 2) })
  test.each<[string, (bn: BatchNorm1d) => unknown]>([
    ['toAffine', toAffine],
    ['foldIntoPrevious', (bn) => foldIntoPrevious(linear(), bn)],
    ['foldIntoNext', (bn) => foldIntoNext(bn, linear())],
    ['absorbScale', (bn) => absorbScale(bn, 'relu', linear())],
    ['collapse', (bn) => collapse([linear(), bn])],
    ['setIdentity', (bn) => setIdentity(bn)],
  ])('%s refuses an activation by name', (_, call) => {
    for (const activation of ['relu', 'leakyRelu'] as const) {
      const bn = filled(new BatchNorm1d(3, { activation })).eval()
      const before = snapshot(bn)
      expect(() => call(bn)).toThrow(
        `Expected batchNorm without an activation but received activation: '${activation}'`,
      )
      expect(snapshot(bn)).toEqual(before)
    }
  })

  test('linearity sees it', () => {
    const [x, z] = [normal([8, 3], 1), normal([8, 3], 2)]
    const bend = (options: BatchNormOptions) => linearity(new BatchNorm1d(3, options).eval(), x, z).deviation
    expect(bend({ activation: 'relu' })).toBeGreaterThan(
      bend({ activation: 'leakyRelu', negativeSlope: 0.5 }),
    )
    expect(bend({ activation: 'leakyRelu', negativeSlope: 0.5 })).toBeGreaterThan(0.01)
    expect(bend({ activation: 'leakyRelu', negativeSlope: 1 })).toBe(bend({}))
  })
})

describe('an empty batch', () => {
  test.each([true, false])('has empty gradients (training %s)', async (training) => {
    const empty = tensor(new Float32Array(0), [0, 3])
    const bn = filled(new BatchNorm1d(3, { activation: 'relu' })).train(training)
    expect(bn.forward(empty, { residual: empty }).shape).toEqual([0, 3])
    const before = snapshot(bn)
    const gradResidual = new Float32Array(0)
    expect((await bn.backwardAsync(empty, { gradResidual })).shape).toEqual([0, 3])
    expect(snapshot(bn)).toEqual(before)
  })
})

describeEachBackend('bad input', () => {
  const shape = [4, 3]
  const [x, z, g] = [normal(shape, 1), normal(shape, 2), normal(shape, 3)]
  const memory = new Float32Array(24)

  test.each<[string, ForwardOptions, string]>([
    [
      'a bare residual',
      { residual: z.data as never },
      'Expected residual to be a tensor { data: Float32Array, shape } but received a Float32Array of length 12',
    ],
    [
      'a residual of another shape',
      { residual: tensor(z.data, [3, 4]) },
      'Expected residual of shape [4, 3], the shape of the input, but received [3, 4]',
    ],
    [
      'a residual that would be broadcast',
      { residual: normal([1, 3], 1) },
      'Expected residual of shape [4, 3], the shape of the input, but received [1, 3]',
    ],
    [
      'a residual of another type',
      { residual: tensor(new Float64Array(12), shape) },
      'Expected residual.data to be a Float32Array (dtype float32) but received a Float64Array of length 12',
    ],
    [
      'out that overlaps the residual in part',
      { residual: tensor(memory.subarray(0, 12), shape), out: memory.subarray(1, 13) },
      'Expected out not to overlap residual but received bytes 4 to 52 and 0 to 48',
    ],
  ])('%s', (_, call, message) => {
    const bn = filled(new BatchNorm1d(3, { activation: 'relu' }))
    const before = snapshot(bn)
    expect(() => bn.forward(x, call)).toThrow(message)
    expect(snapshot(bn)).toEqual(before)
    expect(() => functional.batchNorm(x, { ...call, training: true })).toThrow(
      message.replace('the shape of the input', "the input's"),
    )
  })

  test.each<[string, (bn: BatchNorm1d) => unknown, string]>([
    [
      'gradResidual after a forward without a residual',
      (bn) => {
        bn.forward(x)
        bn.backward(g, { gradResidual: new Float32Array(12) })
      },
      'Expected gradResidual after a forward with a residual but received it after one without (leave it out)',
    ],
    [
      'gradResidual too short',
      (bn) => bn.backward(g, { gradResidual: new Float32Array(11) }),
      'Expected gradResidual to be of length 12, for a result of shape [4, 3], but received a Float32Array of length 11',
    ],
    [
      'gradResidual of another type',
      (bn) => bn.backward(g, { gradResidual: new Float64Array(12) }),
      'Expected gradResidual to be a Float32Array (dtype float32) but received a Float64Array of length 12',
    ],
    [
      'gradResidual of another shape',
      (bn) => bn.backward(g, { gradResidual: tensor(new Float32Array(12), [3, 4]) }),
      'Expected gradResidual of shape [4, 3] but received [3, 4]',
    ],
    [
      'gradResidual that is out',
      (bn) => bn.backward(g, { gradResidual: memory.subarray(0, 12), out: memory.subarray(0, 12) }),
      'Expected gradResidual not to overlap out but received bytes 0 to 48 and 0 to 48',
    ],
    [
      'gradResidual over gradOutput in part',
      (bn) => bn.backward(tensor(memory.subarray(0, 12), shape), { gradResidual: memory.subarray(2, 14) }),
      'Expected gradResidual not to overlap gradOutput but received bytes 8 to 56 and 0 to 48',
    ],
    [
      'gradResidual over the input',
      (bn) => bn.backward(g, { gradResidual: x }),
      'Expected gradResidual not to overlap the input of forward() but received bytes 0 to 48 and 0 to 48',
    ],
  ])('%s', (_, call, message) => {
    const make = () => {
      const bn = filled(new BatchNorm1d(3, { activation: 'relu' }))
      bn.forward(x, { residual: z })
      return bn
    }
    const bn = make()
    const gradients = snapshot(bn).gradients
    expect(() => call(bn)).toThrow(message)
    expect(snapshot(bn).gradients).toEqual(gradients)
  })

  const { mean, invstd } = functional.batchNormStats(x)
  const statistics = { mean, invstd }
  test.each<[string, functional.BatchNormBackwardOptions, string]>([
    [
      'activation without output',
      { ...statistics, activation: 'relu' },
      'Expected output to be a tensor { data: Float32Array, shape } but received undefined',
    ],
    [
      'output without activation',
      { ...statistics, output: x },
      'Expected options that agree but received activation: null with output (leave one of them out)',
    ],
    [
      'output of another shape',
      { ...statistics, activation: 'relu', output: normal([3, 4], 1) },
      "Expected output of shape [4, 3], the input's, but received [3, 4]",
    ],
    [
      'out that is output',
      { ...statistics, activation: 'relu', output: z, out: z },
      'Expected out not to overlap output',
    ],
    [
      'gradResidual that is output',
      { ...statistics, activation: 'relu', output: z, gradResidual: z },
      'Expected gradResidual not to overlap output',
    ],
    [
      'gradResidual that is out',
      { ...statistics, gradResidual: memory.subarray(0, 12), out: memory.subarray(0, 12) },
      'Expected gradResidual not to overlap out',
    ],
    [
      'gradResidual over the input',
      { ...statistics, gradResidual: x },
      'Expected gradResidual not to overlap input',
    ],
  ])('of batchNormBackward: %s', (_, options, message) => {
    const before = [x, z, g].map(({ data }) => data.slice())
    expect(() => functional.batchNormBackward(g, x, options)).toThrow(message)
    expect([x, z, g].map(({ data }) => data)).toEqual(before)
  })

  test.each<[BatchNormOptions, string]>([
    [{ activation: 'gelu' as never }, "Expected activation to be one of relu, leakyRelu but received 'gelu'"],
    [{ activation: 7 as never }, 'Expected activation to be one of relu, leakyRelu but received 7'],
    [
      { activation: 'leakyRelu', negativeSlope: -0.1 },
      'Expected negativeSlope to be a finite number, at least 0, but received -0.1',
    ],
    [
      { activation: 'leakyRelu', negativeSlope: Number.NaN },
      'Expected negativeSlope to be a finite number, at least 0, but received NaN',
    ],
  ])('%o', (options, message) => {
    expect(() => new BatchNorm1d(3, options)).toThrow(message)
    const { activation, negativeSlope } = options
    expect(() => functional.batchNorm(x, { activation, negativeSlope, training: true })).toThrow(message)
  })
})
