/** .onnx files: what is written is read, here and elsewhere; what is damaged or means something else is named. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormOptions,
  type Tensor,
  toConvention,
} from '../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx, type ToOnnxOptions, toOnnx } from '../lib/interop/onnx/index.ts'
import type { Graph, Model, Node, TensorProto } from '../lib/interop/onnx/messages.ts'
import type { AnyBatchNorm } from '../lib/modules/batch-norm.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import { extentOf } from '../lib/tensor/shape.ts'
import { channelOf, exactStatistics } from './support/exact.ts'
import { normal, normal64 } from './support/module.ts'
import { changed, node, tensorAttribute } from './support/onnx.ts'
import { hasOnnxRuntime, run } from './support/onnxruntime.ts'
import { outputTolerance, unit, unit64 } from './support/tolerance.ts'

const golden = (name: string) => new Uint8Array(readFileSync(new URL(`golden/${name}`, import.meta.url)))
const pytorch = golden('pytorch.onnx')

const shapes = [
  { rank: 2, shape: [24, 5], Module: BatchNorm1d },
  { rank: 3, shape: [4, 5, 7], Module: BatchNorm1d },
  { rank: 4, shape: [2, 3, 4, 5], Module: BatchNorm2d },
  { rank: 5, shape: [2, 3, 2, 2, 3], Module: BatchNorm3d },
]

/** A module in eval mode whose state is not the initial one. */
function moduleOf<Type extends ParameterType = 'float32'>(
  { shape, Module }: (typeof shapes)[number],
  options: BatchNormOptions<Type> = {},
) {
  const channels = shape[1]
  const module = new Module(channels, options).eval()
  module.weight?.data.set(normal64([channels], 1).data)
  module.bias?.data.set(normal64([channels], 2).data)
  module.runningMean?.data.set(normal64([channels], 3).data)
  module.runningVar?.data.set(normal64([channels], 4).data.map((value) => value ** 2))
  return module
}

/** Parameters and running statistics of one channel. */
function numbersOf({ weight, bias, runningMean, runningVar }: AnyBatchNorm, channel: number): number[] {
  return [weight, bias, runningMean, runningVar].map((each) => each?.data[channel] as number)
}

const bn = moduleOf(shapes[2])

describe('what is written is read', () => {
  const constraints = { minLength: 3, maxLength: 3 }
  test.each<[ParameterType, fc.Arbitrary<Float32Array> | fc.Arbitrary<Float64Array>]>([
    ['float32', fc.float32Array(constraints)],
    ['float64', fc.float64Array(constraints)],
  ])('any module of %s, with its eps, its momentum and its mode, to the bit', (dtype, vector) => {
    const float32 = (most: number) =>
      fc.oneof(
        fc.integer({ min: 1, max: 999_999 }).map((millionths) => (most * millionths) / 1e6),
        fc.float({ min: 0, max: most, noNaN: true }),
      )
    const anyModule = fc.tuple(fc.constantFrom(...shapes), float32(1), fc.boolean(), vector, vector, vector)
    fc.assert(
      fc.property(anyModule, ([{ rank, Module }, eps, training, weight, mean, variance]) => {
        const module = new Module(3, { eps, dtype }).train(training)
        module.weight?.data.set(weight)
        module.runningMean?.data.set(mean)
        module.runningVar?.data.set(variance)
        const read = fromOnnx(toOnnx(module, { rank })).module
        expect(read).toBeInstanceOf(Module)
        expect(read.stateDict()).toEqual(module.stateDict())
        expect([Math.fround(read.eps), read.training]).toEqual([Math.fround(eps), training])
        expect(String(fromOnnx(toOnnx(read, { rank })).module)).toBe(String(read))
      }),
    )
  })

  test.each([1e-5, 1e-3, 0.001001, 0, 1e-30])('eps %f comes back, not its float32', (eps) => {
    expect(fromOnnx(toOnnx(new BatchNorm1d(2, { eps }))).module.eps).toBe(eps)
  })

  test.each([0.1, 0.01, 0.25, 0.123, 0, 1])('momentum %f comes back, not its float32', (momentum) => {
    expect(fromOnnx(toOnnx(new BatchNorm1d(2, { momentum }))).module.momentum).toBe(momentum)
  })

  test('scale and center become parameters, as the notes say', () => {
    const module = moduleOf(shapes[0], { affine: false })
    const read = fromOnnx(toOnnx(module)).module
    expect(toConvention('onnx', module).notes.slice(-2)).toEqual([
      expect.stringMatching(/^scale is ones/),
      expect.stringMatching(/^B is zeros/),
    ])
    expect(read.weight?.data).toEqual(new Float32Array(5).fill(1))
    expect(read.bias?.data).toEqual(new Float32Array(5))
  })

  test.each<[string, (module: BatchNorm2d) => unknown, boolean]>([
    ['useBatchStats', (module) => Object.assign(module.eval(), { useBatchStats: true }), true],
    ['useBatchStats: false', (module) => Object.assign(module.train(), { useBatchStats: false }), false],
    ['freeze()', (module) => module.train().freeze(), false],
  ])('%s: the node is that of what normalizes', (_, change, training) => {
    const module = moduleOf(shapes[2]) as BatchNorm2d
    change(module)
    const read = fromOnnx(toOnnx(module)).module
    expect(read.training).toBe(training)
    expect(read.stateDict()).toEqual(module.stateDict())
  })

  test('valuesPerChannel makes the running variance biased in the file, and unbiased again', () => {
    const bytes = toOnnx(bn, { valuesPerChannel: 2 })
    const biased = fromOnnx(bytes).module.runningVar as Tensor
    expect(biased.data).toEqual(bn.runningVar?.data.map((value) => value / 2))
    expect(fromOnnx(bytes, { valuesPerChannel: 2 }).module.runningVar).toEqual(bn.runningVar)
  })
})

