/**
 * The one place where errors about arguments are worded:
 * `Expected <name> to be <expected> but received <actual> (<the likely fix>)`.
 */
import { types } from 'node:util'
import { printable } from './printable.ts'

/** For a value of the wrong kind, or a call at the wrong time. */
export function invalidType(name: string, expected: string, actual: unknown, fix?: string): TypeError {
  return new TypeError(sentence(`${name} to be ${expected}`, describe(actual), fix))
}

/** For a value of the right kind that lies outside of what is possible. */
export function invalidValue(name: string, expected: string, actual: unknown, fix?: string): RangeError {
  return new RangeError(sentence(`${name} to be ${expected}`, describe(actual), fix))
}

/** For a shape that does not fit. */
export function invalidShape(
  name: string,
  expected: string,
  actual: readonly number[],
  fix?: string,
): RangeError {
  return new RangeError(sentence(`${name} of shape ${expected}`, describe(actual), fix))
}

/** For an array of another length than `reason` asks for, or that it had before its memory was given away. */
export function wrongLength(
  name: string,
  array: { readonly length: number },
  length: number,
  reason: string,
): RangeError {
  const fix = array.length === 0 ? 'was it disposed of or transferred? It has no elements then' : ''
  return invalidValue(name, `of length ${length}, for ${reason},`, array, fix)
}

/** For two options or arguments that exclude each other. */
export function contradiction(one: string, other: string): TypeError {
  return new TypeError(
    `Expected options that agree but received ${one} with ${other} (leave one of them out)`,
  )
}

/** PyTorch's words for a batch whose variance would say nothing. */
export function singleValueError(shape: readonly number[], fix: string): RangeError {
  return new RangeError(
    `Expected more than 1 value per channel when training, got input size ${describe(shape)} (${fix})`,
  )
}

function sentence(wanted: string, received: string, fix: string | undefined): string {
  return printable(`Expected ${wanted} but received ${received}${fix ? ` (${fix})` : ''}`)
}

const itemsShown = 8
const charactersShown = 200

/** A value in a few words: `'abc'`, `[32, 64]`, `a Float64Array of length 6`, `an object with keys a, b`. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value)
  // A Proxy of an array behaves as the array, until its memory is asked for.
  if (types.isProxy(value)) return 'a Proxy'
  if (Array.isArray(value)) return describeArray(value)

  const kind = value.constructor?.name ?? 'Object'
  const article = /^[AEIO]/.test(kind) ? 'an' : 'a'
  if (ArrayBuffer.isView(value) && 'length' in value) return `${article} ${kind} of length ${value.length}`
  if (kind === 'Object') return `an object with keys ${keysOf(value)}`
  return `${article} ${kind}`
}

/** A text of anybody's, at most so long that it can be read: `'abc'`. */
export function quoted(text: string): string {
  return printable(text.length > charactersShown ? `'${text.slice(0, charactersShown)}...'` : `'${text}'`)
}

function keysOf(value: object): string {
  const keys = Object.keys(value)
  const rest = keys.length > itemsShown ? `, ... ${keys.length} in all` : ''
  return keys.length === 0 ? '(none)' : printable(`${keys.slice(0, itemsShown).join(', ')}${rest}`)
}

function describeArray(array: readonly unknown[]): string {
  const shown = array.slice(0, itemsShown).map((item) => {
    return Array.isArray(item) ? `an array of length ${item.length}` : describe(item)
  })
  const rest = array.length > itemsShown ? `, ... ${array.length} in all` : ''
  return `[${shown.join(', ')}${rest}]`
}
