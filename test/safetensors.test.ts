/** safetensors files: what is written is read, and what is damaged is named. */
import { constants } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
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
import { isThorough } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { normal, trained } from './support/module.ts'
import { entry, fileOf } from './support/safetensors-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-safetensors-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'file.safetensors')

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

  test('in the order of the reference, by type and then by the bytes of the name, whatever the order given', () => {
    const types = (
      'U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E5M2FNUZ F8_E4M3FNUZ F8_E8M0 F8_E4M3 F8_E5M2 I8 U8 ' +
      'F6_E3M2 F6_E2M3 F4 BOOL'
    ).split(' ')
    const names = ['10', '2', 'B', 'a', 'a.10', 'a.9', 'é', '\uffee', '😀']
    const all = types.flatMap((type) => names.map((name) => [`${name}!${type}`, type] as const))
    const header = Object.fromEntries(all.map(([name, type]) => [name, entry(type, [0], 0, 0)]))
    const { tensors } = decodeSafetensors(fileOf(header))
    const bytes = encodeSafetensors([...tensors].reverse())
    const text = new TextDecoder().decode(bytes.subarray(8)).trimEnd()
    // JSON.parse would put keys that are numbers first.
    const keys = [...text.matchAll(/"((?:[^"\\]|\\.)*)":\{/g)].map(([, key]) => key)
    expect(keys).toEqual(all.map(([name]) => name))
  })

  // What safetensors 0.8.0 writes of the same tensors.
  test.each<[string, () => Uint8Array, string, number[]]>([
    ['nothing', () => encodeSafetensors({}), '{}      ', []],
    [
      'metadata alone',
      () => encodeSafetensors({}, { framework: 'pt' }),
      '{"__metadata__":{"framework":"pt"}}     ',
      [],
    ],
    [
      'names that are numbers, and escapes',
      () =>
        encodeSafetensors({ 10: tensor([1]), 9: tensor([2]), '"\\\n\x01\x7f': tensor(BigInt64Array.of(3n)) }),
      '{"\\"\\\\\\n\\u0001\x7f":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},' +
        '"10":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},' +
        '"9":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}',
      [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64],
    ],
  ])('the bytes of the reference: %s', (_, write, header, data) => {
    const text = new TextEncoder().encode(header)
    const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(32)
    padded.set(text)
    expect(write()).toEqual(fileOf(padded, Uint8Array.from(data)))
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

test('a file of 3 GiB with a hole in it is opened, and its last tensor read, in the memory of the latter', () => {
  const large = 3 * 2 ** 30
  const header = { large: entry('F32', [3, 2 ** 28], 0, large), last: entry('F32', [2], large, large + 8) }
  const bytes = fileOf(header)
  const descriptor = openSync(path, 'w')
  writeSync(descriptor, bytes)
  writeSync(descriptor, new Uint8Array(Float32Array.of(1.5, -2).buffer), 0, 8, bytes.length + large)
  closeSync(descriptor)
  expect(statSync(path).size).toBe(bytes.length + large + 8)
  const before = process.memoryUsage().arrayBuffers
  using file = loadSafetensors(path)
  expect(file.tensors.get('large')).toMatchObject({ shape: [3, 2 ** 28], byteLength: large })
  expect(file.get('last').data).toEqual(Float32Array.of(1.5, -2))
  expect(file.tensors.get('large')?.bytes(large - 4)).toEqual(new Uint8Array(4))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20)
  rmSync(path)
})

test('more than an array of Node.js 20 can have is no array, and is said so before it is read', () => {
  const large = 5 * 2 ** 30
  const descriptor = openSync(path, 'w')
  const bytes = fileOf({ large: entry('U8', [large], 0, large) })
  writeSync(descriptor, bytes)
  closeSync(descriptor)
  truncateSync(path, bytes.length + large)
  using file = loadSafetensors(path)
  const stored = file.tensors.get('large')
  expect(stored?.bytes(large - 4)).toEqual(new Uint8Array(4))
  if (constants.MAX_LENGTH < large) {
    const error = /'large'.* at most \d+ elements.*bytes\(begin, end\)/
    expect(() => stored?.bytes()).toThrow(error)
    expect(() => stored?.read()).toThrow(error)
    expect(() => encodeSafetensors(file.tensors)).toThrow(/the file.*saveSafetensors/)
  }
  rmSync(path)
})

test('a tensor of more than one piece is written, copied and read', () => {
  const data = new Float64Array(2 ** 23 + 3)
  for (let index = 0; index < data.length; index++) data[index] = index
  saveSafetensors(path, { large: tensor(data, [data.length]), last: tensor([7]) })
  using file = loadSafetensors(path)
  const copy = decodeSafetensors(encodeSafetensors(file.tensors))
  for (const { tensors } of [file, copy]) {
    expect(difference(tensors.get('large')?.read().data as Float64Array, data)).toBeNull()
    expect(tensors.get('last')?.read().data).toEqual(Float32Array.of(7))
  }
})

test.skipIf(process.platform === 'win32')('a pipe is no file, and is not waited for', () => {
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  expect(() => loadSafetensors(pipe)).toThrow(/path to be that of a file.*pipe/)
  rmSync(pipe)
})

test('a key of millions of escapes is read', () => {
  const key = '\\"'.repeat(10_000_000)
  const file = decodeSafetensors(fileOf({ [key]: entry('U8', [0], 0, 0) }))
  expect([...file.tensors.keys()][0] === key).toBe(true)
})

test.each(['a":{"b":1,"b":2},"c', '{'.repeat(100), '\\'.repeat(3), '\\","dtype":"F32","dtype'])(
  'the key %s is no structure',
  (key) => {
    const file = decodeSafetensors(fileOf({ [key]: entry('U8', [0], 0, 0), other: entry('U8', [0], 0, 0) }))
    expect([...file.tensors.keys()]).toEqual([key, 'other'])
  },
)

describe('whatever is changed in a file, it is read or the error is ours:', () => {
  const valid = fileOf(
    {
      __metadata__: { format: 'pt', 'a "quoted" \\ key': '{}[]:' },
      'bn.weight': entry('F32', [3], 0, 12),
      'bn.bias': entry('BF16', [2, 3], 12, 24),
      count: entry('I64', [], 24, 32),
      empty: entry('F64', [0, 7], 32, 32),
      flags: entry('BOOL', [5], 32, 37),
    },
    37,
  )
  const headerLength = Number(new DataView(valid.buffer).getBigUint64(0, true))
  const numRuns = isThorough ? 2000 : 500

  /** Reads all of it. What cannot be read must say so in our words. */
  function readAll(bytes: Uint8Array): 'read' | 'refused' {
    let file: ReturnType<typeof decodeSafetensors>
    try {
      file = decodeSafetensors(bytes)
    } catch (error) {
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
      expect((error as Error).message).toMatch(/^Expected [\s\S]*the bytes[\s\S]* but received /)
      expect((error as Error).message.length).toBeLessThan(2000)
      return 'refused'
    }
    let total = 0
    for (const stored of file.tensors.values()) {
      expect(stored.bytes()).toHaveLength(stored.byteLength)
      total += stored.byteLength
      try {
        const { data, shape } = stored.numbers()
        expect(data).toHaveLength(shape.reduce((count, size) => count * size, 1))
      } catch (error) {
        expect((error as Error).message).toMatch(/^Expected dtype of tensor /)
      }
    }
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
    expect(total).toBe(bytes.length - 8 - length)
    return 'read'
  }

  test('bytes', () => {
    const place = fc.nat({ max: valid.length })
    const change = fc.oneof(
      fc.tuple(fc.constant('set'), place, fc.uint8Array({ minLength: 1, maxLength: 4 })),
      fc.tuple(fc.constant('insert'), place, fc.uint8Array({ maxLength: 9 })),
      fc.tuple(fc.constant('remove'), place, fc.uint8Array({ maxLength: 30 })),
      fc.tuple(fc.constant('cut'), place, fc.constant(new Uint8Array())),
    )
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        let bytes = valid
        for (const [kind, at, values] of changes) {
          const rest = { set: at + values.length, insert: at, remove: at + values.length, cut: Infinity }[
            kind
          ]
          const middle = kind === 'set' || kind === 'insert' ? values : []
          bytes = Uint8Array.from([...bytes.subarray(0, at), ...middle, ...bytes.subarray(rest)])
        }
        readAll(bytes)
      }),
      { numRuns },
    )
  })

  test('words of the header, its length still right', () => {
    const text = new TextDecoder().decode(valid.subarray(8, 8 + headerLength))
    const words = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+|[{}[\]:,]/g)].map(([word]) => word)
    const word = fc.oneof(
      fc.constantFrom(
        ...words,
        '""',
        '-1',
        '0.5',
        '1e400',
        '9007199254740993',
        '1e15',
        'null',
        '[[',
        '{}',
        '"U8"',
      ),
      fc.json(),
    )
    const outcomes = new Set<string>()
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: words.length - 1 }), word), { maxLength: 3 }),
        (changes) => {
          const changed = [...words]
          for (const [at, value] of changes) changed[at] = value
          outcomes.add(readAll(fileOf(changed.join(''), 37)))
        },
      ),
      { numRuns },
    )
    expect(outcomes).toEqual(new Set(['read', 'refused']))
  })
})