test('a model of PyTorch: its batch norms are listed, and each is read', () => {
  expect(findOnnxBatchNorms(pytorch)).toEqual([
    { name: '/1/BatchNormalization', rank: 4 },
    { name: '/3/BatchNormalization', rank: 4 },
    { name: '/5/BatchNormalization', rank: 2 },
  ])
  const first = fromOnnx(pytorch, { node: '/1/BatchNormalization' }).module
  const last = fromOnnx(pytorch, { node: '/5/BatchNormalization' }).module
  // make-onnx.py counts from 1.5 and 0.25.
  expect(String(first)).toBe(String(new BatchNorm2d(3, { eps: 1e-3, momentum: 0.25 })))
  expect(first.weight?.data).toEqual(Float32Array.of(1.5, 2.5, 3.5))
  expect(first.bias?.data).toEqual(Float32Array.of(11.5, 12.5, 13.5))
  expect(first.runningMean?.data).toEqual(Float32Array.of(21.5, 22.5, 23.5))
  expect(first.runningVar?.data).toEqual(Float32Array.of(31.5, 32.5, 33.5))
  expect(first.training).toBe(false)
  expect(String(last)).toBe(String(new BatchNorm1d(12)))
  expect(last.runningVar?.data[11]).toBe(41.25)
})

/**
 * ONNX Runtime computes a = scale / sqrt(variance + eps), b = B - mean * a and y = x * a + b, rounding
 * four times for a, twice for b and twice for y, all in the type of x, whose roundoff is `unit`: what x * a
 * and mean * a lose shows in y.
 * `doubt` is that of the mean, absolute, and of the variance, relative, of which a takes half.
 */
function runtimeTolerance(
  unit: number,
  x: number,
  mean: number,
  a: number,
  bias: number,
  doubt = { mean: 0, variance: 0 },
) {
  const y = a * (x - mean) + bias
  const b = bias - mean * a
  const rounded = 2 * Math.abs(mean * a) + Math.abs(b) + Math.abs(x * a) + Math.abs(y)
  return Math.abs(a) * doubt.mean + Math.abs(y - bias) * (doubt.variance / 2 + 4 * unit) + rounded * unit
}

// Attributes that float32 holds: in float64 the rest of 1e-5 and of 0.9 would show.
const options = { eps: 2 ** -16, momentum: 0.25 }
const roundoffs = [
  { dtype: 'float32', u: unit },
  { dtype: 'float64', u: unit64 },
] as const
const runtimeCases = roundoffs.flatMap((roundoff) => shapes.map((place) => ({ ...roundoff, ...place })))

