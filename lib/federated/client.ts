/** What a client has sent, read and checked. */
import { batchNormPrefixes } from '../checkpoints/batch-norms.ts'
import type { SafetensorsFile } from '../checkpoints/safetensors/file.ts'
import { assertAgreeing } from '../checks/contradictions.ts'
import { describe, invalidType, invalidValue } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import type { State } from '../modules/state-dict.ts'
import { isMoments, Moments } from '../moments/moments.ts'
import { type MomentsJSON, readMoments } from '../moments/moments-json.ts'
import { stateSource } from './state-source.ts'
import { type Divisor, type Seen, storedStatistics } from './stored-statistics.ts'

/** A client of `pool` that sends the moments of one batch norm. */
export interface MomentsClient {
  /** What errors call it, beside its place in the list. */
  name?: string
  /** Of what it saw, or the JSON of that. */
  moments: Moments | MomentsJSON
}

/** A client of `pool` that sends running statistics. */
export interface StateClient {
  /** What errors call it, beside its place in the list. */
  name?: string
  /** The state dict of a batch norm or of a whole model, also as JSON, or a file that has it. */
  state: State | SafetensorsFile
  /**
   * How many values a channel its running statistics stand for: of all its batch norms, or of each by its prefix. An
   * integer; the number of samples serves where every client has as many values a sample.
   */
  count: number | Readonly<Record<string, number>>
}

/** What a client sends to be pooled. */
export type PoolClient = MomentsClient | StateClient

const names = optionNames<MomentsClient & StateClient>({
  name: true,
  moments: true,
  state: true,
  count: true,
})

/**
 * What a client has seen, by the prefix of the batch norm; that of moments is `''`, as that of a module's own state.
 *
 * @param place - what errors call it: `clients[2]`
 * @throws TypeError or RangeError that names what is wrong
 */
export function readClient(place: string, client: PoolClient, divisor: Divisor): ReadonlyMap<string, Seen> {
  const { name, moments, state, count } = optionsObject(client as MomentsClient & StateClient, names, place)
  assertAgreeing({ moments, state, count })
  if (name !== undefined && typeof name !== 'string') throw invalidType(`${place}.name`, 'a string', name)
  if (moments !== undefined) return new Map([['', readMomentsOf(`${place}.moments`, moments)]])
  if (state === undefined) throw invalidType(place, 'an object with moments, or with state and count', client)
  const source = stateSource(`${place}.state`, state)
  const prefixes = batchNormPrefixes(source.keys)
  if (prefixes.length === 0) {
    const wanted = 'one with the running_mean and running_var of a batch norm'
    throw invalidValue(`${place}.state`, wanted, source.keys)
  }
  const counts = countsOf(`${place}.count`, count, prefixes)
  return new Map(
    prefixes.map((prefix, index) => [
      prefix,
      storedStatistics(`${place}.state`, source, prefix, counts[index], divisor),
    ]),
  )
}

function readMomentsOf(name: string, given: Moments | MomentsJSON): Seen {
  // Read twice, for errors of a client that name its JSON.
  if (!isMoments(given)) readMoments(given, name)
  const moments = isMoments(given) ? given : Moments.fromJSON(given)
  assertCount(`${name}.count`, moments.count)
  if (moments.count > 0) {
    const { mean, m2, meanLow } = moments.total()
    mean.forEach((each, channel) => {
      const sum = each + (meanLow?.[channel] ?? 0)
      if (!Number.isFinite(sum)) throw invalidValue(`${name}.mean[${channel}]`, 'a finite number', sum)
      if (!Number.isFinite(m2[channel])) {
        throw invalidValue(`M2 of ${name} in channel ${channel}`, 'a finite number', m2[channel])
      }
    })
  }
  return { moments, batches: null }
}

/** The counts of the batch norms, in their order. */
function countsOf(name: string, count: StateClient['count'], prefixes: readonly string[]): number[] {
  if (typeof count !== 'object' || count === null) {
    return prefixes.map(() => assertCount(name, count as number))
  }
  const given = Object.keys(count)
  const unknown = given.find((prefix) => !prefixes.includes(prefix))
  const missing = prefixes.find((prefix) => !given.includes(prefix))
  if (unknown !== undefined || missing !== undefined) {
    throw invalidType(name, `a count, or one for each of ${describe(prefixes)}`, count)
  }
  return prefixes.map((prefix) =>
    assertCount(`${name}['${prefix}']`, (count as Record<string, number>)[prefix]),
  )
}

/** Sums of counts are exact up to the largest of them. */
export function assertCount(name: string, count: number): number {
  const wanted = `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`
  if (typeof count !== 'number') throw invalidType(name, wanted, count)
  if (!(Number.isSafeInteger(count) && count >= 0)) throw invalidValue(name, wanted, count)
  return count
}
