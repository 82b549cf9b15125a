/** Batch norms of .onnx files, folded: the weights are those of the formula, and ONNX Runtime gives the same outputs. */
import { describe, expect, test } from 'vitest'
import { tensor } from '../lib/index.ts'
import { foldOnnx } from '../lib/interop/onnx/index.ts'
import type { Attribute, Graph, Model, Node, TensorProto } from '../lib/interop/onnx/messages.ts'
import { decodeModel, encodeModel } from '../lib/interop/onnx/schema.ts'
import { storedConstant } from '../lib/interop/onnx/stored-tensor.ts'
import { halfOfNumber } from '../lib/tensor/half.ts'
import { normal } from './support/module.ts'
import { changed, float, int, ints, network, node, stored, tensorAttribute } from './support/onnx.ts'
import { hasOnnxRuntime, runtime } from './support/onnxruntime.ts'

const values = (dims: number[], seed: number) => Array.from(normal(dims, seed).data)
const graphOf = (file: Uint8Array) => decodeModel(file).graph as Graph
const operatorsOf = (file: Uint8Array) => graphOf(file).node.map(({ opType }) => opType)

/** The numbers that a model stores under a name. */
function numbersIn(file: Uint8Array, name: string): number[] {
  const tensor = graphOf(file).initializer.find((each) => each.name === name)
  return Array.from(storedConstant(name, tensor as TensorProto).values)
}

/** Vectors of a batch norm; eps is one that float32 holds. */
const eps = 2 ** -10
function vectors(prefix: string, channels: number, seed: number): TensorProto[] {
  const variance = values([channels], seed + 3).map((value) => Math.fround(value ** 2 + 0.5))
  return [
    ...['scale', 'B', 'mean'].map((name, index) => stored(prefix + name, values([channels], seed + index))),
    stored(`${prefix}variance`, variance),
  ]
}

const normInputs = (prefix: string) => ['scale', 'B', 'mean', 'variance'].map((name) => prefix + name)
const norm = (input: string, output: string, prefix = '') =>
  node('BatchNormalization', [input, ...normInputs(prefix)], [output], [float('epsilon', eps)])

/** What a batch norm multiplies by and adds, in float64. */
function affine(tensors: TensorProto[], channel: number): { factor: number; term: number } {
  const [scale, B, mean, variance] = tensors.map(({ floatData }) => Math.fround(floatData[channel]))
  const factor = scale / Math.sqrt(variance + eps)
  return { factor, term: B - mean * factor }
}

interface Case {
  /** Sizes of X. */
  x: number[]
  dims: number[]
  layer: (input: string[]) => Node[]
  /** The output channel of a weight, by its place. */
  channel: (at: number) => number
  bias?: number[]
  add?: number[]
  rank?: number
  operators: string[]
}

const layer =
  (opType: string, ...attribute: Attribute[]) =>
  (input: string[]) => [node(opType, input, ['H'], attribute)]