test.each<[string, Uint8Array, string[]]>([
  ['spaces of JSON around the header', fileOf('\t\n{}\r '), []],
  ['a tensor of no elements', fileOf({ a: entry('I32', [2, 0], 0, 0) }), ['a']],
  ['a scalar', fileOf({ a: entry('I32', [], 0, 4) }, 4), ['a']],
  [
    'a pair of surrogates as escapes',
    fileOf('{"\\ud83d\\ude00":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    ['😀'],
  ],
  [
    'offsets in another order than the names',
    fileOf({ a: entry('U8', [1], 1, 2), b: entry('U8', [1], 0, 1) }, 2),
    ['a', 'b'],
  ],
])('%s: read', (_, bytes, keys) => {
  expect([...decodeSafetensors(bytes).tensors.keys()]).toEqual(keys)
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
    ['no UTF-8', fileOf('{"a":1}').fill(0xff, 10, 11), /header of the bytes to be UTF-8/],
    ['JSON too deep', fileOf('['.repeat(1000)), /JSON at most 16 deep.*1000/],
    [
      'a key twice, once with an escape',
      fileOf(`{"a":${JSON.stringify(good)},"\\u0061":${JSON.stringify(good)}}`, 8),
      /repeated keys.*'a' twice/,
    ],
    [
      'a word twice in a tensor',
      fileOf('{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8),
      /repeated keys.*'dtype' twice/,
    ],
    ['a tensor that is null', fileOf({ a: null }), /tensor 'a'.*dtype, shape, data_offsets.*null/],
    ['a dtype that is a number', fileOf({ a: entry(32, [2], 0, 8) }, 8), /dtype of tensor 'a'.*32/],
    [
      'a dtype of another size',
      fileOf({ a: entry('F64', [2], 0, 8) }, 8),
      /16 bytes, for F64 of shape \[2\]/,
    ],
    [
      'a size beyond 2^53',
      fileOf('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}}', 8),
      /shape of tensor 'a'/,
    ],
    [
      'a size beyond all numbers',
      fileOf('{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,8]}}', 8),
      /shape of/,
    ],
    [
      'offsets beyond 2^53',
      fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9007199254740993]}}', 8),
      /data_offsets of tensor 'a'/,
    ],
    [
      'a product of 0 and more than all numbers',
      fileOf({ a: entry('F32', [...Array(40).fill(2 ** 52), 0], 0, 0) }),
      /tensor 'a'/,
    ],
    ['three offsets', fileOf({ a: { ...good, data_offsets: [0, 4, 8] } }, 8), /data_offsets of tensor 'a'/],
    ['metadata that is a list', fileOf({ __metadata__: ['a'] }), /__metadata__ to be an object of strings/],
    ['a key too long to read', fileOf({ ['k'.repeat(1e6)]: 1 }), /^.{200,600}$/],
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
    ['no shape', fileOf({ a: entry('F32', undefined, 0, 8) }, 8), /shape of tensor 'a'.*undefined/],
    ['no offsets', fileOf('{"a":{"dtype":"F32","shape":[2]}}', 8), /data_offsets of tensor 'a'.*undefined/],
    ['seven bytes', new Uint8Array(7), /at least 8 bytes.*truncated/],
    [
      'a length and nothing after it',
      fileOf('', 0, 60n),
      /header length.*at most 0.*received 60n.*truncated/,
    ],
    ['a header of no bytes', fileOf(''), /header of the bytes to be JSON/],
    [
      'a length of 8 bytes',
      fileOf({ a: good }, 8, 0xffff_ff00_0000_003cn),
      /header length.*at most 100000000.*18446742974197923900n/,
    ],
    ['a header of 100 MB and a byte', fileOf('{}', 0, 100_000_001n), /at most 100000000.*100000001n/],
    ['one byte that is no UTF-8', fileOf(Uint8Array.of(0xff)), /header of the bytes to be UTF-8/],
    ['UTF-8 of half of a pair', fileOf(Uint8Array.of(0xed, 0xa0, 0x80)), /header of the bytes to be UTF-8/],
    ['one bracket', fileOf('{'), /header of the bytes to be JSON/],
    ['a byte order mark', fileOf('\ufeff{}'), /header of the bytes to be JSON/],
    ['text after the JSON', fileOf('{}x'), /header of the bytes to be JSON/],
    ['zeros after the JSON', fileOf('{}\0\0'), /header of the bytes to be JSON/],
    ['JSON that is a number', fileOf('12345678'), /JSON object but received 12345678/],
    ['JSON that is null', fileOf('null'), /JSON object but received null/],
    [
      'tensors that all lie in the same bytes',
      fileOf(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`w${i}`, good])), 8),
      /tensor 'w1'.*must not overlap/,
    ],
    [
      'a hole before the first tensor',
      fileOf({ a: entry('F32', [2], 4, 12) }, 12),
      /at 0, right after the header/,
    ],
    ['a tensor less than its bytes', fileOf({ a: good }, 6), /within 6 bytes.*truncated/],
    ['a polyglot', fileOf({ a: good }, new TextEncoder().encode('8 bytes.#!/bin/sh')), /appended/],
    ['bytes, and no tensor', fileOf('{}', 4), /up to the end of the header.*appended/],
    ['an element less than its shape', fileOf({ a: entry('I32', [2, 2], 0, 4) }, 4), /16 bytes, for I32/],
    [
      'half a byte',
      fileOf({ a: entry('F4', [3], 0, 2) }, 2),
      /1.5 bytes, for F4 of shape \[3\], but received '2 bytes'/,
    ],
    [
      'a shape beyond 2^64',
      fileOf('{"a":{"dtype":"I32","shape":[2,18446744073709551614],"data_offsets":[0,16]}}', 16),
      /shape of tensor 'a'/,
    ],
    [
      'bits beyond 2^64',
      fileOf('{"a":{"dtype":"I32","shape":[2,9223372036854775807],"data_offsets":[0,16]}}', 16),
      /shape of tensor 'a'/,
    ],
    ['a size that is text', fileOf({ a: entry('F32', ['2'], 0, 8) }, 8), /shape of tensor 'a'/],
    ['offsets below 0', fileOf({ a: entry('F32', [2], -8, 0) }, 8), /data_offsets of tensor 'a'.*\[-8, 0\]/],
    ['metadata in metadata', fileOf({ __metadata__: { a: {} } }), /__metadata__\.a to be a string/],
    ['metadata that are text', fileOf({ __metadata__: 'pt' }), /__metadata__ to be an object of strings/],
    ['half of a pair in a name', fileOf('{"\\ud800":1}'), /name of tensor .* text that UTF-8 can hold/],
    [
      'half of a pair in metadata',
      fileOf('{"__metadata__":{"a":"\\udc00"}}'),
      /__metadata__\.a to be text that UTF-8 can hold/,
    ],
  ])('%s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(message)
    writeFileSync(path, bytes)
    expect(() => loadSafetensors(path)).toThrow(/file\.safetensors/)
  })
})