describe.skipIf(!hasOnnxRuntime)('ONNX Runtime gives the same', () => {
  /** Ours, as `outputTolerance` has it for float32: it goes with the roundoff. */
  const oursOf = (u: number, y: number, weight: number, bias: number, units: number) =>
    outputTolerance(y, weight, bias, { mean: units * unit, invstd: (units + 1) * unit }) * (u / unit)
  const inputOf = (dtype: ParameterType, shape: number[]): Tensor<Float32Array | Float64Array> =>
    (dtype === 'float64' ? normal64 : normal)(shape, 9)

  test.each(runtimeCases)('in inference, for $rank axes of $dtype', async ({ dtype, u, ...place }) => {
    const module = moduleOf(place, { ...options, dtype })
    const extent = extentOf(place.shape, 'channels-first')
    const x = inputOf(dtype, place.shape)
    const { Y } = await run(toOnnx(module, { rank: place.rank }), x)
    const y = module.forward(x).data
    expect([Y.shape, Y.data.constructor]).toEqual([place.shape, x.data.constructor])
    for (const [index, theirs] of Y.data.entries()) {
      const [weight, bias, mean, variance] = numbersOf(module, channelOf(index, extent))
      const a = weight / Math.sqrt(variance + module.eps)
      const allowed = oursOf(u, y[index], weight, bias, 0) + runtimeTolerance(u, x.data[index], mean, a, bias)
      expect(Math.abs(theirs - y[index])).toBeLessThanOrEqual(allowed)
    }
  })

  test.each(runtimeCases)(
    'in training, for $rank axes of $dtype, but for the variance: theirs is biased',
    async ({ dtype, u, ...place }) => {
      const module = moduleOf(place, { ...options, dtype }).train()
      const old = moduleOf(place, { ...options, dtype })
      const extent = extentOf(place.shape, 'channels-first')
      const n = extent.outer * extent.inner
      const x = inputOf(dtype, place.shape)
      const { Y, running_mean, running_var } = await run(toOnnx(module, { rank: place.rank }), x)
      const y = module.forward(x).data
      const exact = exactStatistics(x.data, extent, module.eps)
      // Sums of n terms; those of the variance are rounded twice before, and divided after.
      const largest = Math.max(...Array.from(x.data, Math.abs))
      const doubt = { mean: (n + 1) * u * largest, variance: (n + 4) * u }
      for (const [index, theirs] of Y.data.entries()) {
        const c = channelOf(index, extent)
        const [weight, bias] = numbersOf(module, c)
        const a = exact.invstd[c] * weight
        const allowed = runtimeTolerance(u, x.data[index], exact.mean[c], a, bias, doubt)
        expect(Math.abs(theirs - y[index])).toBeLessThanOrEqual(
          allowed + oursOf(u, y[index], weight, bias, 8),
        )
      }
      for (let c = 0; c < extent.channels; c++) {
        const [, , mean, variance] = numbersOf(old, c)
        const [newMean, newVariance] = [exact.mean[c], exact.variance[c]].map((value) => 0.25 * value)
        const slack = 4 * u * (Math.abs(mean) + largest)
        expect(Math.abs(running_mean.data[c] - 0.75 * mean - newMean)).toBeLessThanOrEqual(
          0.25 * doubt.mean + slack,
        )
        const allowed = newVariance * doubt.variance + 4 * u * (variance + newVariance)
        expect(Math.abs(running_var.data[c] - 0.75 * variance - newVariance)).toBeLessThanOrEqual(allowed)
        const unbiased = 0.75 * variance + (newVariance * n) / (n - 1)
        const [, , , ours] = numbersOf(module, c)
        expect(Math.abs(ours - unbiased)).toBeLessThanOrEqual(8 * u * unbiased)
      }
    },
  )
})

const python = '/usr/bin/python3'
const hasChecker = spawnSync(python, ['-c', 'import onnx']).status === 0
if (!hasChecker) console.warn('NOT TESTED: the checker of ONNX. apt-get install python3-onnx')

test.skipIf(!hasChecker)('the checker of ONNX finds nothing', () => {
  const check = [
    'import sys, onnx',
    'for line in sys.stdin:',
    '  model = onnx.load_from_string(bytes.fromhex(line.strip()))',
    '  onnx.checker.check_model(model, full_check=True)',
    '  print(model.graph.output[0].type.tensor_type.elem_type, end=" ")',
    '  print(*[d.dim_value or d.dim_param for d in model.graph.output[0].type.tensor_type.shape.dim])',
  ].join('\n')
  const models = (['float32', 'float64'] as const).flatMap((dtype) =>
    shapes.flatMap((place) =>
      [false, true].map((training) =>
        toOnnx(moduleOf(place, { dtype }).train(training), { rank: place.rank }),
      ),
    ),
  )
  const input = models.map((bytes) => Buffer.from(bytes).toString('hex')).join('\n')
  const { stdout, stderr } = spawnSync(python, ['-c', check], { input, encoding: 'utf8' })
  expect(stderr).toBe('')
  const sizes = ['N 5', 'N 5 L', 'N 3 H W', 'N 3 D H W']
  // FLOAT is 1, DOUBLE 11.
  const expected = [1, 11].flatMap((type) => sizes.flatMap((each) => [`${type} ${each}`, `${type} ${each}`]))
  expect(stdout.trim().split('\n')).toEqual(expected)
})

