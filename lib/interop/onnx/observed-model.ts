/** A copy of a model that tells what goes into its batch norms. */
import { attributeTypes, dataTypes, type Graph, type Node } from './messages.ts'
import { type FoundNode, modelOf, valuesTaken } from './nodes.ts'
import { encodeModel, newMessage } from './schema.ts'

/** What the batch norms of the copy normalize with: the statistics of the batch, or those that they have. */
export type NormalizesWith = 'batch' | 'running'

/** A batch norm of a model. */
export interface Observed extends Pick<FoundNode, 'node' | 'version'> {
  /** That of its mean and variance, one of `dataTypes`. */
  readonly statisticsType: number
}

/** What a copy has beside the model begins so. */
const prefix = 'batchnorm.observed'

/** The output of the copy that is the input of a batch norm. */
export function observedName({ node }: Pick<Observed, 'node'>): string {
  return `${prefix}.${node.output[0]}`
}

/**
 * A copy of a model, whose outputs are the inputs of batch norms, without what comes after those.
 *
 * @param all - every batch norm of the model
 * @param observed - those whose inputs are wanted
 */
export function observedModel(
  bytes: Uint8Array,
  all: readonly Observed[],
  observed: readonly Observed[],
  normalizeWith: NormalizesWith,
): Uint8Array {
  const model = modelOf(bytes)
  const { graph } = model
  const normOf = new Map(all.map((norm) => [norm.node.output[0], norm]))
  graph.node = graph.node.flatMap((node) => {
    const norm = normOf.get(node.output[0])
    if (norm === undefined) return [node]
    const before = [newNode('Identity', [node.input[0]], observedName(norm))]
    return [...before, ...(normalizeWith === 'batch' ? batchStatistics(graph, node, norm) : []), node]
  })
  const outputs = observed.map(observedName)
  graph.output = outputs.map((name) => newMessage('ValueInfo', { name }))
  keepWhatMakes(graph, outputs)
  return encodeModel(model)
}

type Attributes = Parameters<typeof newMessage<'Node'>>[1]['attribute']

function newNode(opType: string, input: string[], output: string, attribute?: Attributes): Node {
  return newMessage('Node', { opType, input, output: [output], attribute })
}

const int = (name: string, i: number) => ({ name, type: attributeTypes.int, i: BigInt(i) })

/**
 * Gives a batch norm the statistics of its own input in place of its mean and variance, and returns the nodes that
 * compute them, by operators that every operator set has: training changed its form, and not every device has it. They
 * compute in float32, for statistics of float64 in that.
 */
function batchStatistics(graph: Graph, node: Node, { version, statisticsType }: Observed): Node[] {
  const name = (part: string) => `${observedName({ node })}.${part}`
  const computed = statisticsType === dataTypes.float64 ? statisticsType : dataTypes.float32
  const constants = { rows: [0, 0, -1], vector: [-1], axes: [0, 2] }
  for (const [part, values] of Object.entries(constants)) {
    const tensor = { name: name(part), dims: [BigInt(values.length)], dataType: dataTypes.int64 }
    graph.initializer.push(newMessage('TensorProto', { ...tensor, int64Data: values.map(BigInt) }))
  }
  const mean = (from: string, to: string) =>
    version < 18
      ? newNode('ReduceMean', [from], to, [{ name: 'axes', type: attributeTypes.ints, ints: [0n, 2n] }])
      : newNode('ReduceMean', [from, name('axes')], to)
  const vector = (from: string, to: string) => [
    newNode('Reshape', [from, name('vector')], `${to}.computed`),
    newNode('Cast', [`${to}.computed`], to, [int('to', statisticsType)]),
  ]
  const x = node.input[0]
  node.input.splice(3, 2, name('mean'), name('variance'))
  return [
    newNode('Cast', [x], name('x'), [int('to', computed)]),
    // [N, C, positions], however many axes there are.
    newNode('Reshape', [name('x'), name('rows')], name('samples')),
    mean(name('samples'), name('center')),
    newNode('Sub', [name('samples'), name('center')], name('deviations')),
    newNode('Mul', [name('deviations'), name('deviations')], name('squares')),
    mean(name('squares'), name('spread')),
    ...vector(name('center'), name('mean')),
    ...vector(name('spread'), name('variance')),
  ]
}

/** Leaves out what some values do not need. Inputs stay, but for those that stand for an initializer. */
function keepWhatMakes(graph: Graph, values: readonly string[]): void {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((output) => [output, node])))
  const stored = new Set(
    [...graph.initializer, ...graph.sparseInitializer.flatMap(({ values }) => values ?? [])].map(
      ({ name }) => name,
    ),
  )
  const needed = new Set(values)
  const nodes = new Set<Node>()
  for (const value of needed) {
    const node = producers.get(value)
    if (node === undefined || nodes.has(node)) continue
    nodes.add(node)
    for (const taken of valuesTaken(node)) needed.add(taken)
  }
  graph.node = graph.node.filter((node) => nodes.has(node))
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name))
  graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) => needed.has(values?.name ?? ''))
  graph.input = graph.input.filter(({ name }) => needed.has(name) || !stored.has(name))
}
