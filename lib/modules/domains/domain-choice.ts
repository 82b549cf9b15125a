import { types } from 'node:util'
import { describe, invalidType, invalidValue, wrongLength } from '../../checks/errors.ts'
import { assertReadable } from '../../checks/in-flight.ts'
import { rowMajor } from '../../tensor/row-major.ts'
import type { Shape } from '../../tensor/shape.ts'

type Choices = ArrayLike<string | number | bigint>

/**
 * The domain of a batch, a name or an index into `domains`; or of each of its samples, in an array, or indices in a
 * tensor `[N]`.
 */
export type DomainChoice = string | number | Choices | { readonly data: Choices; readonly shape: Shape }

/** What says which domain is meant. */
export interface KnownDomains {
  readonly names: readonly string[]
  /**
   * @param argument - what errors call it
   * @returns the index of the domain that normalizes an unknown one
   */
  indexOfUnknown(name: string, argument: string): number
}

/**
 * The index of the domain of a batch, or those of its samples.
 *
 * @param samples - how many there are, asked where each has a domain
 * @throws TypeError or RangeError for what is not a domain, and for domains that are not as many as the samples
 */
export function indicesOf(
  domain: DomainChoice,
  known: KnownDomains,
  samples: () => number,
): number | Uint32Array {
  const indices = new Map<unknown, number>()
  known.names.forEach((name, index) => {
    indices.set(name, index).set(index, index).set(BigInt(index), index)
  })
  const indexOf = (choice: unknown, argument: string): number => {
    if (typeof choice === 'string') return known.indexOfUnknown(choice, argument)
    const error = typeof choice === 'number' || typeof choice === 'bigint' ? invalidValue : invalidType
    throw error(argument, `a name or an index of ${describe(known.names)}`, choice)
  }
  if (typeof domain !== 'object' || domain === null) return indices.get(domain) ?? indexOf(domain, 'domain')
  const isBare = isArray(domain)
  const given = isBare ? domain : domain.data
  if (!isArray(given)) throw invalidType('domain', 'a domain, or an array of one for each sample', domain)
  const choices = isBare ? given : rowMajor('domain', domain)
  if (types.isTypedArray(choices)) assertReadable('domain', choices)
  const count = samples()
  if (choices.length !== count) throw wrongLength('domain', choices, count, 'a domain for each sample')
  const found = new Uint32Array(count)
  for (let sample = 0; sample < count; sample++) {
    const choice = choices[sample]
    found[sample] = indices.get(choice) ?? indexOf(choice, `domain[${sample}]`)
  }
  return found
}

function isArray(value: unknown): value is Choices {
  return Array.isArray(value) || types.isTypedArray(value)
}
