/** Running statistics of a state dict as moments of the values that they stand for. */
import { keyBelow } from '../checkpoints/batch-norms.ts'
import { describe, invalidShape, invalidType, invalidValue, wrongLength } from '../checks/errors.ts'
import { assertReadable } from '../checks/in-flight.ts'
import { channelCount } from '../checks/scalars.ts'
import { isCount, partsOf, type StateValue } from '../modules/state-dict.ts'
import { Moments } from '../moments/moments.ts'
import type { StateSource } from './state-source.ts'

/** What a client has seen of one batch norm. */
export interface Seen {
  readonly moments: Moments
  /** Its `num_batches_tracked`; `null`: it does not tell. */
  readonly batches: bigint | null
}

/** How many squares `running_var` was divided by, of `count` values. */
export type Divisor = (count: number) => number

/**
 * @param place - what errors call the state
 * @throws TypeError or RangeError that names the tensor, and the channel
 */
export function storedStatistics(
  place: string,
  { keys, read }: StateSource,
  prefix: string,
  count: number,
  divisor: Divisor,
): Seen {
  const named = (key: string) => {
    const whole = keyBelow(prefix, key)
    return { name: /^\w+$/.test(whole) ? `${place}.${whole}` : `${place}['${whole}']`, value: read(whole) }
  }
  const mean = numbersOf(named('running_mean'), (item) => (Number.isFinite(item) ? null : 'a finite number'))
  const squares = divisor(count)
  const m2 = numbersOf(named('running_var'), (item) => {
    if (!(Number.isFinite(item) && item >= 0)) return 'a finite number, at least 0,'
    return Number.isFinite(item * squares) ? null : `a variance that fits float64 ${squares} times`
  }).map((variance) => variance * squares)
  if (m2.length !== mean.length) {
    throw invalidShape(named('running_var').name, describe([mean.length]), [m2.length])
  }
  const isCounted = keys.includes(keyBelow(prefix, 'num_batches_tracked'))
  const batches = isCounted ? counterOf(named('num_batches_tracked')) : null
  // The mean keeps what it loses when others are merged into it.
  const part = { count, mean: Array.from(mean), m2: Array.from(m2), meanLow: Array(mean.length).fill(0) }
  const moments = Moments.fromJSON({
    channels: mean.length,
    layout: 'channels-first',
    parts: count === 0 ? [] : [part],
  })
  return { moments, batches }
}

interface Named {
  readonly name: string
  readonly value: StateValue
}

/** @param fault - what a number should be that is not; `null`: it is right */
function numbersOf({ name, value }: Named, fault: (item: number) => string | null): Float64Array {
  const { numbers, shape, length } = partsOf(value)
  if (numbers === null) throw invalidType(name, 'numbers of shape [C]', value)
  if (shape.length !== 1) throw invalidShape(name, '[C]', shape)
  const channels = channelCount(`${name}.shape[0]`, shape[0])
  const data: ArrayLike<unknown> = length < channels ? { length } : numbers()
  if (data.length !== channels) throw wrongLength(name, data, channels, 'its shape')
  if (ArrayBuffer.isView(data)) assertReadable(name, data)
  const read = new Float64Array(channels)
  for (let channel = 0; channel < channels; channel++) {
    const item: unknown = data[channel]
    if (typeof item !== 'number') throw invalidType(`${name}[${channel}]`, 'a number', item)
    const expected = fault(item)
    if (expected !== null) throw invalidValue(`${name}[${channel}]`, expected, item)
    read[channel] = item
  }
  return read
}

function counterOf({ name, value }: Named): bigint {
  const { numbers, shape } = partsOf(value)
  const isOne = shape.length === 0 || (shape.length === 1 && shape[0] === 1)
  const data = numbers !== null && isOne ? numbers() : []
  if (data.length === 1 && isCount(data[0])) return BigInt(data[0])
  const received = data.length === 1 ? data[0] : value
  throw invalidType(name, 'one integer, at least 0, that fits int64,', received)
}