/** The model of `bn`, changed. */
const changedBn = (change: (graph: Graph, node: Node, model: Model) => void) => changed(toOnnx(bn), change)

/** The model of `bn`, with another tensor in place of its scale. */
function withScale(scale: Partial<TensorProto>): Uint8Array {
  return changedBn((graph) => {
    graph.initializer[0] = { name: 'scale', dims: [3n], ...scale } as TensorProto
  })
}

/** The model of `bn`, which does not say how many axes its input has. */
function withoutShapes(): Uint8Array {
  return changedBn((graph) => Object.assign(graph, { input: [], output: [] }))
}

const bytesOf = (...bytes: number[]) => Uint8Array.from(bytes)

describe('models of others', () => {
  // 1.5 and -2: 0x3e00 and 0xc000 in float16, 0x3fc0 and 0xc000 in bfloat16; 0x0001 is 2^-24.
  test.each<[string, Partial<TensorProto>, Float32Array]>([
    ['float32 in a list', { dataType: 1, floatData: [1.5, -2, 0.25] }, Float32Array.of(1.5, -2, 0.25)],
    ['float64 in a list', { dataType: 11, doubleData: [1.5, -2, 0.1] }, Float32Array.of(1.5, -2, 0.1)],
    [
      'float64 in bytes',
      { dataType: 11, rawData: new Uint8Array(Float64Array.of(1.5, -2, 0.1).buffer) },
      Float32Array.of(1.5, -2, 0.1),
    ],
    [
      'float16 in bytes',
      { dataType: 10, rawData: bytesOf(0, 0x3e, 0, 0xc0, 1, 0) },
      Float32Array.of(1.5, -2, 2 ** -24),
    ],
    [
      'float16 in a list: infinity, NaN, the largest',
      { dataType: 10, int32Data: [0xfc00, 0x7e00, 0x7bff] },
      Float32Array.of(Number.NEGATIVE_INFINITY, Number.NaN, 65504),
    ],
    [
      'bfloat16 in bytes',
      { dataType: 16, rawData: bytesOf(0xc0, 0x3f, 0, 0xc0, 0x80, 0xff) },
      Float32Array.of(1.5, -2, Number.NEGATIVE_INFINITY),
    ],
  ])('%s', (_, scale, expected) => {
    expect(fromOnnx(withScale(scale)).module.weight?.data).toEqual(expected)
  })

  /** `bn` of doubles, by the type of its input or of its vectors. */
  const doubles = (input: boolean, vectors: readonly number[]) =>
    changedBn(({ initializer, input: inputs, output }) => {
      for (const each of [...inputs, ...output]) {
        Object.assign(each.type?.tensorType ?? {}, { elemType: input ? 11 : 0 })
      }
      for (const index of vectors) {
        initializer[index] = { ...initializer[index], dataType: 11, rawData: digits }
      }
    })
  const digits = new Uint8Array(Float64Array.of(0.1, 0.2, 0.3).buffer)
  const rounded = (name: string) => expect.stringMatching(`^${name} is rounded from float64 to float32`)
  test.each<[string, Uint8Array, ParameterType, unknown[]]>([
    ['its input', doubles(true, []), 'float64', []],
    ['its input, and two of its vectors', doubles(true, [0, 1]), 'float64', []],
    ['its vectors, where the input is not said', doubles(false, [0, 1, 2, 3]), 'float64', []],
    [
      'some of its vectors, where the input is not said',
      doubles(false, [0, 2]),
      'float32',
      [rounded('scale'), rounded('input_mean')],
    ],
    [
      'its vectors, but not its input',
      withScale({ dataType: 11, rawData: digits }),
      'float32',
      [rounded('scale')],
    ],
  ])('a node of DOUBLE by %s', (_, bytes, dtype, expected) => {
    const { module, notes } = fromOnnx(bytes, { valuesPerChannel: 2 })
    expect([module.dtype, module.weight?.data.constructor]).toEqual([
      dtype,
      dtype === 'float64' ? Float64Array : Float32Array,
    ])
    expect(notes).toEqual(expected)
    if (dtype === 'float64') expect(fromOnnx(toOnnx(module)).module.stateDict()).toEqual(module.stateDict())
  })

  test.each<[string, Partial<TensorProto>, number, string[]]>([
    ['FLOAT', { dataType: 1, floatData: [1, 2, 3] }, 1, []],
    ['FLOAT16', { dataType: 10, int32Data: [1, 2, 3] }, 1, ['FLOAT16 becomes float32']],
    ['BFLOAT16', { dataType: 16, int32Data: [1, 2, 3] }, 1, ['BFLOAT16 becomes float32']],
    [
      'FLOAT, for an input of FLOAT16',
      { dataType: 1, floatData: [1, 2, 3] },
      10,
      ['FLOAT16 becomes float32'],
    ],
  ])('a note for %s', (_, scale, elemType, expected) => {
    const bytes = changed(withScale(scale), (graph) => {
      Object.assign(graph.input[0].type?.tensorType ?? {}, { elemType })
    })
    const { module, notes } = fromOnnx(bytes, { valuesPerChannel: 2 })
    expect(module.dtype).toBe('float32')
    expect(notes).toEqual(expected.map((each) => expect.stringContaining(each)))
  })

  test('a constant in place of an initializer, a name in place of a node name, no attributes', () => {
    const bytes = changedBn((graph, bnNode) => {
      const scale = graph.initializer.shift() as TensorProto
      graph.node.push(node('Constant', [], ['scale'], [tensorAttribute('value', scale)]))
      Object.assign(bnNode, { name: '', domain: 'ai.onnx', attribute: [] })
    })
    expect(findOnnxBatchNorms(bytes)).toEqual([{ name: 'Y', rank: 4 }])
    const { module } = fromOnnx(bytes, { node: 'Y' })
    expect(module.stateDict()).toEqual(bn.stateDict())
    expect([module.eps, module.momentum, module.training]).toEqual([1e-5, 0.1, false])
  })

  test('an input whose rank the caller says', () => {
    expect(fromOnnx(withoutShapes(), { rank: 4 }).module.stateDict()).toEqual(bn.stateDict())
  })
})

