/** Folding, absorbing and collapsing, against layer and batch norm evaluated one after the other in float64. */
import { describe, expect, test } from 'vitest'
import {
  type Activation,
  absorbScale,
  type BatchNorm,
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  collapse,
  foldIntoNext,
  foldIntoPrevious,
  type Layer,
  type Tensor,
  tensor,
  toAffine,
} from '../lib/index.ts'
import { type Evaluated, evaluate, evaluateActivation, evaluateBatchNorm } from './support/layers.ts'
import { normal, snapshot } from './support/module.ts'

const float64 = ({ data, shape }: Tensor) => ({ data: Float64Array.from(data), shape })

/** Weights and biases are rounded to float32 once: each term is off by half a unit in the last place. */
function expectRounded(actual: Evaluated, expected: { data: Float64Array }, slack = 1): void {
  expect(actual.data).toHaveLength(expected.data.length)
  actual.data.forEach((value, at) => {
    const bound = slack * 2 ** -24 * 1.001 * actual.magnitude[at] + 1e-40
    expect(Math.abs(value - expected.data[at])).toBeLessThanOrEqual(bound)
  })
}

const Modules = [BatchNorm1d, BatchNorm1d, BatchNorm2d, BatchNorm3d]

/** Gammas and variances that are hard on a fold, in eval mode. */
function module(
  channels: number,
  positions: number,
  options: BatchNormOptions = {},
  positive = false,
): BatchNorm {
  const bn = new Modules[positions](channels, options).eval()
  const gammas = positive ? [1, 0.5, 3, 1e-20, 40] : [1, -2, 0, 1e-20, 40]
  bn.weight?.data.set(Array.from({ length: channels }, (_, c) => gammas[c % gammas.length]))
  bn.bias?.data.set(
    normal([channels], 1).data.map((value, c) => (positive && c % 5 === 3 ? value * 1e-20 : value)),
  )
  bn.runningMean?.data.set(normal([channels], 2).data)
  bn.runningVar?.data.set(Array.from({ length: channels }, (_, c) => [0.5, 0, 1e-6, 30][c % 4]))
  return bn
}

const affines: BatchNormOptions[] = [
  {},
  { affine: false },
  { center: false },
  { scale: false },
  { eps: 1e-3 },
]

/** Without a shift: what stands for padding, and for what a kernel does not reach, stays 0. */
function withoutShift(bn: BatchNorm): BatchNorm {
  bn.bias?.data.fill(0)
  bn.runningMean?.data.fill(0)
  return bn
}

interface Case {
  title: string
  layer: Layer
  sizes: number[]
  inputs: number
  outputs: number
  /** Whether a shift before the layer is one behind it. */
  takesShift: boolean
}

const cases: { title: string; layer: Layer; sizes: number[]; takesShift?: boolean }[] = [
  { title: 'linear', layer: { weight: normal([7, 5], 3), bias: normal([7], 4) }, sizes: [] },
  { title: 'linear without bias', layer: { weight: normal([7, 5], 3), bias: null }, sizes: [] },
  { title: 'linear, 1 to 1', layer: { weight: normal([1, 1], 3), bias: normal([1], 4).data }, sizes: [] },
  { title: 'convolution of (N, C, L)', layer: { weight: normal([6, 5, 3], 3) }, sizes: [9] },
  {
    title: 'grouped, dilated, strided convolution of (N, C, L)',
    layer: { weight: normal([6, 2, 3], 3), bias: normal([6], 4), groups: 3, dilation: 2, stride: 2 },
    sizes: [11],
  },
  {
    title: 'convolution of images',
    layer: { weight: normal([4, 3, 2, 3], 3), bias: normal([4], 4), stride: [2, 1], dilation: [1, 2] },
    sizes: [5, 8],
  },
  {
    title: 'depthwise convolution of images',
    layer: { weight: normal([5, 1, 3, 3], 3), groups: 5 },
    sizes: [5, 4],
  },
  {
    title: 'convolution of volumes',
    layer: { weight: normal([3, 2, 2, 1, 2], 3), groups: 1 },
    sizes: [3, 2, 4],
  },
  { title: 'convolution of 1 x 1', layer: { weight: normal([5, 5, 1, 1], 3) }, sizes: [3, 4] },
  {
    title: 'transposed convolution of (N, C, L)',
    layer: { weight: normal([3, 5, 3], 3), bias: normal([5], 4), transposed: true, stride: 2 },
    sizes: [5],
    takesShift: false,
  },
  {
    title: 'square transposed convolution of images',
    layer: { weight: normal([4, 4, 3, 3], 3), transposed: true, stride: [1, 2], outputPadding: [0, 1] },
    sizes: [5, 4],
    takesShift: false,
  },
  {
    title: 'grouped, dilated transposed convolution of images',
    layer: {
      ...{ weight: normal([4, 3, 2, 3], 3), bias: normal([6], 4), transposed: true, groups: 2 },
      ...{ stride: [3, 2], dilation: [2, 1], outputPadding: [2, 1] },
    },
    sizes: [3, 4],
    takesShift: false,
  },
  {
    title: 'depthwise transposed convolution of images',
    layer: { weight: normal([5, 1, 3, 3], 3), transposed: true, groups: 5, stride: 2 },
    sizes: [3, 4],
    takesShift: false,
  },
  {
    title: 'grouped transposed convolution of volumes',
    layer: { weight: normal([4, 1, 2, 3, 1], 3), transposed: true, groups: 2, stride: [2, 3, 5] },
    sizes: [3, 4, 3],
    takesShift: false,
  },
  {
    title: 'transposed convolution without its borders',
    layer: {
      ...{ weight: normal([3, 4, 3, 1], 3), bias: normal([4], 4), transposed: true },
      ...{ dilation: [2, 1], padding: [5, 0], outputPadding: [1, 0] },
    },
    sizes: [9, 6],
  },
]
const layers = cases.map(({ title, layer, sizes, takesShift = true }): Case => {
  const [first, second] = layer.weight.shape
  const secondOfAll = second * (layer.groups ?? 1)
  const [inputs, outputs] = layer.transposed ? [first, secondOfAll] : [secondOfAll, first]
  return { title, layer, sizes, inputs, outputs, takesShift }
})

