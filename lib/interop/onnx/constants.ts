import { invalidType } from '../../checks/errors.ts'
import { operations } from './constant-operations.ts'
import type { Graph, Node, SparseTensorProto, TensorProto } from './messages.ts'
import { isOwn } from './operator-sets.ts'
import { denseConstant } from './sparse-tensor.ts'
import { type Constant, storedConstant } from './stored-tensor.ts'

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

  constructor({ initializer, sparseInitializer, input, node }: Graph) {
    for (const tensor of initializer) this.#stored.set(tensor.name, tensor)
    for (const tensor of sparseInitializer) this.#sparse.set(tensor.values?.name ?? '', tensor)
    const isGiven = (name: string) => !this.#stored.has(name) && !this.#sparse.has(name)
    this.#inputs = new Set(input.map(({ name }) => name).filter(isGiven))
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

  /** Makes `value` known; or, where inputs must be known for that, tells which. */
  #evaluate(name: string, value: string, refused: Refused): string[] {
    if (this.#known.has(value)) return []
    const stored = this.#stored.get(value)
    const sparse = this.#sparse.get(value)
    const node = this.#producers.get(value)
    if (stored !== undefined) this.#known.set(value, storedConstant(name, stored))
    else if (sparse !== undefined) this.#known.set(value, denseConstant(name, sparse))
    else if (node === undefined) throw refused(this.#source(value))
    else {
      const operation = isOwn(node.domain) ? operations.get(node.opType) : undefined
      if (operation === undefined) throw refused(this.#computed(node, value))
      const missing = node.input.filter((input) => input !== '' && !this.#known.has(input))
      if (missing.length > 0) return missing
      const inputs = node.input.map((input) => this.#known.get(input))
      this.#known.set(value, operation({ name, node, inputs, refused }))
    }
    return []
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
    for (const each of reached) {
      if (this.#inputs.has(each)) return `${opType} computes '${value}' at run time, from '${each}'`
      for (const before of this.#producers.get(each)?.input ?? []) reached.add(before)
    }
    return `${opType} of '${value}' is not evaluated here: fold the model's constants first, as onnxsim does`
  }
}
