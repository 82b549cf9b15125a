/** The messages of an .onnx file, as far as they are read or written here; int64 is a bigint. */

export interface Model {
  irVersion: bigint
  producerName: string
  graph?: Graph
  opsetImport: OperatorSet[]
}

export interface OperatorSet {
  /** `''` is ONNX's own. */
  domain: string
  version: bigint
}

export interface Graph {
  node: Node[]
  name: string
  initializer: TensorProto[]
  input: ValueInfo[]
  output: ValueInfo[]
  valueInfo: ValueInfo[]
}

export interface Node {
  input: string[]
  output: string[]
  name: string
  opType: string
  domain: string
  attribute: Attribute[]
}

export interface Attribute {
  name: string
  /** One of `attributeTypes`. */
  type: number
  f: number
  i: bigint
  t?: TensorProto
}

/** A tensor; its values are in `rawData`, little-endian, or in the list of their type. */
export interface TensorProto {
  name: string
  dims: bigint[]
  /** One of `dataTypes`. */
  dataType: number
  floatData: number[]
  /** Of float16 and bfloat16: their bits. */
  int32Data: number[]
  doubleData: number[]
  rawData: Uint8Array
  /** 1: in another file. */
  dataLocation: number
}

export interface ValueInfo {
  name: string
  type?: { tensorType?: TensorType }
}

export interface TensorType {
  /** One of `dataTypes`; 0: not said. */
  elemType: number
  shape?: { dim: Dimension[] }
}

/** A size, or a name for one that is not known. */
export interface Dimension {
  dimValue: bigint
  dimParam: string
}

export const attributeTypes = { float: 1, int: 2, tensor: 4 }

export const dataTypes = { float32: 1, float16: 10, float64: 11, bfloat16: 16 }
