/** The nodes of a model that are batch norms. */
import { describe, invalidType, invalidValue } from '../../checks/errors.ts'
import type { Graph, Node, TensorType, ValueInfo } from './messages.ts'
import { decodeModel } from './schema.ts'

/** A node `BatchNormalization` of an .onnx file. */
export interface OnnxBatchNorm {
  /** The node's name, or that of its output where it has none. */
  readonly name: string
  /** How many axes its input has; `null` where the file does not say. */
  readonly rank: number | null
}

export interface FoundNode extends OnnxBatchNorm {
  readonly node: Node
  readonly graph: Graph
  /** The version of ONNX's operators. */
  readonly opset: number
  /** That of its input, one of `dataTypes`; `null` where the file does not say. */
  readonly elementType: number | null
}

/**
 * The batch norms of a model, in the order of its graph; not those inside of `If`, `Loop` and `Scan`.
 *
 * @throws TypeError or RangeError for bytes that are no ONNX model
 */
export function findOnnxBatchNorms(bytes: Uint8Array): OnnxBatchNorm[] {
  return foundNodes(bytes).map(({ name, rank }) => ({ name, rank }))
}

function foundNodes(bytes: Uint8Array): FoundNode[] {
  const { graph, opsetImport } = decodeModel(bytes)
  if (graph === undefined) throw invalidType('bytes', 'an ONNX model with a graph', bytes)
  const nodes = graph.node.filter(({ opType, domain }) => opType === 'BatchNormalization' && isOwn(domain))
  if (nodes.length === 0) return []
  const opset = opsetImport.find(({ domain }) => isOwn(domain))
  if (opset === undefined) throw invalidType('opset_import', "with a version of ONNX's operators", undefined)
  const infos = [...graph.input, ...graph.output, ...graph.valueInfo]
  return nodes.map((node) => {
    const types = tensorTypes(infos, [node.input[0], node.output[0]])
    return {
      name: node.name || (node.output[0] ?? ''),
      rank: types.find(({ shape }) => shape !== undefined)?.shape?.dim.length ?? null,
      node,
      graph,
      opset: Number(opset.version),
      elementType: types.find(({ elemType }) => elemType !== 0)?.elemType ?? null,
    }
  })
}

/** ONNX's own operators have the domain `''`, or its name in full. */
function isOwn(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx'
}

/** What is said of the input and the output, which are of one type and rank. */
function tensorTypes(infos: readonly ValueInfo[], names: readonly (string | undefined)[]): TensorType[] {
  return infos.flatMap(({ name, type }) => (names.includes(name) ? (type?.tensorType ?? []) : []))
}

/** The one that is asked for, or the only one. */
export function chosenNode(bytes: Uint8Array, name: string | undefined): FoundNode {
  const all = foundNodes(bytes)
  const names = all.map((each) => each.name)
  if (all.length === 0) throw invalidValue('bytes', 'a model with a BatchNormalization', bytes)
  if (name === undefined && all.length > 1) {
    throw invalidValue(
      'bytes',
      'a model with one BatchNormalization',
      names,
      'choose one: give node its name',
    )
  }
  const chosen = name === undefined ? all : all.filter((each) => each.name === name)
  if (chosen.length === 1) return chosen[0]
  throw invalidValue('node', 'the name of one BatchNormalization', name, `the model has ${describe(names)}`)
}