const cases: Record<string, Case> = {
  Conv: {
    x: [2, 4, 5, 5],
    dims: [6, 4, 3, 3],
    layer: layer('Conv', ints('pads', [1, 1, 1, 1])),
    channel: (at) => Math.floor(at / 36),
    bias: [6],
    operators: ['Conv'],
  },
  'Conv without bias, of one axis': {
    x: [2, 4, 9],
    dims: [6, 4, 3],
    layer: layer('Conv'),
    channel: (at) => Math.floor(at / 12),
    operators: ['Conv'],
  },
  'Conv in groups, of three axes': {
    x: [2, 4, 3, 3, 3],
    dims: [6, 2, 2, 2, 2],
    layer: layer('Conv', int('group', 2), ints('strides', [2, 1, 1])),
    channel: (at) => Math.floor(at / 16),
    bias: [6],
    operators: ['Conv'],
  },
  ConvTranspose: {
    x: [2, 4, 3, 3],
    dims: [4, 6, 2, 2],
    layer: layer('ConvTranspose', ints('strides', [2, 2])),
    channel: (at) => Math.floor(at / 4) % 6,
    bias: [6],
    operators: ['ConvTranspose'],
  },
  'ConvTranspose in groups': {
    x: [2, 4, 3],
    dims: [4, 3, 2],
    layer: layer('ConvTranspose', int('group', 2)),
    channel: (at) => Math.floor(at / 12) * 3 + (Math.floor(at / 2) % 3),
    operators: ['ConvTranspose'],
  },
  Gemm: {
    x: [3, 4],
    dims: [4, 6],
    layer: layer('Gemm'),
    channel: (at) => at % 6,
    bias: [6],
    operators: ['Gemm'],
  },
  'Gemm of transB, alpha, beta': {
    x: [3, 4],
    dims: [6, 4],
    layer: layer('Gemm', int('transB', 1), float('alpha', 0.5), float('beta', -2)),
    channel: (at) => Math.floor(at / 4),
    bias: [1, 6],
    operators: ['Gemm'],
  },
  'Gemm of transA, one bias for all': {
    x: [4, 3],
    dims: [4, 6],
    layer: layer('Gemm', int('transA', 1)),
    channel: (at) => at % 6,
    bias: [],
    operators: ['Gemm'],
  },
  'Gemm of beta 0': {
    x: [3, 4],
    dims: [4, 6],
    layer: layer('Gemm', float('beta', 0)),
    channel: (at) => at % 6,
    bias: [6],
    operators: ['Gemm'],
  },
  MatMul: {
    x: [3, 4],
    dims: [4, 6],
    layer: layer('MatMul'),
    channel: (at) => at % 6,
    rank: 2,
    operators: ['MatMul', 'Add'],
  },
  'MatMul and Add': {
    x: [3, 4],
    dims: [4, 6],
    layer: layer('MatMul'),
    channel: (at) => at % 6,
    add: [1, 6],
    rank: 2,
    operators: ['MatMul', 'Add'],
  },
  'Conv and Add': {
    x: [2, 4, 5, 5],
    dims: [6, 4, 3, 3],
    layer: layer('Conv'),
    channel: (at) => Math.floor(at / 36),
    bias: [6],
    add: [6, 1, 1],
    operators: ['Conv'],
  },
  'Gemm and Add of one number': {
    x: [3, 4],
    dims: [4, 6],
    layer: layer('Gemm'),
    channel: (at) => at % 6,
    add: [1],
    operators: ['Gemm'],
  },
}

describe.each(Object.entries(cases))('%s', (_, { x, dims, layer, channel, bias, add, rank, operators }) => {
  const channels = 6
  const tensors = vectors('', channels, 10)
  const weight = values(dims, 1)
  const own = bias && values([...bias, 1], 2)
  const added = add && values(add, 3)
  const nodes = layer(['X', 'W', ...(bias ? ['C'] : [])])
  const [{ attribute }] = nodes
  if (add) nodes.push(node('Add', ['H', 'A'], ['I']))
  nodes.push(norm(add ? 'I' : 'H', 'Y'))
  const initializers = [
    stored('W', weight, dims),
    ...(own && bias ? [stored('C', own, bias)] : []),
    ...(added && add ? [stored('A', added, add)] : []),
    ...tensors,
  ]
  const file = network(nodes, initializers, x)
  const model =
    rank === undefined
      ? file
      : changed(file, ({ output }) => {
          const dim = [{ dimParam: 'N' }, { dimParam: 'C' }]
          output[0].type = { tensorType: { elemType: 1, shape: { dim } } } as never
        })

  test('weights and biases are the exact ones, rounded once', async () => {
    const { model: after, folded, left } = await foldOnnx(model)
    expect({ folded, left, operators: operatorsOf(after) }).toEqual({
      folded: [{ name: 'Y', into: 'H' }],
      left: [],
      operators,
    })
    const nodesAfter = graphOf(after).node
    const [, weightName] = nodesAfter[0].input
    expect(numbersIn(after, weightName)).toEqual(
      weight.map((each, at) => Math.fround(each * affine(tensors, channel(at)).factor)),
    )
    const beta = attribute.find(({ name }) => name === 'beta')?.f ?? 1
    const pick = (list: number[] | undefined, c: number) => list?.[list.length === 1 ? 0 : c] ?? 0
    const expected = Array.from({ length: channels }, (_, c) => {
      const { factor, term } = affine(tensors, c)
      return Math.fround((beta * pick(own, c) + pick(added, c)) * factor + term)
    })
    const biasNames = [nodesAfter[0].input[2], nodesAfter.at(-1)?.input[1]]
    expect(numbersIn(after, (operators.length > 1 ? biasNames[1] : biasNames[0]) as string)).toEqual(expected)
    // Nothing of the batch norm is left.
    const names = graphOf(after).initializer.map(({ name }) => name)
    expect(names.filter((name) => normInputs('').includes(name))).toEqual([])
  })

  test.skipIf(!hasOnnxRuntime)('ONNX Runtime gives the same', async () => {
    const { largestError } = await foldOnnx(model, { ort: runtime, probe: normal(x, 5) })
    // At most 48 products and sums of numbers below 4, multiplied by a factor below 6.
    expect(largestError).toBeGreaterThan(0)
    expect(largestError).toBeLessThan(48 * 4 * 4 * 6 * 2 ** -24)
  })
})

