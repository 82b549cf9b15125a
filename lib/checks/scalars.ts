/** Checks of single values. Each returns what it took, or throws an error that names the argument. */
import { invalidType, invalidValue } from './errors.ts'

export function positiveInteger(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a positive integer', value)
  if (!(Number.isSafeInteger(value) && value > 0)) throw invalidValue(name, 'a positive integer', value)
  return value
}

/** No batch norm has more channels, and each of them takes memory before there is any value. */
export const mostChannels = 2 ** 24

export function channelCount(name: string, value: number): number {
  if (positiveInteger(name, value) <= mostChannels) return value
  throw invalidValue(name, `at most ${mostChannels}`, value)
}

export function nonNegative(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'a finite number, at least 0,', value)
  if (!(Number.isFinite(value) && value >= 0)) throw invalidValue(name, 'a finite number, at least 0,', value)
  return value
}

export function fraction(name: string, value: number, orElse = ''): number {
  const expected = `a number from 0 to 1${orElse}`
  if (typeof value !== 'number') throw invalidType(name, expected, value)
  if (!(value >= 0 && value <= 1)) throw invalidValue(name, expected, value)
  return value
}

export function boolean(name: string, value: boolean): boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'true or false', value)
  return value
}

export function oneOf<Choice extends string>(
  name: string,
  value: string,
  choices: readonly Choice[],
): Choice {
  if (!choices.includes(value as Choice)) {
    const expected = choices.length === 0 ? 'nothing: there is no choice' : `one of ${choices.join(', ')}`
    throw typeof value === 'string' ? invalidValue(name, expected, value) : invalidType(name, expected, value)
  }
  return value as Choice
}
