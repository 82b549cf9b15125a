/** Vectors of an .onnx file that lie behind other names, types and shapes: read, where the model carries them with it. */
import { describe, expect, test } from 'vitest'
import { BatchNorm1d } from '../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'
import type { Graph, Node, SparseTensorProto, TensorProto, ValueInfo } from '../lib/interop/onnx/messages.ts'
import { changed, float, floats, int, integers, ints, node, stored, tensorAttribute } from './support/onnx.ts'

const scale = [1.5, -2, 0.25]

/** A batch norm whose scale is what these nodes make; `values` and what is given are initializers. */
function fileOf(
  nodes: Node[],
  initializers: TensorProto[] = [],
  more: (graph: Graph) => void = () => undefined,
) {
  return changed(toOnnx(new BatchNorm1d(3)), (graph) => {
    graph.initializer[0] = stored('values', scale)
    graph.initializer.push(...initializers)
    graph.node.unshift(...nodes)
    more(graph)
  })
}

const scaleOf = (file: Uint8Array) => Array.from(fromOnnx(file).module.weight?.data ?? [])

/** A chain of nodes of one input each, from `values` to `scale`. */
function chain(...operations: [opType: string, ...more: Node['attribute']][]): Node[] {
  return operations.map(([opType, ...attribute], index) => {
    const output = index === operations.length - 1 ? 'scale' : `step ${index + 1}`
    return node(opType, [index === 0 ? 'values' : `step ${index}`], [output], attribute)
  })
}

/** A node, and an Identity between it and the batch norm. */
function between(opType: string, input: string[], attribute: Node['attribute'] = []): Node[] {
  return [node(opType, input, ['made'], attribute), node('Identity', ['made'], ['scale'])]
}

