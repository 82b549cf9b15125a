import { sameShape } from '../../tensor/shape.ts'
import { Constants } from './constants.ts'
import type { Node, TensorProto } from './messages.ts'
import { valuesTaken, type WholeModel } from './nodes.ts'
import { newMessage } from './schema.ts'
import { type Constant, rawBytes } from './stored-tensor.ts'

/** Before this version of the format every initializer has to be an input too. */
const optionalInputs = 4n

/** A model whose graph is changed: constants get other values, nodes go, and what nobody needs any more goes with them. */
export class GraphEdit {
  readonly constants: Constants
  readonly #model: WholeModel
  readonly #producers = new Map<string, Node>()
  /** How often each value is taken, by nodes and as an output of the model. */
  readonly #uses = new Map<string, number>()
  readonly #taken: Set<string>
  /** How many names were made another. */
  #others = 0
  readonly #goneNodes = new Set<Node>()
  readonly #goneValues = new Set<string>()

  constructor(model: WholeModel) {
    const { graph } = model
    this.#model = model
    this.constants = new Constants(graph)
    for (const node of graph.node) {
      for (const output of node.output) this.#producers.set(output, node)
      for (const name of valuesTaken(node)) this.#use(name)
    }
    for (const { name } of graph.output) this.#use(name)
    const given = [...graph.initializer, ...graph.input].map(({ name }) => name)
    this.#taken = new Set([...given, ...this.#producers.keys(), ...this.#uses.keys()])
  }

  /** The node that gives a value; `undefined` for inputs and initializers. */
  producerOf(value: string): Node | undefined {
    return this.#producers.get(value)
  }

  usesOf(value: string): number {
    return this.#uses.get(value) ?? 0
  }

  /**
   * Gives an input of a node other values. They are written where the old ones are stored, if that is an initializer
   * of this shape and type which nothing else takes; otherwise into a new one.
   *
   * @param wanted - a name for that
   * @returns the name of the initializer
   */
  write(node: Node, index: number, constant: Constant, wanted: string): string {
    const old = node.input[index] ?? ''
    const tensor = this.usesOf(old) === 1 ? this.constants.storedTensor(old) : undefined
    if (tensor === undefined || !fits(tensor, constant)) {
      this.#take(node, node.input.toSpliced(index, 1, this.store(constant, wanted)))
      return node.input[index]
    }
    const lists = { floatData: [], int32Data: [], int64Data: [], doubleData: [] }
    Object.assign(tensor, lists, { rawData: rawBytes(constant.values, constant.dataType) })
    this.constants.renew(tensor)
    return old
  }

  /** Adds an initializer, which nothing takes yet, and returns its name. */
  store({ dims, dataType, values }: Constant, wanted: string): string {
    const { graph, irVersion } = this.#model
    const name = this.#free(wanted)
    const sizes = dims.map(BigInt)
    const tensor = newMessage('TensorProto', {
      name,
      dims: sizes,
      dataType,
      rawData: rawBytes(values, dataType),
    })
    graph.initializer.push(tensor)
    this.constants.renew(tensor)
    if (irVersion < optionalInputs) {
      const shape = { dim: sizes.map((dimValue) => ({ dimValue })) }
      const type = { tensorType: { elemType: dataType, shape } }
      graph.input.push(newMessage('ValueInfo', { name, type }))
    }
    return name
  }

  /** Makes a node that of another operator, without attributes. */
  become(node: Node, opType: string, input: string[]): void {
    Object.assign(node, { opType, attribute: [] })
    this.#take(node, input)
  }

  /** Lets a node give what another one gave, which goes. */
  giveInPlaceOf(node: Node, gone: Node): void {
    this.#producers.delete(node.output[0])
    this.#goneValues.add(node.output[0])
    node.output[0] = gone.output[0]
    this.#producers.set(node.output[0], node)
    this.#goneNodes.add(gone)
    for (const name of valuesTaken(gone)) this.#release(name)
  }

  /** Takes out of the model what is gone. */
  finish(): void {
    const { graph } = this.#model
    const isThere = ({ name }: { name: string }) => !this.#goneValues.has(name)
    graph.node = graph.node.filter((node) => !this.#goneNodes.has(node))
    graph.initializer = graph.initializer.filter(isThere)
    graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) =>
      isThere({ name: values?.name ?? '' }),
    )
    graph.valueInfo = graph.valueInfo.filter(isThere)
    graph.input = graph.input.filter(isThere)
  }

  /** Gives a node other inputs. */
  #take(node: Node, input: string[]): void {
    const old = node.input
    node.input = input
    for (const name of input) this.#use(name)
    for (const name of old) this.#release(name)
  }

  /** A name that nothing in the model has. */
  #free(wanted: string): string {
    let name = wanted
    while (this.#taken.has(name)) name = `${wanted}_${++this.#others}`
    this.#taken.add(name)
    return name
  }

  #use(value: string): void {
    this.#uses.set(value, this.usesOf(value) + 1)
  }

  /** One use less. What nobody takes any more goes, with the nodes that made nothing else, and what they alone took. */
  #release(value: string): void {
    const released = value === '' ? [] : [value]
    for (const name of released) {
      const uses = this.usesOf(name) - 1
      this.#uses.set(name, uses)
      if (uses > 0) continue
      const node = this.#producers.get(name)
      if (node === undefined) {
        if (this.constants.isStored(name)) this.#goneValues.add(name)
      } else if (!this.#goneNodes.has(node) && node.output.every((output) => this.usesOf(output) === 0)) {
        this.#goneNodes.add(node)
        for (const output of node.output) this.#goneValues.add(output)
        released.push(...valuesTaken(node))
      }
    }
  }
}

function fits(tensor: TensorProto, { dims, dataType }: Constant): boolean {
  return tensor.dataType === dataType && sameShape(tensor.dims.map(Number), dims)
}
