/** BatchNormalization through ONNX's operator sets 7 to 22: what is read computes what the page of the operator says. */
import { describe, expect, test } from 'vitest'
import { tensor } from '../lib/index.ts'
import { fromOnnx } from '../lib/interop/onnx/index.ts'
import { type Attribute, dataTypes, type TensorProto } from '../lib/interop/onnx/messages.ts'
import { encodeModel } from '../lib/interop/onnx/schema.ts'
import type { FloatType } from '../lib/tensor/data-type.ts'
import { isHalf } from '../lib/tensor/half.ts'
import { extentOf } from '../lib/tensor/shape.ts'
import { channelOf, exactOutput, exactStatistics } from './support/exact.ts'
import { normal64 } from './support/module.ts'
import { changed, float, int, ints, node } from './support/onnx.ts'
import { halfRounding } from './support/tolerance.ts'

const versions = Array.from({ length: 16 }, (_, index) => 7 + index)

/** A node with its input; scale, B, mean and variance are initializers. */
interface Case {
  readonly shape: number[]
  readonly x: ArrayLike<number>
  readonly vectors: readonly ArrayLike<number>[]
  readonly epsilon?: number
  readonly momentum?: number
  /** Of X; of scale and B; of mean and variance. Default: all float32. */
  readonly types?: readonly [FloatType, FloatType, FloatType]
}

const allFloat32 = ['float32', 'float32', 'float32'] as const

/** Numbers of N(0, 1); variances are squares of them. */
function random(shape: number[], rest: Omit<Case, 'shape' | 'x' | 'vectors'> = {}): Case {
  const vectors = [1, 2, 3, 4].map((seed) => normal64([shape[1]], seed).data)
  vectors[3] = vectors[3].map((value) => value ** 2)
  return { shape, x: normal64(shape, 5).data, vectors, ...rest }
}

/** Two channels of three values. */
const example: Case = {
  shape: [1, 2, 1, 3],
  x: [-1, 0, 1, 2, 3, 4],
  vectors: [Float32Array.of(1, 1.5), Float32Array.of(0, 1), Float32Array.of(0, 3), Float32Array.of(1, 1.5)],
}

/** In training, further outputs say so before version 14, and `training_mode` from then on. */
function fileOf(each: Case, version: number, training: boolean, further: Attribute[] = []): Uint8Array {
  const { shape, vectors, epsilon, momentum, types = allFloat32 } = each
  const attribute = [...further]
  if (epsilon !== undefined) attribute.push(float('epsilon', epsilon))
  if (momentum !== undefined) attribute.push(float('momentum', momentum))
  if (training && version >= 14) attribute.push(int('training_mode', 1))
  const statistics = version < 14 ? ['mean', 'var', 'saved_mean', 'saved_var'] : ['mean', 'var']
  const inputs = ['scale', 'B', 'input_mean', 'input_var']
  const dim = shape.map((size) => ({ dimValue: BigInt(size) }))
  return encodeModel({
    opsetImport: [{ version: BigInt(version) }],
    graph: {
      node: [node('BatchNormalization', ['x', ...inputs], ['y', ...(training ? statistics : [])], attribute)],
      initializer: inputs.map((name, index) => storedAs(name, vectors[index], types[index < 2 ? 1 : 2])),
      input: [{ name: 'x', type: { tensorType: { elemType: dataTypes[types[0]], shape: { dim } } } }],
    },
  })
}

function storedAs(name: string, values: ArrayLike<number>, type: FloatType): Partial<TensorProto> {
  const { data } = tensor(Float64Array.from(values), [values.length], { dtype: type })
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { name, dims: [BigInt(values.length)], dataType: dataTypes[type], rawData }
}

function heldAs(values: ArrayLike<number>, type: FloatType): Float64Array {
  const held = tensor(Float64Array.from(values), [values.length], { dtype: type })
  return Float64Array.from(held.numbers() as Float64Array)
}