const tensors = vectors('', 6, 10)
const weight = (name = 'W') => stored(name, values([6, 4, 3, 3], 1), [6, 4, 3, 3])
const conv = (input = ['X', 'W'], output = 'H') => node('Conv', input, [output])
const image = [2, 4, 5, 5]

describe('a batch norm stays, and the result says why:', () => {
  const training = norm('H', 'Y')
  training.output.push('m', 'v')
  training.attribute.push(int('training_mode', 1))
  const branch = {
    name: 'g',
    type: 5,
    g: { node: [node('Identity', ['H'], ['inner'])], output: [{ name: 'inner' }], initializer: [] },
  }
  const quantized = [
    stored('step', [0.1], []),
    { name: 'Q', dims: [6n, 4n, 3n, 3n], dataType: 3, int32Data: Array(216).fill(1) } as never,
  ]
  const matmul = [stored('M', values([6, 6], 1), [6, 6]), ...tensors]
  const huge = [
    { ...weight(), dataType: 10, floatData: [], int32Data: Array(216).fill(0x7bff) },
    ...vectors('', 6, 10),
  ]
  huge[1].floatData = Array(6).fill(60000)

  test.each<[string, Node[], TensorProto[], string[], RegExp]>([
    ['training', [conv(), training], [weight(), ...tensors], ['Y'], /^it normalizes with the batch$/],
    [
      'an output of the model',
      [conv(), norm('H', 'Y')],
      [weight(), ...tensors],
      ['Y', 'H'],
      /'H' is taken elsewhere too, or is an output/,
    ],
    [
      'two that take it',
      [conv(), node('Relu', ['H'], ['R']), norm('H', 'Y')],
      [weight(), ...tensors],
      ['Y', 'R'],
      /'H' is taken elsewhere too/,
    ],
    [
      'a graph inside that takes it',
      [conv(), node('If', ['on'], ['R'], [branch as never]), norm('H', 'Y')],
      [weight(), ...tensors],
      ['Y', 'R'],
      /'H' is taken elsewhere too/,
    ],
    [
      'another operator',
      [conv(), node('Relu', ['H'], ['R']), norm('R', 'Y')],
      [weight(), ...tensors],
      ['Y'],
      /^before it comes 'Relu', and not one of Conv/,
    ],
    [
      "another operator of Conv's name",
      [{ ...conv(), domain: 'com.example' }, norm('H', 'Y')],
      [weight(), ...tensors],
      ['Y'],
      /^before it comes 'Conv'/,
    ],
    [
      'the input of the model',
      [norm('X', 'Y')],
      vectors('', 4, 10),
      ['Y'],
      /^before it comes an input of the model/,
    ],
    [
      'a weight that is computed',
      [node('Sin', ['W'], ['S']), conv(['X', 'S']), norm('H', 'Y')],
      [weight(), ...tensors],
      ['Y'],
      /the weight of 'H' to be an initializer.*Sin of 'S' is not evaluated/,
    ],
    [
      'a quantized weight',
      [node('DequantizeLinear', ['Q', 'step'], ['S']), conv(['X', 'S']), norm('H', 'Y')],
      [...quantized, ...tensors],
      ['Y'],
      /DequantizeLinear/,
    ],
    [
      'a sum of two layers',
      [conv(), conv(['X', 'W'], 'G'), node('Add', ['H', 'G'], ['I']), norm('I', 'Y')],
      [weight(), ...tensors],
      ['Y'],
      /what is added to 'H' to be an initializer/,
    ],
    [
      'another sum a row',
      [conv(), node('Add', ['H', 'A'], ['I']), norm('I', 'Y')],
      [weight(), stored('A', [1, 2, 3], [3]), ...tensors],
      ['Y'],
      /what is added to 'H' is of shape \[3\], not one value a channel/,
    ],
    [
      'MatMul of axes that nobody says',
      [node('MatMul', ['X', 'M'], ['H']), norm('H', 'Y')],
      matmul,
      ['Y'],
      /the model does not say how many axes/,
    ],
    [
      'channels that do not fit',
      [conv(), norm('H', 'Y')],
      [weight(), ...vectors('', 4, 10)],
      ['Y'],
      /^it has 4 channels, and 'H' 6 outputs$/,
    ],
    ['weights beyond float16', [conv(), norm('H', 'Y')], huge, ['Y'], /would not be finite in their type/],
  ])('%s', async (_, nodes, initializers, outputs, why) => {
    const file = network(nodes, initializers, image, { outputs })
    const { model, folded, left } = await foldOnnx(file)
    expect({ folded, left }).toEqual({ folded: [], left: [{ name: 'Y', why: expect.stringMatching(why) }] })
    // Written anew, it is the same model.
    expect(decodeModel(model)).toEqual(decodeModel(file))
  })
})