describe.each(layers)('$title', ({ layer, inputs, outputs, sizes, takesShift }) => {
  const probe = normal([3, inputs, ...sizes], 5)
  const padded = sizes.length > 0 ? { ...layer, padding: sizes.map((_, axis) => axis + 1) } : layer

  test.each(affines)('foldIntoPrevious gives one layer for both, padding or not (%o)', (options) => {
    const bn = module(outputs, sizes.length, options)
    for (const before of [layer, padded]) {
      const expected = evaluateBatchNorm(bn, evaluate(before, float64(probe)))
      const { layer: folded, largestError } = foldIntoPrevious(before, bn, { probe })
      const actual = evaluate(folded, float64(probe))
      expectRounded(actual, expected)
      const largest = actual.data.reduce(
        (most, value, at) => Math.max(most, Math.abs(value - expected.data[at])),
        0,
      )
      // The sums of the two evaluations run in different orders.
      expect(Math.abs((largestError as number) - largest)).toBeLessThanOrEqual(
        2 ** -46 * Math.max(...actual.magnitude),
      )
    }
  })

  test.each(affines)('foldIntoNext gives one layer for both (%o)', (options) => {
    const shifting = module(inputs, sizes.length, options)
    if (!takesShift) {
      expect(() => foldIntoNext(shifting, layer)).toThrow(
        /outputs all meet the whole kernel but received a transposed convolution.*shifts channels \[0, 1/,
      )
    }
    const bn = takesShift ? shifting : withoutShift(shifting)
    const expected = evaluate(layer, evaluateBatchNorm(bn, float64(probe)))
    const { layer: folded, largestError } = foldIntoNext(bn, layer, { probe })
    const actual = evaluate(folded, float64(probe))
    expectRounded(actual, expected)
    expect(largestError).toBeLessThanOrEqual(2 ** -24 * 1.001 * Math.max(...actual.magnitude) + 1e-40)
  })

  const activations: Activation[] = [
    'identity',
    'relu',
    'abs',
    { name: 'leakyRelu', negativeSlope: 0.2 },
    { name: 'prelu', weight: normal([inputs], 6).data },
    'prelu',
  ]
  test.each(activations)('absorbScale computes the same without a scale (%o)', (activation) => {
    const bn = module(inputs, sizes.length, {}, true)
    for (const next of [layer, padded]) {
      const output = (of: BatchNorm, into: Layer) =>
        evaluate(into, evaluateActivation(activation, evaluateBatchNorm(of, float64(probe))))
      const absorbed = absorbScale(bn, activation, next, { probe })
      expect(absorbed.batchNorm).toBeInstanceOf(bn.constructor)
      expect(absorbed.batchNorm.weight).toBeNull()
      const actual = output(absorbed.batchNorm, absorbed.next)
      // beta / gamma is rounded too, and may be as large as what it is added to.
      const size = Math.max(...actual.magnitude)
      const expected = output(bn, next)
      actual.data.forEach((value, at) => {
        expect(Math.abs(value - expected.data[at])).toBeLessThanOrEqual(2 ** -22 * size)
      })
      expect(absorbed.largestError).toBeLessThanOrEqual(2 ** -22 * size)
    }
  })
})

test('foldIntoNext and absorbScale see through a flatten, which puts the positions of a channel side by side', () => {
  const probe = normal([2, 3, 2, 4], 1)
  const layer = { weight: normal([5, 24], 2), bias: normal([5], 3) }
  const flattened = (values: { data: Float64Array }) => ({ data: values.data, shape: [2, 24] })
  const bn = module(3, 2)
  const folded = foldIntoNext(bn, layer, { probe })
  const expected = evaluate(layer, flattened(evaluateBatchNorm(bn, float64(probe))))
  expectRounded(evaluate(folded.layer, flattened(float64(probe))), expected)

  const positive = module(3, 2, {}, true)
  const absorbed = absorbScale(positive, 'relu', layer)
  const output = (of: BatchNorm, into: Layer) =>
    evaluate(into, flattened(evaluateActivation('relu', evaluateBatchNorm(of, float64(probe)))))
  expectRounded(output(absorbed.batchNorm, absorbed.next), output(positive, layer), 4)
})

test.each(['identity', 'abs'] as const)('a negative gamma passes %s', (activation) => {
  const bn = module(2, 1).eval()
  bn.weight?.data.set([-2, 3])
  const next = { weight: normal([4, 2], 1) }
  const probe = normal([6, 2], 2)
  const output = (of: BatchNorm, into: Layer) =>
    evaluate(into, evaluateActivation(activation, evaluateBatchNorm(of, float64(probe))))
  const absorbed = absorbScale(bn, activation, next)
  expectRounded(output(absorbed.batchNorm, absorbed.next), output(bn, next), 4)
})

test('absorbScale keeps mode, options and statistics, and works in training', () => {
  const bn = module(2, 1, { momentum: null, layout: 'channels-last' }, true).train()
  const { batchNorm } = absorbScale(bn, 'relu', { weight: normal([4, 2], 1) })
  expect(batchNorm).toMatchObject({ training: true, momentum: null, layout: 'channels-last', eps: 1e-5 })
  expect(batchNorm.runningVar?.data).toEqual(bn.runningVar?.data)
})

describe('collapse', () => {
  const linear = (outputs: number, inputs: number, seed: number) => ({
    weight: normal([outputs, inputs], seed),
    bias: normal([outputs], seed + 1),
  })
  const stacks = [
    [linear(4, 3, 1)],
    [module(3, 1)],
    [linear(4, 3, 1), module(4, 1), linear(6, 4, 3), module(6, 1, { affine: false })],
    [module(3, 1), module(3, 1, { scale: false }), linear(1, 3, 1), linear(5, 1, 2)],
  ]
  test.each(stacks.map((stack) => ({ stack, length: stack.length })))(
    'a stack of $length is one linear layer',
    ({ stack }) => {
      const probe = normal([5, 3], 9)
      let expected: { data: Float64Array; shape: readonly number[] } = float64(probe)
      for (const step of stack) {
        expected =
          step instanceof BatchNorm1d
            ? evaluateBatchNorm(step as BatchNorm, expected)
            : evaluate(step as Layer, expected)
      }
      const { layer, largestError } = collapse(stack, { probe })
      const actual = evaluate(layer, float64(probe))
      expectRounded(actual, expected)
      expect(largestError).toBeLessThanOrEqual(2 ** -24 * 1.001 * Math.max(...actual.magnitude))
    },
  )
})

describe('refuses, and changes nothing:', () => {
  const linear = { weight: normal([3, 3], 1), bias: normal([3], 2) }
  const bn = module(3, 1)
  bn.weight?.data.set([1, -2, 0])
  const training = module(3, 1).train()
  const untracked = new BatchNorm1d(3, { trackRunningStats: false }).eval()
  const image = { weight: normal([2, 3, 3, 3], 1), padding: 1 }
  const tiny = module(3, 1)
  tiny.weight?.data.set([1, 1e-30, 1])
  tiny.bias?.data.fill(1e20)
  const huge = module(3, 1)
  huge.weight?.data.fill(3e38)
  const refusals: [string, () => unknown, RegExp][] = [
    [
      'toAffine in training',
      () => toAffine(training),
      /eval mode but received it in training mode.*every sample.*eval\(\) or freeze\(\)/,
    ],
    [
      'toAffine without statistics',
      () => toAffine(untracked),
      /running statistics but received.*trackRunningStats: false/,
    ],
    ['folding in training', () => foldIntoPrevious(linear, training), /eval mode/],
    [
      'other channels',
      () => foldIntoPrevious({ weight: normal([4, 3], 1) }, bn),
      /batchNorm.numFeatures to be 4.*received 3/,
    ],
    [
      'other inputs',
      () => foldIntoNext(bn, { weight: normal([4, 4], 1) }),
      /numFeatures to be a divisor of 4.*received 3/,
    ],
    [
      'a shift into padding',
      () => foldIntoNext(bn, image),
      /without padding but received padding 1.*shifts channels \[0, 1, 2\]/,
    ],
    [
      'a transposed convolution of other outputs',
      () => foldIntoPrevious({ weight: normal([3, 2, 3], 1), transposed: true }, bn),
      /batchNorm.numFeatures to be 2.*received 3/,
    ],
    [
      'groups that do not divide the inputs of a transposed convolution',
      () => foldIntoPrevious({ weight: normal([4, 1, 3], 1), groups: 3, transposed: true }, bn),
      /layer.groups to be a divisor of its 4 inputs/,
    ],
    [
      'a transposed linear layer',
      () => foldIntoPrevious({ ...linear, transposed: true }, bn),
      /layer.weight of shape \[in, out \/ groups, ...kernel\], for a transposed convolution/,
    ],
    [
      'transposed that is no switch',
      () => foldIntoPrevious({ ...image, transposed: 1 as never }, bn),
      /layer.transposed to be true or false but received 1/,
    ],
    [
      'a padding of the output as large as the stride',
      () => foldIntoPrevious({ ...image, transposed: true, stride: 2, outputPadding: [1, 2] }, bn),
      /layer.outputPadding to be less than stride or dilation but received \[1, 2\]/,
    ],
    [
      'a padding of the output of a convolution',
      () => foldIntoNext(bn, { ...image, outputPadding: 1 }),
      /layer.outputPadding to be 0 where transposed is false/,
    ],
    ...(['stride', 'padding', 'dilation', 'outputPadding'] as const).map(
      (name): [string, () => unknown, RegExp] => [
        `${name} of a linear layer`,
        () => foldIntoNext(bn, { ...linear, [name]: 2 }),
        new RegExp(`layer.${name} to be [01], for a linear layer, but received 2`),
      ],
    ),
    [
      'what does not fit float32',
      () => foldIntoPrevious(linear, huge),
      /fit float32 but received others in output channels/,
    ],
    [
      'groups that do not divide',
      () => foldIntoPrevious({ ...image, groups: 3 }, bn),
      /layer.groups to be a divisor of its 2 outputs/,
    ],
    [
      'gamma <= 0 before relu',
      () => absorbScale(bn, 'relu', linear),
      /gamma > 0 before relu but received \[-2, 0\] in channels \[1, 2\]/,
    ],
    [
      'gamma 0 before identity',
      () => absorbScale(bn, 'identity', linear),
      /gamma other than 0.*channels \[2\]/,
    ],
    [
      'beta / gamma too large',
      () => absorbScale(tiny, 'relu', linear),
      /fits float32 but received \[Infinity\] in channels \[1\]/,
    ],
    ['no gamma', () => absorbScale(module(3, 1, { scale: false }), 'relu', linear), /nothing to absorb/],
    [
      'an unknown activation',
      () => absorbScale(bn, 'swish' as 'relu', linear),
      /activation to be one of .* but received 'swish'/,
    ],
    [
      'an activation in a stack',
      () => collapse([linear, 'relu' as never, linear]),
      /stack\[1\].*received 'relu'.*activation bends/,
    ],
    ['a convolution in a stack', () => collapse([image]), /stack\[0\].weight of shape \[out, in\]/],
    [
      'sizes that do not meet',
      () => collapse([linear, { weight: normal([2, 4], 1) }]),
      /inputs of stack\[1\] to be 3/,
    ],
    ['an empty stack', () => collapse([]), /at least one/],
    [
      'a probe of another shape',
      () => foldIntoPrevious(linear, bn, { probe: tensor([[1, 2]]) }),
      /probe of shape \[N, 3\]/,
    ],
    ...(['tanh', 'sigmoid', 'elu', 'gelu', 'silu'] as const).map((name): [string, () => unknown, RegExp] => [
      `a scale through ${name}`,
      () => absorbScale(bn, name, linear),
      new RegExp(`positively homogeneous.*received '${name}'`),
    ]),
  ]
  test.each(refusals)('%s', (_, call, message) => {
    const modules = [bn, training, untracked, tiny, huge]
    const before = modules.map(snapshot)
    const weights = linear.weight.data.slice()
    expect(call).toThrow(message)
    expect(modules.map(snapshot)).toEqual(before)
    expect(linear.weight.data).toEqual(weights)
  })
})
