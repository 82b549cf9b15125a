/** Running statistics of .onnx files, anew: those of the formula in float64, and of `recalibrate`. */
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type FloatTensorLike,
  recalibrate,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { type OnnxFeeds, recalibrateOnnx, toOnnx, toOrt } from '../lib/interop/onnx/index.ts'
import type { Graph, Node, TensorProto } from '../lib/interop/onnx/messages.ts'
import { decodeModel } from '../lib/interop/onnx/schema.ts'
import { storedConstant } from '../lib/interop/onnx/stored-tensor.ts'
import { halfOfNumber } from '../lib/tensor/half.ts'
import { exactStatistics } from './support/exact.ts'
import { normal, normal64 } from './support/module.ts'
import { changed, float, int, network, node, stored, tensorAttribute } from './support/onnx.ts'
import { hasOnnxRuntime, runtime } from './support/onnxruntime.ts'

const graphOf = (file: Uint8Array) => decodeModel(file).graph as Graph

const scale = [1.5, -2, 0.5]
const B = [0.5, 0.25, -1]
const eps = 2 ** -10
/** A batch norm with initializers of its own, whose statistics are the initial ones. */
function norm(input: string, output: string, attribute = [float('epsilon', eps)]): [Node, TensorProto[]] {
  const vectors = { scale, B, mean: [0, 0, 0], variance: [1, 1, 1] }
  const names = Object.keys(vectors).map((name) => `${output}.${name}`)
  const tensors = Object.values(vectors).map((values, index) => stored(names[index], values))
  return [node('BatchNormalization', [input, ...names], [output], attribute), tensors]
}

/** X, batch norm, Relu, batch norm. */
const [first, second] = [norm('X', 'A'), norm('R', 'Y')]
const nodes = [first[0], node('Relu', ['A'], ['R']), second[0]]
const tensors = [...first[1], ...second[1]]
const deep = (options = {}) => network(nodes, tensors, ['N', 3, 'H', 'W'], options)

const batches = [normal([4, 3, 4, 5], 1), normal([2, 3, 4, 5], 2), normal([3, 3, 2, 2], 3)]
batches[1].data.forEach((value, at, data) => {
  data[at] = 3 * value + 1
})

/** Batches of [N, 3, H, W] as one, [positions, 3], in float64. */
function joined(parts: { data: ArrayLike<number>; shape: readonly number[] }[]): Float64Array {
  const rows = parts.flatMap(({ data, shape: [samples, channels, ...positions] }) => {
    const inner = positions.reduce((count, size) => count * size, 1)
    return Array.from({ length: samples * inner }, (_, row) => {
      const at = (c: number) => (Math.floor(row / inner) * channels + c) * inner + (row % inner)
      return Array.from({ length: channels }, (_, c) => data[at(c)])
    })
  })
  return Float64Array.from(rows.flat())
}

function statisticsOf(rows: Float64Array) {
  const outer = rows.length / 3
  const { mean, variance } = exactStatistics(rows, { outer, channels: 3, inner: 1 }, 0)
  return { mean, variance, unbiased: variance.map((value) => (value * outer) / (outer - 1)), count: outer }
}

/** What the batch norm and Relu make of rows, in float64. */
function activated(rows: Float64Array, { mean, variance }: { mean: Float64Array; variance: Float64Array }) {
  return rows.map((value, at) => {
    const c = at % 3
    return Math.max(0, ((value - mean[c]) / Math.sqrt(variance[c] + eps)) * scale[c] + B[c])
  })
}