describe('parameters that are stored in other ways are folded:', () => {
  const doubles = (tensor: TensorProto): TensorProto => ({
    ...tensor,
    dataType: 11,
    floatData: [],
    doubleData: tensor.floatData,
  })
  const halves = (tensor: TensorProto): TensorProto => ({
    ...tensor,
    dataType: 10,
    floatData: [],
    int32Data: tensor.floatData.map((value) => halfOfNumber(value, 'float16')),
  })
  const usual = [conv(), norm('H', 'Y')]
  const shared = [conv(), conv(['X', 'W'], 'G'), norm('H', 'Z'), norm('G', 'Y')]
  const constant = node('Constant', [], ['W'], [tensorAttribute('value', weight())])
  test.each<[string, Node[], TensorProto[], object, string[]]>([
    ['the weight in a Constant', [constant, ...usual], tensors, {}, ['H.bias', 'H.weight']],
    [
      'an Identity before the weight',
      [node('Identity', ['V'], ['W']), ...usual],
      [weight('V'), ...tensors],
      {},
      ['H.bias', 'H.weight'],
    ],
    [
      'a weight of two layers',
      shared,
      [weight(), ...tensors],
      { outputs: ['Y', 'Z'] },
      ['G.bias', 'H.bias', 'H.weight', 'W'],
    ],
    [
      'a name that is taken already',
      [...usual, node('Identity', ['Y'], ['H.bias'])],
      [weight(), ...tensors],
      { outputs: ['H.bias'] },
      ['H.bias_1', 'W'],
    ],
    [
      'two batch norms',
      [conv(), norm('H', 'I'), norm('I', 'Y')],
      [weight(), ...tensors],
      {},
      ['H.bias', 'W'],
    ],
    ['initializers that are inputs', usual, [weight(), ...tensors], { irVersion: 3 }, ['H.bias', 'W']],
    ['float16', usual, [weight(), ...tensors].map(halves), { elemType: 10 }, ['H.bias', 'W']],
    ['operator set 9', usual, [weight(), ...tensors], { opset: 9 }, ['H.bias', 'W']],
  ])('%s', async (_, nodes, initializers, options, names) => {
    const file = changed(
      network(nodes, initializers, image, options),
      ({ input, initializer }, _, { irVersion }) => {
        if (irVersion > 3) return
        for (const { name, dims, dataType: elemType } of initializer) {
          const shape = { dim: dims.map((dimValue) => ({ dimValue })) }
          input.push({ name, type: { tensorType: { elemType, shape } } } as never)
        }
      },
    )
    const given = graphOf(file)
    const { model, left } = await foldOnnx(file)
    const { initializer, input, output } = graphOf(model)
    expect(left).toEqual([])
    expect(operatorsOf(model).filter((opType) => opType === 'BatchNormalization')).toEqual([])
    expect(initializer.map(({ name }) => name).sort()).toEqual(names)
    expect(initializer.map(({ dataType }) => dataType)).toEqual(
      initializer.map(() => initializers[0].dataType),
    )
    expect(input.map(({ name }) => name).sort()).toEqual(
      given.input.length > 1 ? [...names, 'X'].sort() : ['X'],
    )
    expect(output).toEqual(given.output)
    if (!hasOnnxRuntime) return
    const x = normal(image, 5)
    const probe = initializers[0].dataType === 10 ? tensor(x.data, image, { dtype: 'float16' }) : x
    const { largestError } = await foldOnnx(file, { ort: runtime, probe })
    const roundoff = initializers[0].dataType === 10 ? 2 ** -11 : 2 ** -24
    expect(largestError).toBeLessThan(48 * 4 * 4 * 6 * roundoff)
  })

  test('in float64, exactly', async () => {
    const file = network(
      [node('Gemm', ['X', 'W'], ['H']), norm('H', 'Y')],
      [stored('W', values([4, 6], 1), [4, 6]), ...tensors].map(doubles),
      [3, 4],
      { elemType: 11 },
    )
    const { model } = await foldOnnx(file)
    const expected = values([4, 6], 1).map((each, at) => each * affine(tensors, at % 6).factor)
    expect(numbersIn(model, 'W')).toEqual(expected)
  })
})

