/** The nodes of a model that are batch norms. */
import { describe, invalidType, invalidValue } from '../../checks/errors.ts'
import type { Graph, Model, Node, ValueInfo } from './messages.ts'
import { isOwn, ownVersion } from './operator-sets.ts'
import { decodeModel } from './schema.ts'
import { assertInFile } from './stored-tensor.ts'

/** A node `BatchNormalization` of an .onnx file. */
export interface OnnxBatchNorm {
  /** The node's name, or that of its output where the node has none, or shares it with another batch norm. */
  readonly name: string
  /** How many axes its input has; `null` where the file does not say. */
  readonly rank: number | null
}

export interface FoundNode extends OnnxBatchNorm {
  readonly node: Node
  readonly graph: Graph
  /** What wrote the file. */
  readonly producer: string
  /** The version of ONNX's operators. */
  readonly version: number
  /** That of its input, one of `dataTypes`; `null` where the file does not say. */
  readonly elementType: number | null
}

/**
 * The batch norms of a model, in the order of its graph; not those inside of `If`, `Loop` and `Scan`, nor of
 * functions that the model defines.
 *
 * @throws TypeError or RangeError for bytes that are no ONNX model
 */
export function findOnnxBatchNorms(bytes: Uint8Array): OnnxBatchNorm[] {
  return foundNodes(modelOf(bytes)).map(({ name, rank }) => ({ name, rank }))
}

/** The one that is asked for, by its name or by that of its output, or the only one. */
export function chosenNode(bytes: Uint8Array, name: string | undefined): FoundNode {
  const model = modelOf(bytes)
  const all = foundNodes(model)
  const names = all.map((each) => each.name)
  const inner = innerNorms(model)
  if (all.length === 0) throw invalidValue('bytes', 'a model with a BatchNormalization', bytes, inner)
  if (name === undefined && all.length > 1) {
    const fix = 'choose one: give node its name'
    throw invalidValue('bytes', 'a model with one BatchNormalization', names, fix)
  }
  const chosen =
    name === undefined ? all : all.filter((each) => [each.name, each.node.output[0]].includes(name))
  if (chosen.length === 1) return chosen[0]
  const fix = [`the model has ${describe(names)}`, inner].filter((each) => each !== '').join('; ')
  throw invalidValue('node', 'the name of one BatchNormalization', name, fix)
}

export interface WholeModel extends Model {
  graph: Graph
}

export function modelOf(bytes: Uint8Array): WholeModel {
  const model = decodeModel(bytes)
  if (model.graph === undefined) throw invalidType('bytes', 'an ONNX model with a graph', bytes)
  return model as WholeModel
}

export function foundNodes({ graph, opsetImport, producerName }: WholeModel): FoundNode[] {
  const nodes = graph.node.filter(isBatchNorm)
  if (nodes.length === 0) return []
  const version = ownVersion(opsetImport)
  const names = uniqueNames(nodes)
  const said = saidOf([...graph.input, ...graph.output, ...graph.valueInfo])
  return nodes.map((node, index) => {
    // Input and output are of one type and rank.
    const [input, output] = [said.get(node.input[0]), said.get(node.output[0])]
    return {
      name: names[index],
      rank: input?.rank ?? output?.rank ?? null,
      node,
      graph,
      producer: producerName,
      version,
      elementType: input?.elementType ?? output?.elementType ?? null,
    }
  })
}

function isBatchNorm({ opType, domain }: Node): boolean {
  return opType === 'BatchNormalization' && isOwn(domain)
}

/** A name that several nodes have, as a name or as that of an output, would choose none of them. */
function uniqueNames(nodes: readonly Node[]): string[] {
  const counts = new Map<string, number>()
  for (const { name, output } of nodes) {
    for (const each of new Set([name, output[0]])) counts.set(each, (counts.get(each) ?? 0) + 1)
  }
  return nodes.map(({ name, output }) => (name !== '' && counts.get(name) === 1 ? name : (output[0] ?? '')))
}

/** What is to be said of batch norms in the graphs that nodes run, or in functions; `''` where there are none. */
export function innerNorms({ graph, functions }: WholeModel): string {
  const bodies = [...graph.node.flatMap(graphsOf), ...functions]
  for (const { node } of bodies) {
    if (node.some(isBatchNorm)) return 'those inside of If, Loop, Scan and functions are not looked for'
    for (const body of node.flatMap(graphsOf)) bodies.push(body)
  }
  return ''
}

/** What `If`, `Loop` and `Scan` run. */
function graphsOf({ attribute }: Node): Graph[] {
  return attribute.flatMap(({ g }) => g ?? [])
}

/** @throws TypeError for a model that has tensors in another file */
function assertOneFile({ graph }: WholeModel): void {
  const graphs = [graph]
  for (const { initializer, node } of graphs) {
    for (const tensor of initializer) assertInFile(tensor.name, tensor)
    for (const each of node) {
      for (const { name, t } of each.attribute) if (t) assertInFile(`${name} of ${each.name}`, t)
      graphs.push(...graphsOf(each))
    }
  }
}

/** A model that is written into. */
export interface ModelToEdit {
  readonly decoded: WholeModel
  readonly found: readonly FoundNode[]
  /** What `innerNorms` says. */
  readonly inner: string
}

/**
 * @throws TypeError or RangeError for bytes that are no ONNX model, a model with tensors in another file, and one without
 * a batch norm
 */
export function modelToEdit(model: Uint8Array): ModelToEdit {
  const decoded = modelOf(model)
  assertOneFile(decoded)
  const inner = innerNorms(decoded)
  const found = foundNodes(decoded)
  if (found.length === 0) throw invalidValue('model', 'a model with a BatchNormalization', model, inner)
  return { decoded, found, inner }
}

/** The values that a node takes: its inputs, and whatever the graphs take that it runs. */
export function valuesTaken(node: Node): string[] {
  const taken = [...node.input]
  const graphs = graphsOf(node)
  for (const graph of graphs) {
    for (const inner of graph.node) {
      taken.push(...inner.input)
      graphs.push(...graphsOf(inner))
    }
    taken.push(...graph.output.map(({ name }) => name))
  }
  return taken.filter((name) => name !== '')
}

/** What is said of a value: how many axes it has, and its type. */
interface Said {
  readonly rank: number | null
  readonly elementType: number | null
}

/** What is said of each value, in one place or in several. */
function saidOf(infos: readonly ValueInfo[]): ReadonlyMap<string, Said> {
  const said = new Map<string, Said>()
  for (const { name, type } of infos) {
    const { shape, elemType = 0 } = type?.tensorType ?? {}
    const { rank, elementType } = said.get(name) ?? { rank: null, elementType: null }
    said.set(name, {
      rank: rank ?? shape?.dim.length ?? null,
      elementType: elementType ?? (elemType === 0 ? null : elemType),
    })
  }
  return said
}
