/**
 * Calls the library with what is small and asks for much: in a heap of 128 MB, what walks or copies it first ends
 * with no memory. Prints how each call has ended.
 */
import { BatchNorm1d, decodeSafetensors, Moments, tensor } from '../../lib/index.ts'
import { findOnnxBatchNorms, fromOnnx } from '../../lib/interop/onnx/index.ts'

const repeated = (bytes: readonly number[], times: number) =>
  Buffer.alloc(bytes.length * times, Buffer.from(bytes))

/** A field of protobuf that has a length. */
function field(number: number, bytes: Uint8Array): Buffer {
  const length: number[] = []
  let rest = bytes.length
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length, rest]), bytes])
}

const text = (number: number, value: string) => field(number, Buffer.from(value))

function header(json: Buffer): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUint64LE(BigInt(json.length))
  return Buffer.concat([length, json])
}

const graph = (...fields: Buffer[]) => field(7, Buffer.concat(fields))
const node = field(1, Buffer.concat([text(1, 'x'), text(2, 'y'), text(4, 'BatchNormalization')]))
const info = field(13, Buffer.concat([text(1, 'x'), field(2, field(1, field(2, Buffer.alloc(0))))]))
const operators = field(8, Buffer.from([0x10, 15]))
const inItself: unknown[] = []
inItself.push(inItself)
const again = Array.from({ length: 60 }).reduce<unknown>((list) => [list, list], 1)

const calls: Readonly<Record<string, () => unknown>> = {
  'an array in itself': () => tensor(inItself as never),
  'an array again and again': () => tensor(again as never),
  'an array that is long and empty': () => tensor(Array(2 ** 28) as never),
  'channels beyond memory': () => new BatchNorm1d(2 ** 30),
  'moments beyond memory': () => new Moments(2 ** 50),
  'empty initializers': () => findOnnxBatchNorms(graph(repeated([0x2a, 0], 2 ** 23))),
  'empty nodes': () => findOnnxBatchNorms(graph(repeated([0x0a, 0], 2 ** 23))),
  'empty nodes in a node': () =>
    findOnnxBatchNorms(graph(field(1, field(5, field(6, repeated([0x0a, 0], 2 ** 23)))))),
  'integers of one byte': () => fromOnnx(graph(field(5, field(7, Buffer.alloc(2 ** 24))))),
  'many nodes, each of many values': () => {
    const found = findOnnxBatchNorms(
      Buffer.concat([graph(repeated([...node], 2e4), repeated([...info], 2e4)), operators]),
    )
    throw new RangeError(`Expected ${found.length} nodes of rank ${found[0].rank}`)
  },
  'a header of empty objects': () => decodeSafetensors(header(repeated([...Buffer.from('{},')], 5e6))),
  'a header of an array of empty arrays': () =>
    decodeSafetensors(header(repeated([...Buffer.from('[],')], 5e6))),
}

for (const [name, call] of Object.entries(calls)) {
  try {
    call()
    console.log(`${name}: no error`)
  } catch (error) {
    console.log(`${name}: ${(error as Error).message}`)
  }
}
