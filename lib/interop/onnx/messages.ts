/** The messages of an .onnx file, as far as they are read or written here; int64 is a bigint. */

export interface Model {
  irVersion: bigint
  producerName: string
  graph?: Graph
  opsetImport: OperatorSet[]
  /** Operators that the model defines itself. */
  functions: { node: Node[] }[]
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
  sparseInitializer: SparseTensorProto[]
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
  /** What `If`, `Loop` and `Scan` run. */
  g?: Graph
  floats: number[]
  ints: bigint[]
  sparseTensor?: SparseTensorProto
}

/** A tensor; its values are in `rawData`, little-endian, or in the list of their type. */
export interface TensorProto {
  name: string
  dims: bigint[]
  /** One of `dataTypes`. */
  dataType: number
  floatData: number[]
  /** Also those of float16 and bfloat16: their bits. */
  int32Data: number[]
  int64Data: bigint[]
  doubleData: number[]
  rawData: Uint8Array
  /** 1: in another file. */
  dataLocation: number
}

/** A tensor that is 0 but for some values; it is called as they are. */
export interface SparseTensorProto {
  values?: TensorProto
  /** Where they lie: `[number of values]`, or that many rows of one number an axis. */
  indices?: TensorProto
  dims: bigint[]
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

export const attributeTypes = { float: 1, int: 2, tensor: 4, floats: 6, ints: 7, sparseTensor: 11 }

export const dataTypes = { float32: 1, int32: 6, int64: 7, float16: 10, float64: 11, bfloat16: 16 }