/** The formula of the page, in float64, beside the module that `fromOnnx` makes. */
function expectFormula(each: Case, file: Uint8Array, training: boolean): void {
  const { shape, x, vectors, epsilon = 1e-5, momentum = 0.9, types = allFloat32 } = each
  const [type] = types
  const dtype = type === 'float64' ? 'float64' : 'float32'
  const { module } = fromOnnx(file)
  expect([module.eps, module.training, module.dtype]).toEqual([epsilon, training, dtype])
  expect(module.momentum).toBeCloseTo(1 - momentum, 15)

  const extent = extentOf(shape, 'channels-first')
  const input = tensor(Float64Array.from(x), shape, { dtype: type })
  const values = input.numbers() as Float64Array
  const [weight, bias, mean, variance] = vectors.map((vector, index) =>
    heldAs(heldAs(vector, types[index < 2 ? 1 : 2]), dtype),
  )
  const batch = exactStatistics(values, extent, epsilon)
  const stored = { mean, variance, invstd: variance.map((value) => 1 / Math.sqrt(value + epsilon)) }
  const used = training ? batch : stored
  const expected = exactOutput(values, extent, used, weight, bias)
  const output = module.forward(input)
  expect([output.shape, output.dtype]).toEqual([shape, type])
  const share = type === 'float64' ? 1e-14 : 1e-6
  for (const [index, y] of (output.numbers() as Float64Array).entries()) {
    const c = channelOf(index, extent)
    const normalized = Math.abs((values[index] - used.mean[c]) * used.invstd[c])
    const promised = share * Math.max(Math.abs(weight[c]) * Math.max(1, normalized), Math.abs(bias[c]))
    const rounding = isHalf(type) ? halfRounding(Math.abs(expected[index]), type) : 0
    expect(Math.abs(y - expected[index])).toBeLessThanOrEqual(promised + 1.02 * rounding)
  }

  const old = training ? momentum : 1
  const { runningMean, runningVar } = module
  for (let c = 0; c < extent.channels; c++) {
    const newMean = mean[c] * old + batch.mean[c] * (1 - old)
    const newVariance = variance[c] * old + batch.variance[c] * (1 - old)
    const magnitude = Math.abs(mean[c]) + Math.abs(batch.mean[c]) + Math.sqrt(batch.variance[c])
    expect(Math.abs((runningMean?.data[c] as number) - newMean)).toBeLessThanOrEqual(share * magnitude)
    expect(Math.abs((runningVar?.data[c] as number) - newVariance)).toBeLessThanOrEqual(share * newVariance)
  }
}

const cases: Readonly<Record<string, Case>> = {
  'an example': example,
  'an epsilon': random([2, 3, 4, 5], { epsilon: 1e-2 }),
  'an epsilon and a momentum': random([2, 3, 4, 5], { epsilon: 1e-3, momentum: 0.75 }),
  'two axes': random([6, 4]),
  'three axes': random([3, 4, 5]),
  'five axes': random([2, 3, 2, 3, 2], { epsilon: 1e-2 }),
  float64: random([2, 3, 4, 5], { types: ['float64', 'float64', 'float64'] }),
  float16: random([2, 3, 4, 5], { types: ['float16', 'float16', 'float16'] }),
}

/** From version 14 on bfloat16 too, and types of their own for the statistics; from 15 on for scale and B. */
const mixedTypes = [
  { since: 14, types: ['bfloat16', 'bfloat16', 'bfloat16'] },
  { since: 14, types: ['float16', 'float16', 'float32'] },
  { since: 15, types: ['bfloat16', 'float32', 'float32'] },
  { since: 15, types: ['float64', 'float32', 'float32'] },
  { since: 15, types: ['float32', 'float16', 'bfloat16'] },
] as const

