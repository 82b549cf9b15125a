/** Which batch norm of an .onnx file is meant: by name, by output, and not inside of what the graph runs. */
import { describe, expect, test } from 'vitest'
import { BatchNorm1d } from '../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'
import type { Graph, Node } from '../lib/interop/onnx/messages.ts'
import { changed, float, node } from './support/onnx.ts'

/** A file with these nodes, which all take the same initializers. */
function fileOf(nodes: Node[]): Uint8Array {
  return changed(toOnnx(new BatchNorm1d(3)), (graph) => {
    graph.node = nodes
  })
}

describe('a batch norm is chosen', () => {
  const batchNorm = (name: string, output: string) => ({
    ...node('BatchNormalization', ['X', 'scale', 'B', 'input_mean', 'input_var'], [output]),
    name,
  })

  test.each<[string, Node[], string[]]>([
    ['its name', [batchNorm('a', 'x'), batchNorm('b', 'y')], ['a', 'b']],
    ['its output, where it has no name', [batchNorm('', 'x'), batchNorm('', 'y')], ['x', 'y']],
    [
      'its output, where another has its name',
      [batchNorm('a', 'x'), batchNorm('a', 'y'), batchNorm('b', 'z')],
      ['x', 'y', 'b'],
    ],
    [
      'its output, where its name is the output of another',
      [batchNorm('', 'a'), batchNorm('a', 'y')],
      ['a', 'y'],
    ],
    ['its name, where that is its output too', [batchNorm('a', 'a'), batchNorm('b', 'y')], ['a', 'b']],
  ])('by %s', (_, nodes, names) => {
    const distinct = nodes.map((each, index) => ({ ...each, attribute: [float('epsilon', 2 ** -index)] }))
    const file = fileOf(distinct)
    expect(findOnnxBatchNorms(file).map(({ name }) => name)).toEqual(names)
    for (const [index, name] of names.entries()) {
      for (const chosen of [name, nodes[index].output[0]]) {
        expect(fromOnnx(file, { node: chosen, rank: 2 }).module.eps).toBe(2 ** -index)
      }
    }
  })

  test('not by a name that two have, and the error says how', () => {
    const file = fileOf([batchNorm('a', 'x'), batchNorm('a', 'y')])
    expect(() => fromOnnx(file, { node: 'a' })).toThrow(
      /name of one .* received 'a' \(the model has \['x', 'y'\]\)/,
    )
  })

  const inner = { node: [batchNorm('inside', 'y')] } as Graph
  const running = (opType: string, g: Graph) =>
    node(opType, ['c'], ['o'], [{ name: 'body', type: 5, g } as Node['attribute'][number]])
  test.each<[string, Parameters<typeof changed>[1]]>([
    ['If', (graph) => graph.node.push(running('If', inner))],
    [
      'a Loop in an If',
      (graph) => graph.node.push(running('If', { node: [running('Loop', inner)] } as Graph)),
    ],
    ['a function', (_graph, _node, model) => model.functions.push({ node: inner.node })],
  ])('not inside of %s, as the error says', (_, put) => {
    const hint = /those inside of If, Loop, Scan and functions are not looked for/
    const beside = changed(toOnnx(new BatchNorm1d(3)), put)
    expect(findOnnxBatchNorms(beside)).toEqual([{ name: 'batchnorm', rank: 2 }])
    expect(() => fromOnnx(beside, { node: 'inside' })).toThrow(hint)
    const alone = changed(beside, (graph) => graph.node.shift())
    expect(() => fromOnnx(alone)).toThrow(hint)
  })
})
