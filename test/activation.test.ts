/** `activation` and `residual`: what comes after the normalization in the same pass over memory. */
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  type BatchNormOptions,
  type DataType,
  functional,
  type Tensor,
  tensor,
  toAffine,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'

const activations = [
  { title: 'no activation', options: {} },
  { title: 'relu', options: { activation: 'relu' } },
  { title: 'leakyRelu', options: { activation: 'leakyRelu' } },
  { title: 'leakyRelu(0.3)', options: { activation: 'leakyRelu', negativeSlope: 0.3 } },
] as const satisfies { title: string; options: BatchNormOptions }[]

const types = ['float32', 'float64'] as const
type Type = (typeof types)[number]

/** An operation's result as the type holds it. */
const rounded = (type: Type, value: number) => (type === 'float32' ? Math.fround(value) : value)

function activate({ activation, negativeSlope = 0.01 }: BatchNormOptions, type: Type, z: number): number {
  if (!activation || z > 0) return z
  if (activation === 'relu') return Math.max(z, 0)
  return rounded(type, z * rounded(type, negativeSlope))
}

/** What goes through, as PyTorch's threshold_backward and leaky_relu_backward have it. */
function through(options: BatchNormOptions, type: Type, y: number, gradient: number): number {
  const { activation, negativeSlope = 0.01 } = options
  if (!activation) return gradient
  if (activation === 'relu') return y <= 0 ? 0 : gradient
  return y > 0 ? gradient : rounded(type, gradient * rounded(type, negativeSlope))
}

function values(type: DataType, shape: number[], seed: number): Tensor {
  return tensor(normal(shape, seed).data, shape, { dtype: type }) as Tensor
}

const forms = [
  { layout: 'channels-first', shape: [70, 5] },
  { layout: 'channels-first', shape: [3, 5, 700] },
  { layout: 'channels-last', shape: [9, 31, 5] },
] as const

const cases = types.flatMap((dtype) =>
  forms.flatMap(({ layout, shape }) =>
    [true, false].flatMap((training) =>
      [true, false].map((hasResidual) => ({ dtype, layout, shape: [...shape], training, hasResidual })),
    ),
  ),
)

describeEachBackend('what comes after the normalization', () => {
  describe.each(activations)('$title', ({ options }) => {
    test.each(cases)(
      '$dtype $layout $shape, training $training, residual $hasResidual: the bits of one step after the other',
      ({ dtype, layout, shape, training, hasResidual }) => {
        const x = values(dtype, shape, 41)
        const residual = hasResidual ? values(dtype, shape, 42) : undefined
        const gradOutput = values(dtype, shape, 43)
        const make = (more: BatchNormOptions) =>
          filled(new BatchNorm1d(5, { ...more, layout, dtype } as BatchNormOptions)).train(training)

        const plain = make({})
        const z = plain.forward(x).data.map((value, index) => {
          return residual ? rounded(dtype, value + residual.data[index]) : value
        })
        const y = z.map((value) => activate(options, dtype, value))
        const gradZ = gradOutput.data.map((gradient, index) => through(options, dtype, y[index], gradient))
        const gradInput = plain.backward(tensor(gradZ, shape))

        const fused = make(options)
        expect(difference(fused.forward(x, { residual }).data, y)).toBeNull()
        const gradResidual = residual && gradOutput.data.map(() => 42)
        expectSameBits(fused.backward(gradOutput, { gradResidual }), gradInput)
        if (gradResidual) expect(difference(gradResidual, gradZ)).toBeNull()
        expect(snapshot(fused)).toEqual(snapshot(plain))
      },
    )
  })

  test('the residual may hold the output, and gradOutput the gradient of the residual', () => {
    const [x, residual, gradOutput] = [51, 52, 53].map((seed) => normal([8, 3], seed))
    const make = () => filled(new BatchNorm1d(3, { activation: 'relu' }))
    const expected = make()
    const y = expected.forward(x, { residual })
    const gradResidual = new Float32Array(24)
    const gradInput = expected.backward(gradOutput, { gradResidual })

    const bn = make()
    expectSameBits(bn.forward(x, { residual, out: residual }), y)
    expectSameBits(bn.backward(gradOutput, { gradResidual: gradOutput }), gradInput)
    expect(difference(gradOutput.data, gradResidual)).toBeNull()
  })

  test('relu keeps a NaN and lets its gradient through, as in PyTorch', () => {
    const bn = new BatchNorm1d(1, { activation: 'relu', affine: false, eps: 0 }).eval()
    const z = tensor([[Number.NaN], [0], [-1], [2]])
    expect(difference(bn.forward(z).data, Float32Array.of(Number.NaN, 0, 0, 2))).toBeNull()
    const ones = tensor([[1], [1], [1], [1]])
    expect(difference(bn.backward(ones).data, Float32Array.of(1, 0, 0, 1))).toBeNull()
  })

  test('the functions give the bits of the module', () => {
    const options = { activation: 'leakyRelu', negativeSlope: 0.3 } as const
    const [x, residual, gradOutput] = [61, 62, 63].map((seed) => normal([40, 3, 7], seed))
    const bn = filled(new BatchNorm1d(3, options))
    const { weight, bias } = bn
    const output = functional.batchNorm(x, { weight, bias, training: true, residual, ...options })
    expectSameBits(bn.forward(x, { residual }), output)
    const statistics = functional.batchNormStats(x)
    const [ofModule, ofFunction] = [new Float32Array(840), new Float32Array(840)]
    const gradients = functional.batchNormBackward(gradOutput, x, {
      ...statistics,
      ...options,
      weight,
      output,
      gradResidual: ofFunction,
    })
    expectSameBits(bn.backward(gradOutput, { gradResidual: ofModule }), gradients.gradInput)
    expect(difference(ofFunction, ofModule)).toBeNull()
    expect(difference(gradients.gradWeight.data, bn.weight?.grad as Float32Array)).toBeNull()
    expect(difference(gradients.gradBias.data, bn.bias?.grad as Float32Array)).toBeNull()
  })
})

