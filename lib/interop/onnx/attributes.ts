/** The attributes of a node, each of its type. */
import { invalidType } from '../../checks/errors.ts'
import { type Attribute, attributeTypes, type Node } from './messages.ts'

const kinds = {
  float: 'a FLOAT',
  int: 'an INT',
  tensor: 'a TENSOR',
  floats: 'FLOATS',
  ints: 'INTS',
  sparseTensor: 'a SPARSE_TENSOR',
} as const satisfies Record<keyof typeof attributeTypes, string>

/**
 * `undefined` where the node has none of that name.
 *
 * @throws TypeError for one of another type
 */
export function attributeOf(node: Node, name: string, kind: keyof typeof kinds): Attribute | undefined {
  const attribute = node.attribute.find((each) => each.name === name)
  if (attribute === undefined || attribute.type === attributeTypes[kind]) return attribute
  throw invalidType(`the attribute ${name}`, kinds[kind], `type ${attribute.type}`)
}

export function floatOf(node: Node, name: string, orElse: number): number {
  return attributeOf(node, name, 'float')?.f ?? orElse
}

export function integerOf(node: Node, name: string, orElse: number): number {
  return Number(attributeOf(node, name, 'int')?.i ?? orElse)
}

export function integersOf(node: Node, name: string): number[] | undefined {
  return attributeOf(node, name, 'ints')?.ints.map(Number)
}