describe('what the model carries with it is read:', () => {
  test.each<[string, Node[], TensorProto[]]>([
    ['Identity', chain(['Identity']), []],
    ['Identity of Identity', chain(['Identity'], ['Identity'], ['Identity']), []],
    ['nodes in any order', chain(['Identity'], ['Identity']).reverse(), []],
    ['an Identity of ai.onnx', [{ ...chain(['Identity'])[0], domain: 'ai.onnx' }], []],
    ['value', [node('Constant', [], ['scale'], [tensorAttribute('value', stored('', scale))])], []],
    ['value_floats', [node('Constant', [], ['scale'], [floats('value_floats', scale)])], []],
    ['Cast to FLOAT16 and back', chain(['Cast', int('to', 10)], ['Cast', int('to', 1)]), []],
    ['Reshape of a matrix', [node('Reshape', ['column', 'shape'], ['scale'])], [integers('shape', [3])]],
    ['Reshape with -1', [node('Reshape', ['column', 'shape'], ['scale'])], [integers('shape', [-1])]],
    ['Reshape with 0', [node('Reshape', ['column', 'shape'], ['scale'])], [integers('shape', [0])]],
    [
      'Reshape whose shape is a Constant behind an Identity',
      [
        node('Constant', [], ['constant'], [ints('value_ints', [-1])]),
        node('Identity', ['constant'], ['shape']),
        node('Reshape', ['column', 'shape'], ['scale']),
      ],
      [],
    ],
    ['Squeeze', [node('Squeeze', ['column'], ['scale'])], []],
    ['Squeeze of an axis', [node('Squeeze', ['column'], ['scale'], [ints('axes', [1])])], []],
    [
      'Squeeze of an axis, as an input',
      [node('Squeeze', ['column', 'axes'], ['scale'])],
      [integers('axes', [-1])],
    ],
    ['Squeeze of an input that is left out', [node('Squeeze', ['column', ''], ['scale'])], []],
    [
      'Unsqueeze, Transpose, Flatten and Squeeze',
      chain(
        ['Unsqueeze', ints('axes', [0, -1])],
        ['Transpose', ints('perm', [1, 2, 0])],
        ['Flatten', int('axis', 1)],
        ['Squeeze'],
      ),
      [],
    ],
    ['Transpose of a vector', chain(['Transpose']), []],
    [
      'Transpose of a matrix of one column',
      [node('Transpose', ['column'], ['row'], [ints('perm', [1, 0])]), node('Squeeze', ['row'], ['scale'])],
      [],
    ],
    ['Expand to its own shape', [node('Expand', ['values', 'shape'], ['scale'])], [integers('shape', [3])]],
    [
      'Expand to more axes, and Flatten to fewer',
      [
        node('Expand', ['values', 'shape'], ['wide']),
        node('Flatten', ['wide'], ['flat'], [int('axis', -1)]),
        node('Squeeze', ['flat'], ['scale']),
      ],
      [integers('shape', [1, 1, 3])],
    ],
  ])('%s', (_, nodes, initializers) => {
    expect(scaleOf(fileOf(nodes, [stored('column', scale, [3, 1]), ...initializers]))).toEqual(scale)
  })

  const two = stored('', [2], [1])
  test.each<[string, Node[], number[]]>([
    [
      'value_float, repeated',
      [node('Constant', [], ['one'], [float('value_float', 2)]), node('Expand', ['one', 'shape'], ['scale'])],
      [2, 2, 2],
    ],
    [
      'ConstantOfShape',
      [node('ConstantOfShape', ['shape'], ['scale'], [tensorAttribute('value', two)])],
      [2, 2, 2],
    ],
    ['ConstantOfShape of nothing', [node('ConstantOfShape', ['shape'], ['scale'])], [0, 0, 0]],
    [
      'value_ints, cast',
      [
        node('Constant', [], ['integers'], [ints('value_ints', [1, -2, 3])]),
        node('Cast', ['integers'], ['scale'], [int('to', 1)]),
      ],
      [1, -2, 3],
    ],
    [
      'value_int, repeated and cast',
      [
        node('Constant', [], ['integer'], [int('value_int', -7)]),
        node('Expand', ['integer', 'shape'], ['integers']),
        node('Cast', ['integers'], ['scale'], [int('to', 1)]),
      ],
      [-7, -7, -7],
    ],
  ])('%s', (_, nodes, expected) => {
    expect(scaleOf(fileOf(nodes, [integers('shape', [3])]))).toEqual(expected)
  })

  // 0.1 is 0x1.99999ap-4 in float32, 0x1.998p-4 in float16 and 0x1.9ap-4 in bfloat16.
  test.each([
    ['DOUBLE', 11, [Math.fround(0.1), 1e-40, 70000]],
    ['FLOAT16', 10, [0x1998 / 0x10000, 0, Number.POSITIVE_INFINITY]],
    ['BFLOAT16', 16, [0x19a / 0x1000, 2 ** -133, 70144]],
  ])('Cast to %s rounds to nearest', (_, to, expected) => {
    const file = fileOf(
      [node('Cast', ['small'], ['scale'], [int('to', to)])],
      [stored('small', [0.1, 1e-40, 70000])],
    )
    expect(scaleOf(file)).toEqual(expected.map(Math.fround))
  })

  test('a node that is DOUBLE by a Cast of all four becomes a float64 module', () => {
    const names = ['scale', 'B', 'input_mean', 'input_var']
    const file = changed(toOnnx(new BatchNorm1d(3)), (graph, batchNorm) => {
      batchNorm.input = ['X', ...names.map((name) => `wide ${name}`)]
      graph.node.push(...names.map((name) => node('Cast', [name], [`wide ${name}`], [int('to', 11)])))
      Object.assign(graph, { input: [], output: [] })
    })
    expect(fromOnnx(file, { rank: 2 }).module.dtype).toBe('float64')
  })

  test.each([[[3]], [[3, 1]]])('a sparse tensor whose indices have the shape %j', (shape) => {
    const indices = { ...integers('', [1]), dims: shape.map(BigInt).with(0, 1n) }
    const sparse: SparseTensorProto = { dims: [3n], values: stored('scale', [-2]), indices }
    expect(scaleOf(fileOf([], [], (graph) => graph.sparseInitializer.push(sparse)))).toEqual([0, -2, 0])
    const attribute = { name: 'sparse_value', type: 11, sparseTensor: sparse } as Node['attribute'][number]
    expect(scaleOf(fileOf([node('Constant', [], ['scale'], [attribute])]))).toEqual([0, -2, 0])
  })

  test('an initializer that is an input of the model too, as its default', () => {
    const file = fileOf(chain(['Identity']), [], (graph) => graph.input.push({ name: 'values' } as ValueInfo))
    expect(scaleOf(file)).toEqual(scale)
  })

  test('a chain of 50,000 nodes', () => {
    expect(
      scaleOf(fileOf(chain(...Array.from({ length: 50_000 }, (): ['Identity'] => ['Identity'])))),
    ).toEqual(scale)
  })

  test('one initializer for several vectors of several batch norms', () => {
    const file = changed(toOnnx(new BatchNorm1d(3)), (graph) => {
      const [ones, zeros] = [stored('ones', [1, 1, 1]), stored('zeros', [0, 0, 0])]
      graph.initializer = [ones, zeros]
      graph.node.unshift(
        ...['scale', 'input_var'].map((name) => node('Identity', ['ones'], [name])),
        ...['B', 'input_mean'].map((name) => node('Identity', ['zeros'], [name])),
        node('BatchNormalization', ['X', 'scale', 'zeros', 'B', 'input_var'], ['first']),
      )
    })
    expect(findOnnxBatchNorms(file).map(({ name }) => name)).toEqual(['first', 'batchnorm'])
    for (const name of ['first', 'batchnorm']) {
      const { module } = fromOnnx(file, { node: name, rank: 2 })
      expect(module.stateDict()).toEqual(new BatchNorm1d(3).stateDict())
    }
  })
})