test('the longest header that readers take is written, and read', () => {
  const note = 'é'.repeat(49_999_985)
  const bytes = encodeSafetensors({}, { note })
  expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(100_000_000n)
  expect(decodeSafetensors(bytes).metadata.note === note).toBe(true)
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
    [
      'bits that do not say of what',
      () => ({ a: { data: new Uint16Array(2), shape: [2] } }),
      /tensors\['a'\]\.dtype to be 'bfloat16' or 'float16'/,
    ],
    [
      'a dtype that is not that of the data',
      () => ({ a: { data: x.data, shape: [2], dtype: 'float16' } }),
      /tensors\['a'\]\.dtype to be 'float32', for a Float32Array of length 2, but received 'float16'/,
    ],
    [
      'a dtype that there is not',
      () => ({ a: { data: x.data, shape: [2], dtype: 'nonsense' } }),
      /tensors\['a'\]\.dtype to be 'float32'.*'nonsense'/,
    ],
    ['half of a pair in a key', () => ({ 'a\ud800': x }), /keys of tensors to be text that UTF-8 can hold/],
    [
      'half of a pair, the second',
      () => ({ '\udfffb': x }),
      /keys of tensors to be text that UTF-8 can hold/,
    ],
    ['half of a pair in metadata', () => [{}, { note: '\ud800' }], /metadata\.note to be text that UTF-8/],
    ['half of a pair for a key there', () => [{}, { '\udc00': '' }], /metadata\..* to be text that UTF-8/],
    [
      'a header that no reader takes',
      () => [{}, { note: 'a'.repeat(100_000_000) }],
      /header to be at most 100000000 bytes.*received 100000032 \(fewer tensors/,
    ],
    [
      'a key that no reader takes',
      () => ({ ['é'.repeat(50_000_000)]: x }),
      /header to be at most 100000000 bytes/,
    ],
  ])('%s', (_, given, message) => {
    writeFileSync(path, 'mine')
    const all = given()
    const [tensors, metadata] = Array.isArray(all) && !Array.isArray(all[0]) ? all : [all]
    expect(() => saveSafetensors(path, tensors as never, metadata)).toThrow(message)
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(readdirSync(folder)).toEqual(['file.safetensors'])
  })
})
