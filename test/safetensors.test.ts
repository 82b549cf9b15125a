/** safetensors files: what is written is read, and what is damaged is named. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  decodeSafetensors,
  encodeSafetensors,
  loadSafetensors,
  saveSafetensors,
  type Tensor,
  type TensorData,
  tensor,
} from '../lib/index.ts'
import { normal, trained } from './support/module.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-safetensors-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'file.safetensors')

/** A file of this header and so many bytes of data. */
function fileOf(header: unknown, dataBytes = 0, length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? header : JSON.stringify(header)
  const text = new TextEncoder().encode(json)
  const bytes = new Uint8Array(8 + text.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true)
  bytes.set(text, 8)
  return bytes
}

const entry = (dtype: unknown, shape: unknown, begin: unknown, end: unknown) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

describe('what is written is read', () => {
  test('a state dict, with its metadata, bit for bit, from a file and from memory', () => {
    const { ...state } = trained(5).stateDict()
    saveSafetensors(path, state, { format: 'pt' })
    expect(new Uint8Array(readFileSync(path))).toEqual(encodeSafetensors(state, { format: 'pt' }))
    using file = loadSafetensors(path)
    expect(file.metadata).toEqual({ format: 'pt' })
    const module = new BatchNorm1d(5)
    module.loadStateDict(Object.fromEntries([...file.tensors.keys()].map((key) => [key, file.get(key)])))
    expect(module.stateDict()).toEqual(state)
    expect(readdirSync(folder)).toEqual(['file.safetensors'])
  })

  test('any tensors, of any shapes and types, each at a multiple of its element', () => {
    const data = fc.oneof(
      fc.float32Array({ maxLength: 9 }),
      fc.float64Array({ maxLength: 9 }),
      fc.bigInt64Array({ maxLength: 9 }),
    )
    const key = fc
      .string({ unit: 'grapheme' })
      .filter((text) => text !== '__metadata__' && text !== '__proto__')
    fc.assert(
      fc.property(fc.dictionary(key, data), (arrays) => {
        const tensors = Object.fromEntries(
          Object.entries(arrays).map(([name, each]) => [
            name,
            tensor(each as Float32Array, [1, each.length]),
          ]),
        )
        const bytes = encodeSafetensors(tensors)
        const file = decodeSafetensors(bytes)
        expect(new Set(file.tensors.keys())).toEqual(new Set(Object.keys(tensors)))
        for (const [name, { data: values, shape }] of Object.entries(tensors)) {
          const read = file.get(name) as Tensor<TensorData>
          expect(read.shape).toEqual(shape)
          expect(new Uint8Array(read.data.buffer)).toEqual(
            new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
          )
        }
        const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true))
        expect(headerLength % 8).toBe(0)
        const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)))
        for (const {
          dtype,
          data_offsets: [begin],
        } of Object.values<ReturnType<typeof entry>>(header)) {
          expect((begin as number) % (dtype === 'F32' ? 4 : 8)).toBe(0)
        }
      }),
    )
  })

  test('tensors of other types are listed, and copied byte for byte', () => {
    const bytes = fileOf({ a: entry('F8_E4M3', [2, 3], 0, 6), b: entry('NEW', [5], 6, 10) }, 10)
    bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], bytes.length - 10)
    const copy = decodeSafetensors(encodeSafetensors(decodeSafetensors(bytes).tensors))
    expect(
      [...copy.tensors].map(([key, { type, shape, byteLength }]) => [key, type, shape, byteLength]),
    ).toEqual([
      ['a', 'F8_E4M3', [2, 3], 6],
      ['b', 'NEW', [5], 4],
    ])
    expect(copy.tensors.get('b')?.bytes()).toEqual(Uint8Array.of(7, 8, 9, 10))
    expect(() => copy.get('a')).toThrow(/dtype of tensor 'a'.*F32.*'F8_E4M3'/)
  })
})

