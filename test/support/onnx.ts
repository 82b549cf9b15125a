/** .onnx files in the words of their schema, for tests to read. */
import type { Attribute, Graph, Model, Node, TensorProto } from '../../lib/interop/onnx/messages.ts'
import { decodeModel, encodeModel } from '../../lib/interop/onnx/schema.ts'

/** A decoded message as an object of its fields, which can be mixed with others. */
function plain<Message>(message: Message): Message {
  if (Array.isArray(message)) return message.map(plain) as Message
  if (typeof message !== 'object' || message === null || ArrayBuffer.isView(message)) return message
  const fields = Object.entries(message).filter(([name]) => name !== '$typeName')
  return Object.fromEntries(fields.map(([name, value]) => [name, plain(value)])) as Message
}

/** A file with one node, changed. */
export function changed(
  file: Uint8Array,
  change: (graph: Graph, node: Node, model: Model) => void,
): Uint8Array {
  const model = plain(decodeModel(file))
  const graph = model.graph as Graph
  change(graph, graph.node[0], model)
  return encodeModel(model)
}

/** Messages that leave out what has a default. */
const partial = <Message>(message: Partial<Message>) => message as Message

export const float = (name: string, f: number) => partial<Attribute>({ name, type: 1, f })
export const int = (name: string, i: number) => partial<Attribute>({ name, type: 2, i: BigInt(i) })
export const floats = (name: string, values: number[]) =>
  partial<Attribute>({ name, type: 6, floats: values })
export const ints = (name: string, values: number[]) =>
  partial<Attribute>({ name, type: 7, ints: values.map(BigInt) })
export const tensorAttribute = (name: string, t: TensorProto) => partial<Attribute>({ name, type: 4, t })

export function node(opType: string, input: string[], output: string[], attribute: Attribute[] = []): Node {
  return partial<Node>({ opType, input, output, attribute })
}

/** float32 numbers. */
export function stored(name: string, values: ArrayLike<number>, dims = [values.length]): TensorProto {
  return partial<TensorProto>({
    name,
    dims: dims.map(BigInt),
    dataType: 1,
    floatData: Array.from(values),
  })
}

/** int64 numbers, as shapes and axes are. */
export function integers(name: string, values: number[]): TensorProto {
  return partial<TensorProto>({
    name,
    dims: [BigInt(values.length)],
    dataType: 7,
    int64Data: values.map(BigInt),
  })
}

/** A model of one input X, of these sizes, and an output Y. */
export function network(
  nodes: Node[],
  initializer: TensorProto[],
  sizes: (number | string)[],
  { opset = 15, irVersion = 8, elemType = 1, outputs = ['Y'] } = {},
): Uint8Array {
  const dim = sizes.map((size) =>
    typeof size === 'string' ? { dimParam: size } : { dimValue: BigInt(size) },
  )
  const input = [{ name: 'X', type: { tensorType: { elemType, shape: { dim } } } }]
  const output = outputs.map((name) => ({ name, type: { tensorType: { elemType } } }))
  return encodeModel({
    irVersion: BigInt(irVersion),
    opsetImport: [{ version: BigInt(opset) }],
    graph: { name: 'network', node: nodes, initializer, input, output },
  })
}
