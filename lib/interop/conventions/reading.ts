import { invalidType, invalidValue } from '../../checks/errors.ts'
import type { ParameterType } from '../../tensor/data-type.ts'
import { type ConventionValues, isRounded, type Vector, vectorOf } from './values.ts'

/** What is found out while parameters are read: how many channels there are, and what is worth a note. */
export class Reading {
  readonly notes: string[] = []
  /** How many axes the input has, if the caller knows. */
  readonly rank: number | undefined
  /** Of the module that is made. */
  readonly dtype: ParameterType
  #first: { readonly name: string; readonly length: number } | null = null

  constructor(rank: number | undefined, dtype: ParameterType) {
    this.rank = rank
    this.dtype = dtype
  }

  /** How many channels there are; there must be a vector that says so. */
  get numFeatures(): number {
    if (this.#first !== null) return this.#first.length
    throw invalidType(
      'parameters',
      'an object with at least one vector',
      undefined,
      'how many channels are there? Give the mean and the variance',
    )
  }

  /** One number a channel. */
  vector(name: string, value: ConventionValues | null | undefined, fix: string): Vector {
    if (value === undefined || value === null) throw invalidType(name, 'one number a channel', value, fix)
    const vector = vectorOf(name, value)
    if (this.dtype === 'float32' && isRounded(value)) {
      this.notes.push(`${name} is rounded from float64 to float32; dtype: 'float64' keeps its digits.`)
    }
    this.#first ??= { name, length: vector.length }
    const { name: first, length } = this.#first
    if (vector.length !== length) throw invalidValue(name, `of length ${length}, as ${first} is,`, vector)
    return vector
  }

  /** `vector` of a batch norm that has one, else `null`; `isThere` is the switch called `switchName`. */
  vectorIf(
    isThere: boolean,
    switchName: string,
    name: string,
    value: ConventionValues | null | undefined,
  ): Vector | null {
    if (isThere) return this.vector(name, value, `or give ${switchName}: false, for a batch norm without`)
    if (value === undefined || value === null) return null
    throw new TypeError(
      `Expected parameters that agree but received ${switchName}: false with ${name} (leave one of them out)`,
    )
  }
}