describe.each([false, true])('training: %s', (training) => {
  test.each(Object.keys(cases))('%s: every operator set computes the formula of the page', (name) => {
    for (const version of versions) {
      expectFormula(cases[name], fileOf(cases[name], version, training), training)
    }
  })

  test.each(mixedTypes)(
    '$types: the operator sets from $since on compute the formula',
    ({ since, types }) => {
      const each = random([2, 3, 4, 5], { types })
      for (const version of versions.filter((other) => other >= since)) {
        expectFormula(each, fileOf(each, version, training), training)
      }
    },
  )

  // Version 6 said is_test, and version 1 which inputs its outputs took the place of.
  test.each<[string, number[], Attribute[]]>([
    ['spatial: 1', versions, [int('spatial', 1)]],
    ['is_test', versions, [int('is_test', training ? 0 : 1)]],
    ['consumed_inputs', versions, [ints('consumed_inputs', [0, 0, 0, 1, 1])]],
  ])('%s, which says what is so without it, changes nothing', (_, among, further) => {
    for (const version of among) {
      expectFormula(example, fileOf(example, version, training, further), training)
    }
  })

  test.each([7, 8])('spatial: 0 of operator set %i is the same without positions', (version) => {
    const twoAxes = random([6, 4])
    expectFormula(twoAxes, fileOf(twoAxes, version, training, [int('spatial', 0)]), training)
    const call = () => fromOnnx(fileOf(example, version, training, [int('spatial', 0)]))
    expect(call).toThrow(/spatial of y to be 1 but received 0 \(it normalizes each position on its own/)
  })
})

test('the numbers of the example', () => {
  const x = tensor(Float32Array.from(example.x), example.shape)
  const inference = fromOnnx(fileOf(example, 15, false)).module
  const training = fromOnnx(fileOf(example, 15, true)).module
  const digits = (values: ArrayLike<number> | undefined) =>
    Array.from(values ?? [], (value) => value.toFixed(5))
  // 1 / sqrt(1.00001), 1.5 / sqrt(1.50001); 1 / sqrt(2 / 3 + 0.00001), 1.5 times that.
  expect(digits(inference.forward(x).data)).toEqual(digits([-0.999995, 0, 0.999995, -0.224741, 1, 2.224741]))
  expect(digits(training.forward(x).data)).toEqual(digits([-1.224736, 0, 1.224736, -0.837104, 1, 2.837104]))
  expect(digits(training.runningMean?.data)).toEqual(digits([0, 3]))
  // 0.9 * 1 + 0.1 * 2 / 3 and 0.9 * 1.5 + 0.1 * 2 / 3: three values 1 apart have the biased variance 2 / 3.
  expect(digits(training.runningVar?.data)).toEqual(digits([29 / 30, 17 / 12]))
})

describe('what an operator set does not have is an error that says so:', () => {
  test.each<[string, number[], boolean, Attribute[], RegExp]>([
    ['an older one', [1, 6], false, [], /the operator set of y to be 7 or later but received [16]/],
    [
      'spatial: 0 from 9 on',
      [9, 14, 22],
      false,
      [int('spatial', 0)],
      /spatial of y to be left out but received 0 \(operator set \d+ has none/,
    ],
    [
      'training_mode before 14',
      [7, 9, 13],
      false,
      [int('training_mode', 0)],
      /training_mode of y to be left out but received 0 \(operator set \d+ has none: 14 does/,
    ],
    [
      'training_mode before 14, in training',
      [7, 9, 13],
      true,
      [int('training_mode', 1)],
      /training_mode of y to be left out but received 1/,
    ],
    ['another training_mode', [14], false, [int('training_mode', 2)], /training_mode of y to be 0 or 1 but/],
    ['is_test: 0 in inference', versions, false, [int('is_test', 0)], /is_test of y to be 1 but received 0/],
    ['is_test: 1 in training', versions, true, [int('is_test', 1)], /is_test of y to be 0 but received 1/],
    ['another attribute', versions, false, [int('axis', 3)], /attributes of y to be among .* \['axis'\]/],
    ['an attribute of another type', [7], false, [float('spatial', 0)], /spatial to be an INT but/],
  ])('%s', (_, among, training, further, message) => {
    for (const version of among) {
      expect(() => fromOnnx(fileOf(example, version, training, further))).toThrow(message)
    }
  })

  test('statistics as outputs of inference, from 14 on', () => {
    const file = fileOf(example, 13, true)
    const inference = changed(file, (_, __, model) => {
      model.opsetImport[0].version = 14n
    })
    expect(() => fromOnnx(inference)).toThrow(/the outputs of y to be one but received \['y', 'mean', 'var'/)
  })

  test.each([
    ['no version', [], '[]'],
    ['a version of others', [{ domain: 'ai.onnx.ml', version: 3n }], '[]'],
    [
      'two versions',
      [
        { domain: '', version: 9n },
        { domain: 'ai.onnx', version: 15n },
      ],
      '[9, 15]',
    ],
  ])('%s of the operators', (_, opsetImport, received) => {
    const file = changed(fileOf(example, 15, false), (_graph, _node, model) =>
      Object.assign(model, { opsetImport }),
    )
    expect(() => fromOnnx(file)).toThrow(
      `opset_import to be with a version of ONNX's operators but received ${received}`,
    )
  })
})
