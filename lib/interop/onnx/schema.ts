/**
 * The schema of an .onnx file: those fields of onnx.proto that are read or written here, under their
 * numbers there. What else a file has is kept as it is. An enum is an int32 on the wire, and one here.
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
import { TextDecoder, TextEncoder, toUSVString } from 'node:util'
import { create, createFileRegistry, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf'
import { configureTextEncoding } from '@bufbuild/protobuf/wire'
import {
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt'
import { invalidType, invalidValue } from '../../checks/errors.ts'
import { countMessages, integers, type Parts, simple } from './message-count.ts'
import type { Model, Node, TensorProto, ValueInfo } from './messages.ts'

// Node's own, because a realm need not have these globals. They are set for the copy that is bundled here alone.
const encoder = new TextEncoder()
const [decoder, strictDecoder] = [false, true].map(
  (fatal) => new TextDecoder('utf-8', { fatal, ignoreBOM: true }),
)
configureTextEncoding({
  encodeUtf8: (text) => encoder.encode(text),
  decodeUtf8: (bytes, strict) => (strict ? strictDecoder : decoder).decode(bytes),
  checkUtf8: (text) => toUSVString(text) === text,
})

/** Name, number and type of a field; `[]` marks a list, and a type that is none of the simple ones is a message. */
type Field = readonly [name: string, number: number, type: string]

const types: Readonly<Record<string, Type>> = {
  string: Type.STRING,
  bytes: Type.BYTES,
  float: Type.FLOAT,
  double: Type.DOUBLE,
  int32: Type.INT32,
  int64: Type.INT64,
}

const messages: Readonly<Record<string, readonly Field[]>> = {
  Model: [
    ['ir_version', 1, 'int64'],
    ['producer_name', 2, 'string'],
    ['graph', 7, 'Graph'],
    ['opset_import', 8, 'OperatorSet[]'],
    ['functions', 25, 'Function[]'],
  ],
  Function: [['node', 7, 'Node[]']],
  OperatorSet: [
    ['domain', 1, 'string'],
    ['version', 2, 'int64'],
  ],
  Graph: [
    ['node', 1, 'Node[]'],
    ['name', 2, 'string'],
    ['initializer', 5, 'TensorProto[]'],
    ['input', 11, 'ValueInfo[]'],
    ['output', 12, 'ValueInfo[]'],
    ['value_info', 13, 'ValueInfo[]'],
    ['sparse_initializer', 15, 'SparseTensorProto[]'],
  ],
  Node: [
    ['input', 1, 'string[]'],
    ['output', 2, 'string[]'],
    ['name', 3, 'string'],
    ['op_type', 4, 'string'],
    ['attribute', 5, 'Attribute[]'],
    ['domain', 7, 'string'],
  ],
  Attribute: [
    ['name', 1, 'string'],
    ['f', 2, 'float'],
    ['i', 3, 'int64'],
    ['t', 5, 'TensorProto'],
    ['g', 6, 'Graph'],
    ['floats', 7, 'float[]'],
    ['ints', 8, 'int64[]'],
    ['type', 20, 'int32'],
    ['sparse_tensor', 22, 'SparseTensorProto'],
  ],
  TensorProto: [
    ['dims', 1, 'int64[]'],
    ['data_type', 2, 'int32'],
    ['float_data', 4, 'float[]'],
    ['int32_data', 5, 'int32[]'],
    ['int64_data', 7, 'int64[]'],
    ['name', 8, 'string'],
    ['raw_data', 9, 'bytes'],
    ['double_data', 10, 'double[]'],
    ['data_location', 14, 'int32'],
  ],
  SparseTensorProto: [
    ['values', 1, 'TensorProto'],
    ['indices', 2, 'TensorProto'],
    ['dims', 3, 'int64[]'],
  ],
  ValueInfo: [
    ['name', 1, 'string'],
    ['type', 2, 'ValueType'],
  ],
  ValueType: [['tensor_type', 1, 'TensorType']],
  TensorType: [
    ['elem_type', 1, 'int32'],
    ['shape', 2, 'TensorShape'],
  ],
  TensorShape: [['dim', 1, 'Dimension[]']],
  Dimension: [
    ['dim_value', 1, 'int64'],
    ['dim_param', 2, 'string'],
  ],
}

/** No model has more: an empty message, or a field that is merely kept, is two bytes of a file and hundreds in memory. */
const mostMessages = 2 ** 20

const parts: Parts = Object.fromEntries(
  Object.entries(messages).map(([name, fields]) => [name, new Map(fields.map(partOf))]),
)

function partOf([, number, type]: Field): [number: number, part: string] {
  const element = type.replace('[]', '')
  if (types[element] === undefined) return [number, element]
  return [number, type === integers ? integers : simple]
}

function fieldOf([name, number, type]: Field) {
  const isList = type.endsWith('[]')
  const element = isList ? type.slice(0, -2) : type
  const scalar = types[element]
  const isNumeric = scalar !== undefined && scalar !== Type.STRING && scalar !== Type.BYTES
  return {
    name,
    number,
    label: isList ? Label.REPEATED : Label.OPTIONAL,
    type: scalar ?? Type.MESSAGE,
    typeName: scalar === undefined ? `.onnx.${element}` : '',
    // Written without a tag for each number; read either way.
    options: { packed: isList && isNumeric },
  }
}

const file = create(FileDescriptorProtoSchema, {
  name: 'onnx.proto',
  package: 'onnx',
  syntax: 'proto2',
  messageType: Object.entries(messages).map(([name, fields]) => ({ name, field: fields.map(fieldOf) })),
})
const registry = createFileRegistry(file, () => undefined)
const schemaOf = (name: string) => registry.getMessage(`onnx.${name}`) as DescMessage
const modelSchema = schemaOf('Model')

/** Fields that a message may leave out, because the format has a default for them. */
type Partially<Message> = Message extends Uint8Array | bigint | number | string
  ? Message
  : Message extends (infer Item)[]
    ? Partially<Item>[]
    : { [Key in keyof Message]?: Partially<Message[Key]> }

export function encodeModel(model: Partially<Model>): Uint8Array {
  return toBinary(modelSchema, create(modelSchema, model))
}

/** The messages that are added to a model that was read. */
interface Added {
  Node: Node
  TensorProto: TensorProto
  ValueInfo: ValueInfo
}

/** A new message, for a model that was read. */
export function newMessage<Name extends keyof Added>(
  name: Name,
  fields: Partially<Added[Name]>,
): Added[Name] {
  return create(schemaOf(name), fields) as unknown as Added[Name]
}

/** @throws TypeError for what are no bytes; RangeError for bytes that are no such file, not all of it, or too much */
export function decodeModel(bytes: Uint8Array): Model {
  if (Object.prototype.toString.call(bytes) !== '[object Uint8Array]') {
    throw invalidType('bytes', 'a Uint8Array', bytes, 'read the file first: readFileSync(path)')
  }
  let count: number
  try {
    count = countMessages(bytes, 'Model', parts, mostMessages)
    // Large tensors stay where they are: a decoded `rawData` is a view of the file.
    if (count <= mostMessages) {
      return fromBinary(modelSchema, bytes) as unknown as Model
    }
  } catch (error) {
    throw invalidValue('bytes', 'an ONNX model', bytes, `${(error as Error).message}; is it truncated?`)
  }
  throw invalidValue('bytes', `a model of at most ${mostMessages} messages`, bytes, 'is it a model?')
}
