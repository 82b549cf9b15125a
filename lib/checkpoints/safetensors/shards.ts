/**
 * A checkpoint in shards: `model.safetensors.index.json` says in its `weight_map` which file beside it has
 * which tensor. https://huggingface.co/docs/transformers/big_models
 */
import { dirname, join, win32 } from 'node:path'
import { describe, invalidType, invalidValue, quoted } from '../../checks/errors.ts'
import { type Contents, contentsOf } from './contents.ts'
import { tensorName } from './header.ts'
import { isObject, longestHeader, parseObject } from './json.ts'
import { fileSource, type Source } from './source.ts'
import type { StoredTensor } from './stored-tensor.ts'

/**
 * All shards as one: each tensor is in one of them, and in that which the index says. Metadata are those of the
 * shards. The index is closed, and so are the shards if anything is wrong.
 */
export function contentsOfIndex(index: Source): Contents {
  const { name } = index
  const places = weightMap(index)
  const open = new Map<string, Contents>()
  const close = () => {
    for (const shard of open.values()) shard.close()
  }
  try {
    for (const file of new Set(places.values())) open.set(file, openShard(file, name))
    const tensors = [...places].map(([key, file]) => [key, tensorOf(key, file, open, name)] as const)
    for (const [file, shard] of open) assertMapped(file, shard, places, name)
    // Where two differ, the first one counts.
    const metadata = Object.assign({}, ...[...open.values()].map((shard) => shard.metadata).reverse())
    return { name, metadata, tensors: new Map(tensors), close }
  } catch (error) {
    close()
    throw error
  }
}

/** The file of each tensor. */
function weightMap(index: Source): ReadonlyMap<string, string> {
  const { name, size, read, close } = index
  try {
    if (size > longestHeader) throw invalidValue(name, `at most ${longestHeader} bytes of JSON`, size)
    const { weight_map: map } = parseObject(read(0, size), name)
    if (map === undefined) {
      throw new RangeError(
        `Expected ${name} to be a safetensors file, or the index of one in shards, but received JSON without a weight_map`,
      )
    }
    if (!isObject(map)) throw invalidType(`weight_map of ${name}`, 'an object of file names', map)
    for (const [key, file] of Object.entries(map)) assertBeside(`weight_map of ${name}: ${quoted(key)}`, file)
    return new Map(Object.entries(map as Record<string, string>))
  } finally {
    close()
  }
}

/** An index comes from anywhere: it must not name a file that is not of its folder. */
function assertBeside(owner: string, file: unknown): void {
  if (typeof file !== 'string') throw invalidType(owner, 'the name of a file', file)
  const leaves = file.split(/[/\\]/).includes('..') || win32.isAbsolute(file) || /^[a-z]:/i.test(file)
  if (file !== '' && !leaves && !file.includes('\0')) return
  throw invalidValue(owner, 'the name of a file in the same folder', file)
}

function openShard(file: string, index: string): Contents {
  const path = join(dirname(index), file)
  try {
    return contentsOf(fileSource(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw invalidValue(`the shard ${path}`, `there, as ${index} says,`, 'no such file', 'was it downloaded?')
  }
}

function tensorOf(
  key: string,
  file: string,
  shards: ReadonlyMap<string, Contents>,
  index: string,
): StoredTensor {
  const stored = shards.get(file)?.tensors.get(key)
  if (stored !== undefined) return stored
  const elsewhere = [...shards].filter(([, shard]) => shard.tensors.has(key)).map(([other]) => other)
  const found = elsewhere.length > 0 ? `it is in ${describe(elsewhere)}` : 'it is in no shard'
  throw new RangeError(`Expected ${tensorName(key, index)} to be in ${quoted(file)} but ${found}`)
}

/** A tensor of a shard that the index does not name there: it would be lost, or is one of two of that name. */
function assertMapped(
  file: string,
  shard: Contents,
  places: ReadonlyMap<string, string>,
  index: string,
): void {
  for (const key of shard.tensors.keys()) {
    const place = places.get(key)
    if (place === file) continue
    const expected =
      place === undefined ? 'in the weight_map' : `in ${quoted(place)} alone, as the weight_map says,`
    throw new RangeError(
      `Expected ${tensorName(key, index)} to be ${expected} but received it in ${quoted(file)} (is the index of this checkpoint?)`,
    )
  }
}
