import { keyBelow } from '../checkpoints/batch-norms.ts'
import { invalidType, invalidValue, quoted } from '../checks/errors.ts'
import { optionNames, optionsObject } from '../checks/options.ts'
import { oneOf } from '../checks/scalars.ts'
import { isCount } from '../modules/state-dict.ts'
import { type StoredVariance, storedVariances } from '../modules/stored-variance.ts'
import { Moments } from '../moments/moments.ts'
import { Tensor } from '../tensor/tensor.ts'
import { assertCount, type PoolClient, readClient } from './client.ts'
import type { Seen } from './stored-statistics.ts'

/** Options of `pool`. */
export interface PoolOptions {
  /**
   * What `running_var` is, in the states of the clients and in the pooled one: the sum of squared deviations divided by
   * n - 1, `'unbiased'`, as PyTorch stores it, or by n, `'biased'`, as Keras and others do. Default `'unbiased'`.
   */
  storedVariance?: StoredVariance
}

const names = optionNames<PoolOptions>({ storedVariance: true })

/** What `pool` makes of what its clients saw. */
export class Pooled {
  /** The moments of the union, by the prefix of the batch norm: `''` for moments, and for a module's own state. */
  readonly batchNorms: ReadonlyMap<string, Moments>
  /**
   * `running_mean` and `running_var` in float64, of each batch norm below its prefix, for `loadStateDict` with
   * `strict: false`, or to be mixed into a state that has the rest. `num_batches_tracked`, where every client with a
   * count above 0 has it, is the sum, as of one module that saw all the batches.
   */
  readonly state: Record<string, Tensor<Float64Array> | Tensor<BigInt64Array>>

  /** For `pool`. */
  constructor(batchNorms: Pooled['batchNorms'], state: Pooled['state']) {
    this.batchNorms = batchNorms
    this.state = state
  }

  /**
   * The moments of the union, where the clients have one batch norm.
   *
   * @throws RangeError where they have several
   */
  get moments(): Moments {
    const [[prefix, moments], ...others] = this.batchNorms
    if (others.length === 0) return moments
    const fix = `batchNorms.get('${prefix}') has those of one`
    throw invalidValue('pooled.moments', 'asked for one batch norm', [...this.batchNorms.keys()], fix)
  }
}

/** What the clients so far have seen of a batch norm. */
interface Union {
  readonly moments: Moments
  batches: bigint | null
}

/**
 * Running mean and variance of the union of the clients' data, as if one had seen all of it: the variance between the
 * clients' means is in the result. (An average of their `running_var` is without it.)
 *
 * ```ts
 * const pooled = pool([
 *   { name: 'berlin', state: berlin.stateDict(), count: 12000 },
 *   { name: 'tokyo', state: decodeSafetensors(bytes), count: 300 },
 * ])
 * bn.loadStateDict(pooled.state, { strict: false })
 * ```
 *
 * A client sends the moments of one batch norm (`recalibrate` and `Moments` say how to get them), from which the union's
 * are as exact as of one `Moments` that had all; or the state dict of a batch norm or of a whole model, and how many
 * values it stands for: M2 is then `running_var * (count - 1)`. All have the same batch norms, with the same channels.
 * Other tensors, scale and shift among them, are not looked at.
 *
 * M2 and means are merged in pairs in float64, as in `Moments` (Chan, Golub and LeVeque 1979), in the order of the
 * clients, so thousands of them cost no digits. A client of count 0 contributes nothing, but is checked as the others are.
 *
 * @throws TypeError or RangeError for what cannot be: a negative variance, NaN, Infinity, counts that are no integers from
 * 0 to 2^53 - 1 or add up to more, batch norms or channels that differ, no values in all. It names place and client.
 */
