/** What is not safetensors is named as what it is, by its content, with what to do about it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { BatchNorm1d, decodeSafetensors, loadSafetensors } from '../lib/index.ts'
import { toOnnx } from '../lib/interop/onnx/index.ts'
import { entry, fileOf } from './support/safetensors-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-formats-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A character for each byte. */
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
/** As zips lie: a header and the data of each member, and all names once more at the end. */
const zip = (...names: string[]) => {
  const member = (name: string) =>
    `PK\x03\x04\x14\0\0\0\0\0${'\0'.repeat(16)}${String.fromCharCode(name.length)}\0\0\0${name}${'\x07'.repeat(1e5)}`
  return bytesOf(
    `${names.map(member).join('')}${names.map((name) => `PK\x01\x02${name}`).join('')}PK\x05\x06`,
  )
}
const page = '<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>'
const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'

test.each<[string, Uint8Array, RegExp]>([
  [
    'model.onnx',
    toOnnx(new BatchNorm1d(2)),
    /an ONNX model \(fromOnnx\(bytes\) of 'batchnorm\/onnx' reads it, and batchnorm fold folds what is called \.onnx\)/,
  ],
  ['model.onnx of tf2onnx', bytesOf('\x08\x08\x12\x07tf2onnx\x1a\x061.16.1'), /an ONNX model/],
  [
    'model.h5',
    bytesOf(`\x89HDF\r\n\x1a\n${'\0'.repeat(90)}`),
    /an HDF5 file \(\.h5 of Keras\) \(.*fromConvention\('keras'/,
  ],
  ['model.keras', zip('metadata.json', 'config.json', 'model.weights.h5'), /a Keras file .*fromConvention/],
  ['model.gguf', bytesOf('GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0'), /a GGUF file/],
  ['model.pt', zip('archive/data.pkl', 'archive/data/0'), /a PyTorch file .*safetensors\.torch\.save_file/],
  [
    'model.pth',
    bytesOf('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'),
    /a pickle .*safetensors\.torch\.save_file/,
  ],
  ['model.pkl', bytesOf('\x80\x05\x95\x10\0\0\0\0\0\0\0}\x94.'), /a pickle /],
  ['model.npz', zip('gamma.npy', 'beta.npy'), /a NumPy archive .*safetensors\.numpy\.save_file/],
  ['gamma.npy', bytesOf("\x93NUMPY\x01\0v\0{'descr': '<f4'}"), /a NumPy array/],
  [
    'flax_model.msgpack',
    bytesOf('\x82\xa6params\x81\xa4scale'),
    /MessagePack .*safetensors\.flax\.save_file/,
  ],
  ['model.tflite', bytesOf('\x1c\0\0\0TFL3\x14\0\x20\0'), /a TensorFlow Lite model/],
  // A time of 0 makes a length of these bytes that a header could have.
  ['model.safetensors.gz', gzipSync(new Uint8Array(1e6)), /a gzip file \(unpack it first\)/],
  ['model.zip', zip('model.safetensors'), /a zip file \(unpack it first\)/],
  ['pointer', bytesOf(pointer), /a Git LFS pointer.* \(git lfs pull fetches it\)/],
  ['page', bytesOf(page), /HTML, .*\(download the file itself\)/],
  ['page with a byte order mark', bytesOf(`\xef\xbb\xbf\n${page}`), /HTML/],
])('%s', (_, bytes, received) => {
  const path = join(folder, 'model.safetensors')
  writeFileSync(path, bytes)
  const expected = 'to be a safetensors file but received '
  for (const call of [() => loadSafetensors(path), () => decodeSafetensors(bytes)]) {
    expect(call).toThrow(RangeError)
    expect(call).toThrow(expected)
    expect(call).toThrow(received)
  }
  expect(() => loadSafetensors(path)).toThrow(path)
})

test.each(['{}', '  {"hidden_size": 768}', '\ufeff{}'])('JSON that is no index: %j', (text) => {
  const path = join(folder, 'config.json')
  writeFileSync(path, text)
  expect(() => loadSafetensors(path)).toThrow(/config\.json to be .*JSON/)
  expect(() => decodeSafetensors(new TextEncoder().encode(text))).toThrow(
    /the bytes to be a safetensors file but received JSON \(.*loadSafetensors\(path\)/,
  )
})

// 123 and 91 are the codes of { and [, as JSON begins; 0x88b1f has the first bytes of gzip.
test.each([123, 91, 0x227b, 0x88b1f])('a header of %i bytes is none of another format', (length) => {
  const path = join(folder, 'model.safetensors')
  const bytes = fileOf(JSON.stringify({ a: entry('F32', [2], 0, 8) }).padEnd(length), 8)
  writeFileSync(path, bytes)
  using file = loadSafetensors(path)
  for (const { tensors } of [file, decodeSafetensors(bytes)]) expect([...tensors.keys()]).toEqual(['a'])
})