describe.skipIf(!hasOnnxRuntime)('ONNX Runtime runs the model:', () => {
  const recalibrated = (file: Uint8Array, given: Iterable<OnnxFeeds> = batches, options = {}) =>
    recalibrateOnnx(file, runtime, given, options)

  const places = [
    { Module: BatchNorm1d, rank: 2, shape: [12, 5] },
    { Module: BatchNorm1d, rank: 3, shape: [4, 5, 7] },
    { Module: BatchNorm2d, rank: 4, shape: [2, 5, 4, 3] },
    { Module: BatchNorm3d, rank: 5, shape: [2, 5, 2, 2, 3] },
  ]
  test.each(
    places.flatMap((place) => (['float32', 'float64'] as const).map((dtype) => ({ ...place, dtype }))),
  )(
    'one batch norm of $rank axes of $dtype is what recalibrate makes of the module, to the byte',
    async ({ Module, rank, shape, dtype }) => {
      const make = dtype === 'float64' ? normal64 : normal
      const module = new Module(5, { dtype }).eval()
      const file = toOnnx(module, { rank })
      const given = [make(shape, 1), make([3, ...shape.slice(1)], 2), make([0, ...shape.slice(1)], 3)]
      await recalibrate(module, given as Tensor[])
      const { model, nodes, notes } = await recalibrated(file, given)
      expect(model).toEqual(toOnnx(module, { rank }))
      expect(notes).toEqual([])
      expect(nodes).toEqual([
        {
          name: 'batchnorm',
          before: { mean: new Float64Array(5), variance: new Float64Array(5).fill(1) },
          after: {
            mean: Float64Array.from(module.runningMean?.data ?? []),
            variance: Float64Array.from(module.runningVar?.data ?? []),
          },
          count: (given[0].data.length + given[1].data.length) / 5,
          initializers: { mean: 'input_mean', variance: 'input_var' },
        },
      ])
    },
  )

  const operatorSets = [7, 8, 9, 13, 14, 15, 17, 18, 21]
  test.each(operatorSets)(
    "operator set %i: a deeper one sees what its batch's statistics make",
    async (opset) => {
      const { nodes } = await recalibrated(deep({ opset }))
      const [one, two] = nodes
      const expected = statisticsOf(joined(batches))
      const inputs = batches.map((batch) => {
        const rows = joined([batch])
        return activated(rows, statisticsOf(rows))
      })
      const deeper = statisticsOf(Float64Array.from(inputs.flatMap((rows) => [...rows])))
      expect([one.count, two.count]).toEqual([expected.count, expected.count])
      expected.mean.forEach((mean, c) => {
        expect(one.after.mean[c]).toBe(Math.fround(mean))
        expect(one.after.variance[c] / expected.unbiased[c]).toBeCloseTo(1, 7)
        // Its inputs were computed in float32.
        expect(two.after.mean[c]).toBeCloseTo(deeper.mean[c], 5)
        expect(two.after.variance[c] / deeper.unbiased[c]).toBeCloseTo(1, 5)
      })
    },
  )

  test("normalizeWith: 'running': it sees what the model that comes out makes", async () => {
    const { nodes, model } = await recalibrated(deep(), batches, { normalizeWith: 'running' })
    const [one, two] = nodes
    const rows = joined(batches)
    const deeper = statisticsOf(activated(rows, one.after))
    deeper.mean.forEach((mean, c) => {
      expect(one.after.mean[c]).toBe(Math.fround(statisticsOf(rows).mean[c]))
      expect(two.after.mean[c]).toBeCloseTo(mean, 5)
      expect(two.after.variance[c] / deeper.unbiased[c]).toBeCloseTo(1, 5)
    })
    // So a second time changes nothing.
    expect((await recalibrated(model, batches, { normalizeWith: 'running' })).model).toEqual(model)
  })

  test('several batch norms are as modules that one recalibrate has', async () => {
    const modules = [new BatchNorm2d(3, { eps }), new BatchNorm2d(3, { eps })]
    for (const module of modules) {
      module.weight?.data.set(scale)
      module.bias?.data.set(B)
    }
    await recalibrate(modules, batches, (batch) => {
      const { data, shape } = modules[0].forward(batch)
      modules[1].forward(
        tensor(
          data.map((value) => Math.max(0, value)),
          shape,
        ),
      )
    })
    const { nodes } = await recalibrated(deep())
    modules.forEach(({ runningMean, runningVar }, index) => {
      for (let c = 0; c < 3; c++) {
        expect(nodes[index].after.mean[c]).toBeCloseTo(runningMean?.data[c] as number, 5)
        expect(nodes[index].after.variance[c]).toBeCloseTo(runningVar?.data[c] as number, 5)
      }
    })
  })

  const [{ input }] = nodes
  const one = (before: Node[], more: TensorProto[], options = {}) =>
    network(
      [...before, norm('X', 'Y')[0]],
      [...norm('X', 'Y')[1].slice(0, 2), ...more],
      ['N', 3, 'H', 'W'],
      options,
    )
  const [mean, variance] = [stored('Y.mean', [0, 0, 0]), stored('Y.variance', [1, 1, 1])]
  const raw = { ...mean, floatData: [], rawData: new Uint8Array(12) }
  const halves = (values: number[]) => values.map((value) => halfOfNumber(value, 'float16'))
  const float16 = (tensor: TensorProto) => ({
    ...tensor,
    dataType: 10,
    int32Data: halves(tensor.floatData),
    floatData: [],
  })
  test.each<[string, Uint8Array, string[]]>([
    ['float_data', one([], [mean, variance]), ['Y.mean', 'Y.variance']],
    ['raw_data', one([], [raw, variance]), ['Y.mean', 'Y.variance']],
    [
      'a Constant',
      one([node('Constant', [], ['Y.mean'], [tensorAttribute('value', mean)])], [variance]),
      ['Y.running_mean', 'Y.variance'],
    ],
    [
      'an Identity',
      one([node('Identity', ['m'], ['Y.mean'])], [stored('m', [0, 0, 0]), variance]),
      ['Y.running_mean', 'Y.variance'],
    ],
    [
      'ConstantOfShape',
      one(
        [node('ConstantOfShape', ['n'], ['Y.mean'])],
        [{ ...stored('n', [], [1]), dataType: 7, int64Data: [3n] }, variance],
      ),
      ['Y.running_mean', 'Y.variance'],
    ],
    ['FLOAT16 of operator set 15', one([], [mean, variance].map(float16)), ['Y.mean', 'Y.variance']],
    [
      'an initializer that is an input',
      changed(one([], [mean, variance], { irVersion: 3 }), ({ input, initializer }) => {
        for (const { name } of initializer)
          input.push({
            name,
            type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 3n }] } } },
          } as never)
      }),
      ['Y.mean', 'Y.variance'],
    ],
  ])('statistics in %s are written', async (_, file, names) => {
    const { model, nodes } = await recalibrated(file)
    const { initializer, node: left } = graphOf(model)
    const expected = statisticsOf(joined(batches))
    const half = initializer.some(({ dataType }) => dataType === 10)
    const round = (value: number) =>
      half ? tensor([value], [1], { dtype: 'float16' }).numbers()[0] : Math.fround(value)
    expect(Object.values(nodes[0].initializers)).toEqual(names)
    const written = names.map((name) =>
      storedConstant(name, initializer.find((each) => each.name === name) as TensorProto),
    )
    expect([...written[0].values]).toEqual(Array.from(expected.mean, round))
    for (const [c, value] of written[1].values.entries()) {
      expect(value / expected.unbiased[c]).toBeCloseTo(1, half ? 3 : 7)
    }
    // What made the old ones is gone, and nothing came beside.
    expect(left.map(({ opType }) => opType)).toEqual(['BatchNormalization'])
    expect(initializer.map(({ name }) => name).sort()).toEqual(['Y.scale', 'Y.B', ...names].sort())
    expect(graphOf(model).input).toEqual(graphOf(file).input)
  })

  test('nodes that share their statistics have each its own afterwards', async () => {
    const file = changed(deep(), ({ node: [one, , two], initializer }) => {
      two.input = ['R', ...one.input.slice(1)]
      initializer.splice(4)
    })
    const { nodes, model } = await recalibrated(file)
    expect(nodes.map(({ initializers }) => initializers)).toEqual([
      { mean: 'A.running_mean', variance: 'A.running_var' },
      { mean: input[3], variance: input[4] },
    ])
    const apart = (await recalibrated(deep())).nodes.map(({ after }) => after)
    expect(nodes.map(({ after }) => after)).toEqual(apart)
    expect((await recalibrated(model)).model).toEqual(model)
  })

  test('batches are tensors of ONNX Runtime, ours, views, or objects of them, and may come one by one', async () => {
    // What goes into it is not computed, in which the place of an array in memory may change the last bit.
    const file = one([], [mean, variance])
    const expected = (await recalibrated(file)).model
    const theirs = batches.map((batch) => toOrt(batch, runtime))
    async function* oneByOne() {
      for (const X of batches) yield { X }
    }
    const views = batches.map(({ data, shape }) => {
      const padded = new Float32Array([0, 0, ...data])
      return { data: padded, shape, offset: 2 } as FloatTensorLike
    })
    expect((await recalibrated(file, theirs)).model).toEqual(expected)
    expect((await recalibrated(file, views)).model).toEqual(expected)
    expect((await recalibrateOnnx(file, runtime, oneByOne())).model).toEqual(expected)
  })

  test('a training node is recalibrated too; one in a graph inside is not, and a note says so', async () => {
    const training = [float('epsilon', eps), int('training_mode', 1)]
    const [inTraining, own] = norm('X', 'Y', training)
    inTraining.output.push('m', 'v')
    const graph = { node: [norm('X', 'Z')[0]], output: [{ name: 'Z' }], initializer: norm('X', 'Z')[1] }
    const inside = { name: 'then_branch', type: 5, g: graph }
    const orElse = { name: 'else_branch', type: 5, g: { ...graph, node: [node('Identity', ['X'], ['Z'])] } }
    const file = network(
      [inTraining, node('If', ['on'], ['W'], [inside, orElse] as never)],
      [...own, { ...stored('on', [], []), dataType: 9, int32Data: [1] }],
      ['N', 3, 'H', 'W'],
      { outputs: ['Y', 'W'] },
    )
    const { nodes, notes } = await recalibrated(file)
    expect([...nodes[0].after.mean]).toEqual(Array.from(statisticsOf(joined(batches)).mean, Math.fround))
    expect(notes).toEqual([expect.stringContaining('inside of If, Loop, Scan and functions')])
  })

  test('one value a channel tells deeper ones nothing, and a note says so', async () => {
    const rows = [normal([1, 3, 1, 1], 1), normal([1, 3, 1, 1], 2)]
    const { notes, nodes } = await recalibrated(deep(), rows, { normalizeWith: 'running' })
    expect([notes, nodes[1].count]).toEqual([[], 2])
    const batch = await recalibrated(deep(), rows)
    expect(batch.notes).toEqual([expect.stringMatching(/^2 batches have one value a channel at 'A'/)])
  })

  const infinite = [tensor(Float32Array.of(1, Infinity, 3, 4, 5, 6), [2, 3, 1, 1])]
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no batches', () => recalibrated(deep(), []), /at least 2 values a channel for 'A' but received 0/],
    ['one value a channel', () => recalibrated(deep(), [normal([1, 3, 1, 1], 1)]), /but received 1/],
    [
      'Infinity',
      () => recalibrated(deep(), infinite),
      /finite means that fit the type of 'A' but received others in channels \[1\]/,
    ],
    [
      'float16 that overflows',
      () =>
        recalibrated(one([], [mean, variance].map(float16)), [tensor([1e5, 0, 0, 1e5, 0, 0], [2, 3, 1, 1])]),
      /fit the type of 'Y'/,
    ],
    [
      'a number',
      () => recalibrated(deep(), [1 as never]),
      /Expected a batch to be an object of tensors for X/,
    ],
    [
      'an object without X',
      () => recalibrated(deep(), [{ Z: batches[0] }]),
      /tensors for X, the inputs of the model/,
    ],
    ['other channels', () => recalibrated(deep(), [normal([2, 4, 2, 2], 1)]), /./],
    [
      'what comes once, for two passes',
      () => recalibrated(deep(), batches.values(), { normalizeWith: 'running' }),
      /what can be gone through 2 times/,
    ],
    [
      'a word that is none',
      () => recalibrated(deep(), batches, { normalizeWith: 'none' }),
      /one of batch, running/,
    ],
    ['no iterable', () => recalibrated(deep(), batches[0] as never), /Expected batches to be an iterable/],
    [
      'external data elsewhere',
      () =>
        recalibrated(
          changed(deep(), ({ initializer }) => {
            initializer[0].dataLocation = 1
          }),
        ),
      /Expected A.scale to lie in the file itself/,
    ],
    [
      'statistics that are computed',
      () => recalibrated(one([node('Sin', ['m'], ['Y.mean'])], [stored('m', [0, 0, 0]), variance])),
      /input_mean of Y to be an initializer/,
    ],
    [
      'nodes that are not sorted',
      () =>
        recalibrated(
          changed(deep(), ({ node }) => {
            node.reverse()
          }),
          batches,
          { normalizeWith: 'running' },
        ),
      /topological order/,
    ],
    ['no package', () => recalibrateOnnx(deep(), {} as never, batches), /Expected ort to be the package/],
  ])('%s: an error, and the bytes that were given stay', async (_, call, message) => {
    await expect(call()).rejects.toThrow(message)
  })
})