describe('what is not, is an error that names operation and tensor:', () => {
  const huge = integers('shape', [2 ** 40])
  test.each<[string, Node[], TensorProto[], string]>([
    [
      'computed at run time',
      between('Mul', ['X', 'values']),
      [],
      "Mul computes 'made' at run time, from 'X'",
    ],
    [
      'computed from what is computed',
      [node('ReduceMean', ['X'], ['mean']), ...between('Cast', ['mean'], [int('to', 1)])],
      [],
      "ReduceMean computes 'mean' at run time, from 'X'",
    ],
    [
      'an input of the model',
      between('Identity', ['X']),
      [],
      "'X' is an input of the model, given at run time",
    ],
    [
      'computed from constants',
      between('Add', ['values', 'values']),
      [],
      "Add of 'made' is not evaluated here: fold the model's constants first",
    ],
    [
      'an operation of another domain',
      [{ ...node('Identity', ['values'], ['scale']), domain: 'mine' }],
      [],
      "Identity of 'scale' is not evaluated here",
    ],
    [
      'a circle',
      [node('Identity', ['scale'], ['other']), node('Identity', ['other'], ['scale'])],
      [],
      "'scale' is computed from itself: is the file damaged?",
    ],
    [
      'a node that is its own input',
      [node('Identity', ['scale'], ['scale'])],
      [],
      "'scale' is computed from itself",
    ],
    ['nothing', [], [], "nothing in the model gives 'scale': is the file damaged?"],
    ['a Constant without numbers', [node('Constant', [], ['scale'])], [], 'its Constant holds no numbers'],
    [
      'an input that is left out',
      between('Reshape', ['values']),
      [],
      'Reshape lacks an input: is the file damaged?',
    ],
    ['a Cast to text', between('Cast', ['values'], [int('to', 8)]), [], 'Cast to data_type 8'],
    [
      'another size',
      between('Reshape', ['values', 'shape']),
      [integers('shape', [2, 2])],
      'cannot make [2, 2] of [3]',
    ],
    [
      'a size of -3',
      between('Reshape', ['values', 'shape']),
      [integers('shape', [-3])],
      'cannot make [-3] of [3]',
    ],
    [
      'moved values',
      between('Transpose', ['matrix']),
      [stored('matrix', [1, 2, 3, 4, 5, 6], [3, 2])],
      'Transpose of [3, 2] moves its values',
    ],
    [
      'an axis that is not there',
      between('Transpose', ['values'], [ints('perm', [1])]),
      [],
      'Transpose cannot make [NaN] of [3]',
    ],
    [
      'repeated vectors',
      between('Expand', ['values', 'shape']),
      [integers('shape', [2, 3])],
      'cannot make [2, 3] of [3]',
    ],
    [
      'more values than memory holds',
      between('ConstantOfShape', ['shape']),
      [huge],
      'ConstantOfShape of 1 values to',
    ],
  ])('%s', (_, nodes, initializers, why) => {
    const call = () => fromOnnx(fileOf(nodes, initializers))
    expect(call).toThrow(
      /^Expected scale of batchnorm to be an initializer or a constant but received 'scale' \(/,
    )
    expect(call).toThrow(why)
  })

  test.each<[string, Partial<SparseTensorProto>, RegExp]>([
    [
      'of two axes',
      { dims: [3n, 1n] },
      /scale of batchnorm of shape \[C\], .* as it is sparse, but received \[3, 1\]/,
    ],
    ['without indices', { indices: undefined }, /scale of batchnorm of shape \[C\], with values and indices/],
    ['that is too large', { dims: [2n ** 40n] }, /of shape \[C\], C up to 16777216, but received/],
    [
      'of another count',
      { indices: integers('', [1, 2]) },
      /indices of scale of batchnorm to be 1 integers from 0 to 2/,
    ],
    [
      'with an index outside',
      { indices: integers('', [3]) },
      /to be 1 integers from 0 to 2 but received \[3\]/,
    ],
  ])('a sparse tensor %s', (_, change, message) => {
    const sparse = { dims: [3n], values: stored('scale', [5]), indices: integers('', [1]), ...change }
    const file = fileOf([], [], (graph) => graph.sparseInitializer.push(sparse as SparseTensorProto))
    expect(() => fromOnnx(file)).toThrow(message)
  })

  test.each<[string, (node: Node) => unknown]>([
    ['left out', (each) => each.input.pop()],
    ['empty', (each) => each.input.splice(4, 1, '')],
  ])('an input that is %s', (_, change) => {
    const file = changed(toOnnx(new BatchNorm1d(3)), (_graph, each) => change(each))
    expect(() => fromOnnx(file)).toThrow(
      /input_var of batchnorm to be an initializer or a constant .*\(a batch norm has five inputs\)/,
    )
  })
})
