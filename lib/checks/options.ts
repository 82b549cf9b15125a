/** Objects of options: what a caller wrote there means something, or it is an error. */
import { types } from 'node:util'
import { invalidType } from './errors.ts'

/** The names that an object of options may have. */
export type OptionNames = ReadonlySet<string>

/** The names of `Options`: the compiler asks for all of them, and for no others. */
export function optionNames<Options>(
  names: {
    readonly [Name in keyof Required<Options>]: true
  },
): OptionNames {
  return new Set(Object.keys(names))
}

/**
 * An object of options. What it has inherited counts too.
 *
 * @param name - of the argument
 * @throws TypeError for what is no such object, and for a name that does not exist: it would do nothing, in silence
 */
export function optionsObject<Options extends object>(
  options: Options,
  names: OptionNames,
  name = 'options',
): Options {
  if (typeof options !== 'object' || options === null || isCollection(options)) {
    throw invalidType(name, 'an object', options, ArrayBuffer.isView(options) ? 'as in { out: array }' : '')
  }
  for (const given in options) {
    // What every object has is nobody's option.
    if (names.has(given) || given in Object.prototype) continue
    throw invalidType(name, `among ${[...names].join(', ')}`, given, hint(given, names))
  }
  return options
}

/** What holds values in another way than under their names. */
function isCollection(options: object): boolean {
  return Array.isArray(options) || ArrayBuffer.isView(options) || types.isMap(options) || types.isSet(options)
}

/**
 * Checks an object that may have more than is read of it, as a layer of one's own has.
 *
 * @throws TypeError for a name that is one of `names` in another spelling
 */
export function assertSpelling(object: object, names: OptionNames, name: string): void {
  for (const given in object) {
    const meant = names.has(given) ? undefined : misspelled(given, [...names])
    if (meant !== undefined)
      throw invalidType(name, `an object with ${meant}`, given, `did you mean ${meant}?`)
  }
}

/** The option that was meant: a misspelled one, or one that begins alike. */
function hint(given: string, names: OptionNames): string {
  const near = (one: string, other: string) => one.startsWith(other) || other.startsWith(one)
  const all = [...names].sort((one, other) => other.length - one.length)
  const meant =
    misspelled(given, all) ?? all.find((each) => given.length > 1 && near(letters(given), letters(each)))
  return meant === undefined ? '' : `did you mean ${meant}?`
}

/** The name with the same letters in another spelling or order, or with an s more or less. */
function misspelled(given: string, names: readonly string[]): string | undefined {
  const sorted = (text: string) => [...letters(text)].sort().join('')
  const singular = (text: string) => letters(text).replace(/s$/, '')
  return (
    names.find((each) => sorted(each) === sorted(given)) ??
    names.find((each) => singular(each) === singular(given))
  )
}

function letters(text: string): string {
  return text.replaceAll('_', '').toLowerCase()
}