test('a tensor is read when it is asked for, not before', () => {
  saveSafetensors(path, { first: normal([4], 1), last: normal([1000], 2) })
  using file = loadSafetensors(path)
  truncateSync(path, readFileSync(path).length - 2000)
  expect(file.get('first').data).toEqual(normal([4], 1).data)
  expect(() => file.get('last')).toThrow(/file\.safetensors/)
})

describe('a damaged file is an error that says how:', () => {
  const good = entry('F32', [2], 0, 8)
  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /at least 8 bytes.*truncated/],
    [
      'a header of 100 GB',
      fileOf('{}', 0, 100_000_000_000n),
      /header length.*at most 100000000.*100000000000n/,
    ],
    ['a header longer than the file', fileOf('{}', 0, 99n), /header length.*at most 2.*truncated/],
    ['no JSON', fileOf('{"a":'), /header of the bytes to be JSON/],
    ['JSON that is no object', fileOf('[]'), /JSON object but received \[\]/],
    [
      'a key twice',
      fileOf(`{"a":${JSON.stringify(good)},"a":${JSON.stringify(good)}}`, 8),
      /repeated keys.*'a' twice/,
    ],
    ['a shape that is none', fileOf({ a: entry('F32', [2.5], 0, 10) }, 10), /shape of tensor 'a'.*\[2\.5\]/],
    ['a negative size', fileOf({ a: entry('F32', [-2], 0, 8) }, 8), /shape of tensor 'a'.*\[-2\]/],
    [
      'offsets past the end',
      fileOf({ a: good }, 4),
      /data_offsets of tensor 'a'.*within 4 bytes.*\[0, 8\].*truncated/,
    ],
    ['offsets the wrong way round', fileOf({ a: entry('F32', [2], 8, 0) }, 8), /begin at most end/],
    [
      'bytes that do not fit the shape',
      fileOf({ a: entry('F32', [3], 0, 8) }, 8),
      /12 bytes, for F32 of shape \[3\]/,
    ],
    [
      'a shape whose product overflows',
      fileOf({ a: entry('F32', [2 ** 52, 2 ** 52], 0, 8) }, 8),
      /tensor 'a'/,
    ],
    [
      'tensors that overlap',
      fileOf({ a: good, b: entry('F32', [2], 4, 12) }, 12),
      /tensor 'b'.*must not overlap/,
    ],
    ['a gap', fileOf({ a: good, b: entry('F32', [2], 12, 20) }, 20), /tensor 'b'.*no gap/],
    ['bytes after the last tensor', fileOf({ a: good }, 9), /appended/],
    [
      'metadata that is not text',
      fileOf({ __metadata__: { a: 1 }, a: good }, 8),
      /__metadata__\.a to be a string/,
    ],
    ['no dtype', fileOf({ a: entry(undefined, [2], 0, 8) }, 8), /dtype of tensor 'a'/],
  ])('%s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(message)
    writeFileSync(path, bytes)
    expect(() => loadSafetensors(path)).toThrow(/file\.safetensors/)
  })
})

describe('what cannot be written is an error, and the file stays:', () => {
  const x = normal([2], 1)
  test.each<[string, () => unknown, RegExp]>([
    [
      'a key twice',
      () =>
        new Map().set('a', x) && [
          ['a', x],
          ['a', x],
        ],
      /without repeated keys.*'a'/,
    ],
    ['a reserved key', () => ({ __metadata__: x }), /__metadata__/],
    ['no tensor', () => ({ a: 3 }), /tensors\['a'\] to be a tensor/],
    [
      'a length that is not the shape',
      () => ({ a: { data: x.data, shape: [3] } }),
      /tensors\['a'\]\.data to be of length 3/,
    ],
    ['another type', () => ({ a: { data: new Int8Array(2), shape: [2] } }), /tensors\['a'\]\.data/],
  ])('%s', (_, tensors, message) => {
    writeFileSync(path, 'mine')
    expect(() => saveSafetensors(path, tensors() as never)).toThrow(message)
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(readdirSync(folder)).toEqual(['file.safetensors'])
  })
})