describe('what is damaged, or means something else, is an error that says how:', () => {
  test.each<[string, () => unknown, RegExp]>([
    [
      'no bytes',
      () => fromOnnx('model.onnx' as never),
      /bytes to be a Uint8Array but received 'model\.onnx'/,
    ],
    ['nothing', () => fromOnnx(new Uint8Array(0)), /an ONNX model with a graph/],
    ['a file cut short', () => fromOnnx(toOnnx(bn).slice(0, 200)), /to be an ONNX model but .*truncated/],
    ['another file', () => fromOnnx(new TextEncoder().encode('{"a": 1}')), /to be an ONNX model but/],
    [
      'no batch norm',
      () => fromOnnx(changedBn((_, node) => Object.assign(node, { opType: 'Relu' }))),
      /a model with a BatchNormalization/,
    ],
    [
      'a batch norm of another domain',
      () => fromOnnx(changedBn((_, node) => Object.assign(node, { domain: 'mine' }))),
      /a model with a BatchNormalization/,
    ],
    ['several', () => fromOnnx(pytorch), /one BatchNormalization but received \['\/1\/.*give node its name/],
    ['another name', () => fromOnnx(pytorch, { node: 'bn' }), /received 'bn' \(the model has \['\/1\//],
    ['no rank', () => fromOnnx(withoutShapes()), /rank to be given, since the model does not say it/],
    [
      'another rank',
      () => fromOnnx(toOnnx(bn), { rank: 3 }),
      /rank to be 4, as the model says, but received 3/,
    ],
    ['six axes', () => fromOnnx(withoutShapes(), { rank: 6 }), /the input of batchnorm to be of 2 to 5 axes/],
    [
      'external data',
      () => fromOnnx(withScale({ dataType: 1, dataLocation: 1 })),
      /scale of batchnorm.*external/,
    ],
    [
      'integers',
      () => fromOnnx(withScale({ dataType: 7, int64Data: [1n, 2n, 3n] })),
      /type of scale of batchnorm.*data_type 7/,
    ],
    ['bytes', () => fromOnnx(withScale({ dataType: 2, int32Data: [1, 2, 3] })), /type of scale.*data_type 2/],
    [
      'values in bytes and in a list',
      () => fromOnnx(withScale({ dataType: 1, rawData: new Uint8Array(12), floatData: [1, 2, 3] })),
      /scale of batchnorm to be stored once but received \['raw_data', 'float_data'\]/,
    ],
    [
      'values in two lists',
      () => fromOnnx(withScale({ dataType: 11, doubleData: [1, 2, 3], int64Data: [1n] })),
      /stored once but received \['int64_data', 'double_data'\]/,
    ],
    [
      'values in the list of another type',
      () => fromOnnx(withScale({ dataType: 1, doubleData: [1, 2, 3] })),
      /scale of batchnorm to be of 3 values, for its shape \[3\], but received \[\]/,
    ],
    [
      'a matrix',
      () => fromOnnx(withScale({ dataType: 1, dims: [3n, 1n], floatData: [1, 2, 3] })),
      /scale of batchnorm of shape \[C\] but received \[3, 1\]/,
    ],
    [
      'too few values',
      () => fromOnnx(withScale({ dataType: 1, floatData: [1, 2] })),
      /scale of batchnorm to be of 3 values, for its shape \[3\], but received \[1, 2\]/,
    ],
    [
      'a value cut in two',
      () => fromOnnx(withScale({ dataType: 1, rawData: new Uint8Array(14) })),
      /scale of batchnorm to be of 12 bytes, .* but received a Uint8Array of length 14/,
    ],
    [
      'other channels',
      () => fromOnnx(withScale({ dataType: 1, dims: [2n], floatData: [1, 2] })),
      /B to be of length 2, as scale is,/,
    ],
    [
      'an attribute of another type',
      () => fromOnnx(changedBn((_, { attribute }) => Object.assign(attribute[0], { type: 2 }))),
      /epsilon to be a FLOAT but received 'type 2'/,
    ],
    [
      'a negative epsilon',
      () => fromOnnx(changedBn((_, { attribute }) => Object.assign(attribute[0], { f: -1 }))),
      /epsilon to be a finite number, at least 0, but received -1/,
    ],
    [
      'an eps that float32 makes 0',
      () => toOnnx(new BatchNorm1d(2, { eps: 1e-50 })),
      /eps to be a number that/,
    ],
    ['a rank that is not', () => toOnnx(bn, { rank: 3 }), /rank to be 4, for BatchNorm2d\(3,.*received 3/],
    ['an empty name', () => toOnnx(bn, { name: '' }), /name to be a name but received ''/],
    [
      'channels last',
      () => toOnnx(new BatchNorm2d(3, { layout: 'channels-last' })),
      /'channels-last', and ONNX has the channels second/,
    ],
    [
      'an activation',
      () => toOnnx(new BatchNorm2d(3, { activation: 'relu' })),
      /without an activation but received activation: 'relu'/,
    ],
    [
      'no running statistics',
      () => toOnnx(new BatchNorm2d(3, { trackRunningStats: false })),
      /trackRunningStats/,
    ],
  ] satisfies [string, () => unknown, RegExp][])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })

  test('and any damage is, or does no harm', () => {
    const options: ToOnnxOptions[] = [{ rank: 2 }, { rank: 3 }]
    const files = [
      toOnnx(bn),
      toOnnx(moduleOf(shapes[2], { dtype: 'float64' })),
      pytorch,
      golden('pytorch-fresh.onnx'),
      ...options.map((each) => toOnnx(new BatchNorm1d(300).train(), each)),
    ]
    const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    const damages = fc.array(fc.tuple(place, fc.nat(255)), { maxLength: 4 })
    let harmless = 0
    let errors = 0
    fc.assert(
      fc.property(fc.constantFrom(...files), damages, place, fc.boolean(), (file, bytes, end, cut) => {
        const damaged = cut ? file.slice(0, Math.floor(end * file.length)) : file.slice()
        for (const [at, byte] of bytes) damaged[Math.floor(at * damaged.length)] = byte
        try {
          for (const { name, rank } of findOnnxBatchNorms(damaged)) {
            fromOnnx(damaged, { node: name, rank: rank ?? 4 })
          }
          harmless++
        } catch (error) {
          errors++
          expect(['TypeError', 'RangeError']).toContain((error as Error).name)
          expect((error as Error).message).toMatch(/^Expected /)
        }
      }),
      { numRuns: 2000 },
    )
    expect(Math.min(harmless, errors)).toBeGreaterThan(100)
  })
})
