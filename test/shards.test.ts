/** Checkpoints in shards: the index leads to all tensors, and to no other file. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  batchNormState,
  encodeSafetensors,
  findBatchNorms,
  loadSafetensors,
  type Savables,
  saveSafetensors,
  tensor,
} from '../lib/index.ts'
import { below, trained } from './support/module.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-shards-'))
const at = (name: string) => join(folder, name)
const index = at('model.safetensors.index.json')
afterAll(() => rmSync(folder, { recursive: true }))

const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
const [bn1, bn2] = [trained(3), trained(4)]
const all = [...below('bn1', bn1), ...below('bn2', bn2)]
// A batch norm may lie in two of them.
const halves: Record<string, typeof all> = { [one]: all.slice(0, 7), [two]: all.slice(7) }
const places = Object.fromEntries(
  Object.entries(halves).flatMap(([file, tensors]) => tensors.map(([key]) => [key, file])),
)

function writeIndex(weight_map: unknown, metadata: unknown = { total_size: 108 }): void {
  writeFileSync(index, JSON.stringify({ metadata, weight_map }))
}

beforeEach(() => {
  saveSafetensors(at(one), halves[one], { format: 'pt', shard: 'one' })
  saveSafetensors(at(two), halves[two], { format: 'pt', shard: 'two', note: 'kept' })
  writeIndex(places)
})

test('all tensors of all shards, in the order of the index, as one file has them', () => {
  using file = loadSafetensors(index)
  expect(file.name).toBe(index)
  expect([...file.tensors.keys()]).toEqual(all.map(([key]) => key))
  expect(findBatchNorms(file).map(({ prefix, numFeatures }) => [prefix, numFeatures])).toEqual([
    ['bn1', 3],
    ['bn2', 4],
  ])
  for (const [prefix, source] of [
    ['bn1', bn1],
    ['bn2', bn2],
  ] as const) {
    const module = new BatchNorm1d(source.numFeatures)
    module.loadStateDict(batchNormState(file, prefix))
    expect(module.stateDict()).toEqual(source.stateDict())
  }
  expect(encodeSafetensors(file.tensors)).toEqual(encodeSafetensors(all))
  expect(() => file.get('absent')).toThrow(/key to be that of a tensor of .*index\.json/)
})

test('metadata are those of the shards, of two the first', () => {
  using file = loadSafetensors(index)
  expect(file.metadata).toEqual({ format: 'pt', shard: 'one', note: 'kept' })
})

test('a closed checkpoint reads no more, from any shard', () => {
  const file = loadSafetensors(index)
  file.close()
  for (const key of ['bn1.weight', 'bn2.running_var']) expect(() => file.get(key)).toThrow(/after close\(\)/)
})

test.skipIf(process.platform === 'win32')('a link is followed: caches of downloads are made of them', () => {
  mkdirSync(at('snapshot'), { recursive: true })
  for (const name of [one, two, 'model.safetensors.index.json']) symlinkSync(at(name), at(`snapshot/${name}`))
  using file = loadSafetensors(at('snapshot/model.safetensors.index.json'))
  expect(file.tensors.size).toBe(10)
  rmSync(at('snapshot'), { recursive: true })
})

test('shards in a folder of the folder', () => {
  mkdirSync(at('parts'), { recursive: true })
  saveSafetensors(at('parts/a.safetensors'), { a: tensor([1]) })
  writeIndex({ a: 'parts/a.safetensors' })
  using file = loadSafetensors(index)
  expect(file.get('a').data).toEqual(Float32Array.of(1))
})

describe('what does not fit is an error, and no file stays open:', () => {
  const changed = (file: string, tensors: Savables) => () => saveSafetensors(at(file), tensors)
  const mapped = (change: object) => () => writeIndex({ ...places, ...change })
  const text = (json: string) => () => writeFileSync(index, json)
  const [first, ...rest] = halves[two]
  test.each<[string, () => void, RegExp]>([
    [
      'a shard that is not there',
      () => rmSync(at(two)),
      /the shard .*00002-of.* to be there, as .*index\.json says/,
    ],
    [
      'a shard that is damaged',
      () => writeFileSync(at(two), 'no'),
      /00002-of-00002\.safetensors to be a safetensors file/,
    ],
    [
      'a shard of another format',
      () => writeFileSync(at(two), 'GGUF\x03\0\0\0'),
      /00002.* received a GGUF file/,
    ],
    [
      'a shard that is an index',
      mapped({ more: 'model.safetensors.index.json' }),
      /index\.json to be .* received JSON/,
    ],
    ['a shard that is a folder', mapped({ more: '.' }), /path to be that of a file/],
    [
      'a tensor that is in no shard',
      mapped({ absent: one }),
      /tensor 'absent' of .*to be in 'model-00001.* in no shard/,
    ],
    [
      'a tensor that is in another shard',
      mapped({ [first[0]]: one }),
      /'bn2\.running_mean' .*in 'model-00001.*it is in \['model-00002/,
    ],
    [
      'a tensor that is in two shards',
      changed(one, [...halves[one], first]),
      /'bn2\.running_mean' .* in 'model-00002.* alone.*received it in 'model-00001/,
    ],
    [
      'a tensor that the index leaves out',
      changed(two, [first, ...rest, ['more', tensor([1])]]),
      /'more' of .*to be in the weight_map .*'model-00002/,
    ],
    [
      'a shard under two names',
      mapped({ [first[0]]: `./${two}` }),
      /tensor '.*' of .* alone, as the weight_map says/,
    ],
    [
      'no weight_map',
      text('{"metadata":{"total_size":1}}'),
      /index of one in shards, but received JSON without a weight_map/,
    ],
    ['a list', text('[{"weight_map":{}}]'), /index\.json to be a JSON object/],
    [
      'a weight_map that is a list',
      () => writeIndex([one]),
      /weight_map of .* to be an object of file names/,
    ],
    [
      'a name that is none',
      () => writeIndex({ a: 1 }),
      /weight_map of .*: 'a' to be the name of a file but received 1/,
    ],
    ['a list of names', () => writeIndex({ a: [one] }), /'a' to be the name of a file but received \[/],
    ['a key twice', text(`{"weight_map":{"a":"${one}","a":"${two}"}}`), /without repeated keys.*'a' twice/],
    ['JSON that is cut off', text('{"weight_map":{"a":"mod'), /index\.json to be JSON/],
    ['JSON too deep', text(`{"weight_map":${'['.repeat(1000)}`), /JSON at most 16 deep/],
    ['a shard of PyTorch', () => writeFileSync(at(two), '\x80\x02}.', 'latin1'), /00002.* received a pickle/],
  ])('%s', (_, change, message) => {
    change()
    const before = openFiles()
    expect(() => loadSafetensors(index)).toThrow(message)
    expect(openFiles()).toBe(before)
    rmSync(at(two), { recursive: true, force: true })
  })

  test.each([
    '../secret.safetensors',
    'a/../../secret.safetensors',
    '..\\secret.safetensors',
    'a\\..\\..\\secret.safetensors',
    '..',
    '/etc/secret.safetensors',
    '\\\\server\\share\\secret.safetensors',
    'C:\\secret.safetensors',
    'c:secret.safetensors',
    'a\0b.safetensors',
    '',
  ])('the name %j leads to no file', (name) => {
    writeIndex({ ...places, secret: name })
    expect(() => loadSafetensors(index)).toThrow(
      /weight_map of .*: 'secret' to be the name of a file in the same folder/,
    )
  })
})

/** How many files this process has open, where the system tells. */
function openFiles(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0
}