export function pool(clients: readonly PoolClient[], options: PoolOptions = {}): Pooled {
  const { storedVariance = 'unbiased' } = optionsObject(options, names)
  const unbiased = oneOf('storedVariance', storedVariance, storedVariances) === 'unbiased'
  if (!(Array.isArray(clients) && clients.length > 0)) {
    throw invalidType('clients', 'an array of at least one client', clients)
  }
  const divisor = (count: number) => (unbiased ? Math.max(count - 1, 0) : count)
  const unions = new Map<string, Union>()
  // Each is read and let go of before the next; an array that is long and empty ends at its first hole.
  for (const [index, client] of clients.entries()) {
    const place = `clients[${index}]`
    namingClient(client, () => {
      const seen = readClient(place, client, divisor)
      if (index === 0) for (const [prefix, { moments }] of seen) unions.set(prefix, emptyUnion(moments))
      assertAlike(place, seen, unions)
      for (const [prefix, union] of unions) add(place, union, seen.get(prefix) as Seen)
    })
  }
  const state: Pooled['state'] = {}
  for (const [prefix, union] of unions) Object.assign(state, stateOf(prefix, union, unbiased))
  return new Pooled(new Map([...unions].map(([prefix, { moments }]) => [prefix, moments])), state)
}

function emptyUnion({ channels, layout }: Moments): Union {
  return { moments: new Moments(channels, { layout }), batches: 0n }
}

/** @throws RangeError for other batch norms, or other channels, than those of the first client */
function assertAlike(
  place: string,
  seen: ReadonlyMap<string, Seen>,
  unions: ReadonlyMap<string, Union>,
): void {
  const missing = [...unions.keys()].find((prefix) => !seen.has(prefix))
  const additional = [...seen.keys()].find((prefix) => !unions.has(prefix))
  if (missing !== undefined || additional !== undefined) {
    const key = keyBelow((missing ?? additional) as string, 'running_mean')
    const expected = `those of clients[0], ${missing === undefined ? 'without' : 'with'} '${key}',`
    throw invalidValue(`the prefixes of the batch norms of ${place}`, expected, [...seen.keys()])
  }
  for (const [prefix, { moments }] of seen) {
    const { channels } = (unions.get(prefix) as Union).moments
    if (moments.channels === channels) continue
    const name = `the channels of '${keyBelow(prefix, 'running_mean')}' of ${place}`
    throw invalidValue(name, `${channels}, as of clients[0],`, moments.channels)
  }
}

/** A client without values has no batches either. */
function add(place: string, union: Union, { moments, batches }: Seen): void {
  if (moments.count === 0) return
  assertCount(`the counts up to ${place}, added up,`, union.moments.count + moments.count)
  union.moments.merge(moments)
  union.batches = batches === null || union.batches === null ? null : union.batches + batches
  if (union.batches === null || isCount(union.batches)) return
  throw invalidValue(`num_batches_tracked up to ${place}, added up,`, 'an int64', union.batches)
}

function stateOf(prefix: string, { moments, batches }: Union, unbiased: boolean): Pooled['state'] {
  const named = (key: string) => keyBelow(prefix, key)
  if (moments.count === 0) {
    throw invalidValue(`the counts of '${named('running_mean')}'`, 'above 0 for one client at least', 0)
  }
  const variance = moments.variance({ unbiased })
  variance.forEach((each, channel) => {
    if (Number.isFinite(each)) return
    const name = `the pooled '${named('running_var')}' in channel ${channel}`
    throw invalidValue(name, 'of a sum of squares that fits float64', each, 'the means are too far apart')
  })
  const shape = [moments.channels]
  return {
    [named('running_mean')]: new Tensor(moments.mean, shape),
    [named('running_var')]: new Tensor(variance, shape),
    ...(batches !== null && { [named('num_batches_tracked')]: new Tensor(BigInt64Array.of(batches), []) }),
  }
}

/** Does what may find a fault of a client, and has its error name the client. */
function namingClient(client: PoolClient, work: () => void): void {
  try {
    work()
  } catch (error) {
    const name: unknown = (client as Partial<PoolClient> | undefined | null)?.name
    const isOurs = error instanceof TypeError || error instanceof RangeError
    if (!isOurs || typeof name !== 'string') throw error
    const Kind = error.constructor as ErrorConstructor
    throw new Kind(`${error.message} (client ${quoted(name)})`, { cause: error })
  }
}
