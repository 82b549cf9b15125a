import { invalidValue } from '../../checks/errors.ts'
import type { Graph, Node } from './messages.ts'
import { valuesTaken } from './nodes.ts'

/**
 * Batch norms in turns: what goes into one depends on those of the turns before it, and on no other.
 *
 * @throws RangeError for a graph whose nodes do not come after what they take, as ONNX says that they do
 */
export function turnsOf<Norm extends { readonly node: Node }>(
  graph: Graph,
  norms: readonly Norm[],
): Norm[][] {
  const normOf = new Map(norms.map((norm) => [norm.node, norm]))
  const computed = new Set(graph.node.flatMap(({ output }) => output))
  /** How many turns a value depends on; none for what is given. */
  const depths = new Map<string, number>()
  const turns: Norm[][] = []
  for (const node of graph.node) {
    let depth = 0
    for (const value of valuesTaken(node)) {
      if (computed.has(value) && !depths.has(value)) {
        const fix = `'${value}' is taken before it is computed: sort the nodes`
        throw invalidValue('model', 'a graph in topological order', node.name, fix)
      }
      depth = Math.max(depth, depths.get(value) ?? 0)
    }
    const norm = normOf.get(node)
    if (norm !== undefined) {
      turns[depth] ??= []
      turns[depth].push(norm)
      depth++
    }
    for (const output of node.output) depths.set(output, depth)
  }
  return turns
}