test('what a file has beside the fields that are known stays: documentation, metadata', async () => {
  const text = Uint8Array.of(4, ...Buffer.from('kept'))
  const decoded = decodeModel(network([conv(), norm('H', 'Y')], [weight(), ...tensors], image))
  const places = ({ graph, ...model }: Model) => [
    model,
    graph,
    graph?.node[0],
    graph?.initializer[0],
    graph?.input[0],
  ]
  const unknown = [{ no: 1000, wireType: 2, data: text }]
  for (const place of places(decoded)) Object.assign(place as object, { $unknown: unknown })
  const file = encodeModel({ ...decoded, $unknown: unknown } as never)
  const { model } = await foldOnnx(file)
  expect(places(decodeModel(model))).toEqual(
    places(decoded).map(() => expect.objectContaining({ $unknown: unknown })),
  )
})

test.each<[string, () => Promise<unknown>, RegExp]>([
  ['no bytes', () => foldOnnx('model.onnx' as never), /Expected bytes to be a Uint8Array/],
  [
    'no batch norm',
    () => foldOnnx(network([conv()], [weight()], image)),
    /Expected model to be a model with a BatchNormalization/,
  ],
  [
    'external data',
    () => foldOnnx(network([conv(), norm('H', 'Y')], [{ ...weight(), dataLocation: 1 }, ...tensors], image)),
    /Expected W to lie in the file itself/,
  ],
  [
    'a probe alone',
    () =>
      foldOnnx(network([conv(), norm('H', 'Y')], [weight(), ...tensors], image), { probe: normal(image, 1) }),
    /Expected options that agree but received probe with no ort/,
  ],
  [
    'what is no ONNX Runtime',
    () =>
      foldOnnx(network([conv(), norm('H', 'Y')], [weight(), ...tensors], image), {
        ort: {} as never,
        probe: normal(image, 1),
      }),
    /Expected ort to be the package of ONNX Runtime/,
  ],
  [
    'an option of another name',
    () => foldOnnx(network([conv(), norm('H', 'Y')], [weight(), ...tensors], image), { Probe: 1 } as never),
    /did you mean probe/,
  ],
])('%s: an error', async (_, call, message) => {
  await expect(call()).rejects.toThrow(message)
})
