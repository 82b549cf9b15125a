import { invalidType } from '../../checks/errors.ts'
import { mostChannels } from '../../checks/scalars.ts'
import { operations } from './constant-operations.ts'
import type { Graph, Node, SparseTensorProto, TensorProto } from './messages.ts'
import { isOwn } from './operator-sets.ts'
import { denseConstant } from './sparse-tensor.ts'
import { type Constant, storedConstant } from './stored-tensor.ts'

/** A few bytes can ask for many values, again and again: four of the largest vectors, and as much between them. */
const largestSum = 8 * mostChannels

type Refused = (why: string) => Error

/**
 * The values of a graph that the model says: initializers, and what nodes make of them without an input of the
 * model. An initializer that is an input too counts: it is what holds where the caller gives none.
 */
export class Constants {
  readonly #stored = new Map<string, TensorProto>()
  readonly #sparse = new Map<string, SparseTensorProto>()
  readonly #inputs: ReadonlySet<string>
  readonly #producers = new Map<string, Node>()
  readonly #known = new Map<string, Constant>()
  /** How many numbers are known. */
  #size = 0

  constructor({ initializer, sparseInitializer, input, node }: Graph) {
    for (const tensor of initializer) this.#stored.set(tensor.name, tensor)
    for (const tensor of sparseInitializer) this.#sparse.set(tensor.values?.name ?? '', tensor)
    this.#inputs = new Set(input.map(({ name }) => name).filter((name) => !this.isStored(name)))
    for (const each of node) {
      for (const output of each.output) this.#producers.set(output, each)
    }
  }

  /**
   * @param name - how errors call it
   * @throws TypeError for what is computed at run time; as `storedConstant` for what is stored wrongly
   */
  constant(name: string, value: string | undefined): Constant {
    const refused: Refused = (why) => invalidType(name, 'an initializer or a constant', value, why)
    if (value === undefined || value === '') throw refused('a batch norm has five inputs')
    // Depth first, without recursion: a file may have chains of any length.
    const path = [value]
    const begun = new Set<string>()
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      begun.add(last)
      const missing = this.#evaluate(name, last, refused)
      const circle = missing.find((input) => begun.has(input))
      if (circle !== undefined) throw refused(`'${circle}' is computed from itself: is the file damaged?`)
      if (missing.length === 0) path.pop()
      path.push(...missing)
    }
    return this.#known.get(value) as Constant
  }

  /** Whether a value is an initializer. */
  isStored(value: string): boolean {
    return this.#stored.has(value) || this.#sparse.has(value)
  }

  /** The initializer of a name, but for sparse ones. */
  storedTensor(value: string): TensorProto | undefined {
    return this.#stored.get(value)
  }

  /** Of a tensor that has been written into the model: its old values hold no more. */
  renew(tensor: TensorProto): void {
    this.#stored.set(tensor.name, tensor)
    this.#known.delete(tensor.name)
  }

  /** Makes `value` known; or, where inputs must be known for that, tells which. */
  #evaluate(name: string, value: string, refused: Refused): string[] {
    if (this.#known.has(value)) return []
    const stored = this.#stored.get(value)
    const sparse = this.#sparse.get(value)
    const node = this.#producers.get(value)
    if (stored !== undefined) this.#remember(value, storedConstant(name, stored), refused)
    else if (sparse !== undefined) this.#remember(value, denseConstant(name, sparse), refused)
    else if (node === undefined) throw refused(this.#source(value))
    else {
      // Each of them has one output.
      const isKnown = isOwn(node.domain) && node.output.length === 1
      const operation = isKnown ? operations.get(node.opType) : undefined
      if (operation === undefined) throw refused(this.#computed(node, value))
      const missing = node.input.filter((input) => input !== '' && !this.#known.has(input))
      if (missing.length > 0) return missing
      const inputs = node.input.map((input) => this.#known.get(input))
      this.#remember(value, operation({ name, node, inputs, refused }), refused)
    }
    return []
  }

  #remember(value: string, constant: Constant, refused: Refused): void {
    this.#size += constant.values.length
    if (this.#size > largestSum) throw refused(`it takes more than ${largestSum} numbers to compute it`)
    this.#known.set(value, constant)
  }

  /** Of a value that no node gives. */
  #source(value: string): string {
    return this.#inputs.has(value)
      ? `'${value}' is an input of the model, given at run time: export the model with its parameters`
      : `nothing in the model gives '${value}': is the file damaged?`
  }

  /** Of a value that another operation gives: from an input of the model, or not. */
  #computed({ opType, input }: Node, value: string): string {
    const reached = new Set(input)
    const walked = new Set<Node>()
    for (const each of reached) {
      if (this.#inputs.has(each)) return `${opType} computes '${value}' at run time, from '${each}'`
      const node = this.#producers.get(each)
      if (node === undefined || walked.has(node)) continue
      walked.add(node)
      for (const before of node.input) reached.add(before)
    }
    return `${opType} of '${value}' is not evaluated here: fold the model's constants first, as onnxsim does`
  }
}
