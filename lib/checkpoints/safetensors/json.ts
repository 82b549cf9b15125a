/** The JSON of a header, and of an index of shards: it comes from anywhere, so all that a parser lets pass is checked. */
import { TextDecoder } from 'node:util'
import { invalidType, invalidValue, quoted } from '../../checks/errors.ts'
import { nestingOf, repeatedKey } from './keys.ts'

/** The limit of the reference implementation, so that a broken length does not fill the memory. */
export const longestHeader = 100_000_000
/** A header nests three deep, in which a later version of the format may put something. */
const deepest = 16
/**
 * The characters of a header for each of its objects and arrays, at the least: an entry has three, as in
 * `"a":{"dtype":"U8","shape":[],"data_offsets":[0,0]},`. A later version may put a few more around them.
 */
const shortest = 16
const fewest = 16

/** The JSON object that `bytes` are; errors call them `owner`. */
export function parseObject(bytes: ArrayBuffer, owner: string): Record<string, unknown> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw invalidValue(owner, 'UTF-8', new Uint8Array(bytes))
  }
  // Objects and arrays are cheap to write, and cost a parser a hundred times their length in memory.
  const { count, depth } = nestingOf(text)
  if (depth > deepest) throw invalidValue(owner, `JSON at most ${deepest} deep`, depth)
  const most = fewest + text.length / shortest
  if (count > most) throw invalidValue(owner, `JSON of at most ${Math.floor(most)} objects and arrays`, count)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw invalidValue(owner, 'JSON', text.slice(0, 40), (error as Error).message)
  }
  if (!isObject(json)) throw invalidType(owner, 'a JSON object', json)
  const repeated = repeatedKey(text)
  if (repeated !== undefined) throw invalidValue(owner, 'without repeated keys', `${quoted(repeated)} twice`)
  return json
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws RangeError for half of a surrogate pair, which JSON can escape and UTF-8 cannot hold */
export function assertText(owner: string, text: string): void {
  if (!/\p{Surrogate}/u.test(text)) return
  throw invalidValue(owner, 'text that UTF-8 can hold', text, 'it has half of a surrogate pair')
}