describe('what does not fit is an error, and nothing has changed', () => {
  const x = normal([4, 3], 71)
  const residual = normal([4, 3], 72)
  const gradOutput = normal([4, 3], 73)
  const wide = new Float32Array(36)

  test.each<[string, BatchNormOptions, string]>([
    ['another name', { activation: 'tanh' as 'relu' }, 'Expected activation to be one of relu, leakyRelu'],
    [
      'a negative slope',
      { activation: 'leakyRelu', negativeSlope: -1 },
      'Expected negativeSlope to be a finite number',
    ],
    ['a slope alone', { negativeSlope: 0.1 }, 'activation: null with negativeSlope'],
    ['a slope of relu', { activation: 'relu', negativeSlope: 0.1 }, "activation: 'relu' with negativeSlope"],
  ])('%s', (_, options, message) => {
    expect(() => new BatchNorm1d(3, options)).toThrow(message)
  })

  const calls: [string, (bn: BatchNorm1d) => unknown, string][] = [
    [
      'a residual of another shape',
      (bn) => bn.forward(x, { residual: normal([3, 4], 1) }),
      'residual of shape [4, 3]',
    ],
    [
      'a residual of another type',
      (bn) => bn.forward(x, { residual: tensor(new Float64Array(12), [4, 3]) }),
      'residual.data to be a Float32Array',
    ],
    [
      'an out that overlaps the residual in part',
      (bn) => bn.forward(x, { residual: tensor(wide.subarray(0, 12), [4, 3]), out: wide.subarray(4, 16) }),
      'Expected out not to overlap residual',
    ],
    [
      'gradResidual that is the input',
      (bn) => bn.backward(gradOutput, { gradResidual: x }),
      'the input of forward()',
    ],
    [
      'gradResidual that is out',
      (bn) => bn.backward(gradOutput, { gradResidual: wide.subarray(0, 12), out: wide.subarray(0, 12) }),
      'Expected gradResidual not to overlap out',
    ],
    [
      'gradResidual of another type',
      (bn) => bn.backward(gradOutput, { gradResidual: new Float64Array(12) }),
      'Expected gradResidual to be a Float32Array',
    ],
  ]
  test.each(calls)('%s', (_, call, message) => {
    const bn = filled(new BatchNorm1d(3, { activation: 'relu' }))
    bn.forward(x, { residual })
    const before = snapshot(bn)
    const held = gradOutput.data.slice()
    expect(() => call(bn)).toThrow(message)
    expect(snapshot(bn)).toEqual(before)
    expect(gradOutput.data).toEqual(held)
    expect(() => bn.backward(gradOutput)).not.toThrow()
  })

  test('gradResidual without a residual', () => {
    const bn = new BatchNorm1d(3)
    bn.forward(x)
    expect(() => bn.backward(gradOutput, { gradResidual: wide.subarray(0, 12) })).toThrow(
      'Expected gradResidual after a forward with a residual',
    )
  })

  test('an output that backward needs is not written over, nor given away', () => {
    const bn = new BatchNorm1d(3, { activation: 'relu' })
    const y = bn.forward(x)
    expect(() => bn.backward(gradOutput, { out: y.data })).toThrow('the output of forward()')
    structuredClone(y.data, { transfer: [y.data.buffer as ArrayBuffer] })
    expect(() => bn.backward(gradOutput)).toThrow('Expected the output of forward()')
  })

  test('the functions', () => {
    const statistics = functional.batchNormStats(x)
    const backward = (options: object) => () =>
      functional.batchNormBackward(gradOutput, x, { ...statistics, ...options })
    expect(backward({ activation: 'relu' })).toThrow(
      'Expected output to be what the forward with this activation gave',
    )
    expect(backward({ output: x })).toThrow('activation: null with output')
    expect(backward({ activation: 'relu', output: normal([3, 4], 1) })).toThrow('output of shape [4, 3]')
    expect(() => functional.batchNorm(x, { residual: normal([2, 3], 1), training: true })).toThrow(
      'residual of shape',
    )
  })

  test('a module that bends its output is no affine function', () => {
    const bn = new BatchNorm1d(3, { activation: 'relu' }).eval()
    expect(() => toAffine(bn)).toThrow("received activation: 'relu'")
  })
})

test('a module prints and hands on its activation', () => {
  const bn = new BatchNorm1d(3, { activation: 'leakyRelu', negativeSlope: 0.3 })
  expect(String(bn)).toContain('activation=leakyRelu(0.3)')
  expect(new BatchNorm1d(3, bn.options).options).toEqual(bn.options)
})
