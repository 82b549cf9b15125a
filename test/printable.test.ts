/** Text of files in errors and listings. */
import { expect, test } from 'vitest'
import { printableLines } from '../cli/printable.ts'
import { describe as described, invalidValue } from '../lib/checks/errors.ts'
import { printable } from '../lib/checks/printable.ts'
import { BatchNorm1d, decodeSafetensors, encodeSafetensors, tensor } from '../lib/index.ts'

test('every control, format, surrogate, separator of lines and invisible filler is escaped, and no letter is', () => {
  const wrong: string[] = []
  for (let code = 0; code < 0x110000; code++) {
    const character = String.fromCodePoint(code)
    const isHidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(character)
    const isShown = /[\p{L}\p{N}\p{P}\p{S} ]/u.test(character)
    const isFiller = '\u115f\u1160\u3164\uffa0'.includes(character)
    const text = printable(`a${character}b`)
    const escaped = /^a(\\u[0-9a-f]{4}){1,2}b$/.test(text)
    if ((isHidden || isFiller) && !escaped) wrong.push(code.toString(16))
    if (isShown && !isFiller && text !== `a${character}b`) wrong.push(code.toString(16))
  }
  expect(wrong).toEqual([])
})

test.each([
  ['\u202e', '\\u202e'],
  ['\u{e0041}', '\\udb40\\udc41'],
  ['\ud800', '\\ud800'],
  ['\x7f\x9b', '\\u007f\\u009b'],
  ['\ufe0f', '\\ufe0f'],
])('%j is written as JSON escapes it, which reads it back', (text, escaped) => {
  expect(printable(text)).toBe(escaped)
  expect(JSON.parse(printableLines(JSON.stringify({ [text]: [text] }, null, 2)))).toEqual({ [text]: [text] })
})

const hostile = 'a\n\u202eb'
const shown = 'a\\u000a\\u202eb'
const file = decodeSafetensors(encodeSafetensors({ [hostile]: tensor([1]) }))
const bytesOf = (header: object) => {
  const json = new TextEncoder().encode(JSON.stringify(header))
  return Uint8Array.of(json.length, 0, 0, 0, 0, 0, 0, 0, ...json)
}

test.each<[what: string, call: () => unknown]>([
  ['a key that is not there', () => file.get(`${hostile}!`)],
  ['the keys that are', () => file.get('c')],
  ['a key of a state dict', () => new BatchNorm1d(1).loadStateDict({ [hostile]: 1 })],
  ['a tensor of a header', () => decodeSafetensors(bytesOf({ [hostile]: { dtype: 1 } }))],
  ['a type in a header', () => decodeSafetensors(bytesOf({ a: { dtype: 'F32', shape: [hostile] } }))],
  ['metadata', () => decodeSafetensors(bytesOf({ __metadata__: { [hostile]: 1 } }))],
  ['the name of an argument', () => encodeSafetensors({ [hostile]: 1 as never })],
])('an error says %s in characters that are seen', (_, call) => {
  let message = ''
  try {
    call()
  } catch (error) {
    message = (error as Error).message
  }
  expect(message).toContain(shown)
  expect(message).not.toMatch(/[\p{Cc}\p{Cf}]/u)
})

test('what is described is escaped once', () => {
  expect(described(hostile)).toBe(`'${shown}'`)
  expect(invalidValue('x', 'seen', hostile).message).toBe(`Expected x to be seen but received '${shown}'`)
})
