import type { Collective } from '../../lib/distributed/collective.ts'
import { Failure } from '../failure.ts'
import { median } from '../measure/numbers.ts'
import type { Network } from './cost.ts'
import { headerBytes } from './messages.ts'
import { duration } from './table.ts'

/** Float64 numbers, from the shortest message of a layer to the longest. */
const lengths = [1, 64, 256, 1024, 4096, 16384, 65536]
const warmUps = 10
const repetitions = 101

/** The median time of an operation: of two all-reduces, of the header and of so many bytes. */
interface Timed {
  readonly bytes: number
  readonly seconds: number
}

/**
 * What two ranks take for operations of several lengths, as alpha and beta. Both call it.
 *
 * @param seconds - a clock
 */
export function measureNetwork(collective: Collective, seconds: () => number): Network {
  return networkOf(lengths.map((length) => timed(collective, length, seconds)))
}

function timed(collective: Collective, length: number, seconds: () => number): Timed {
  const values = new Float64Array(length)
  const one = () => {
    const begin = seconds()
    collective.allReduceSum(values, `measuring ${length}`)
    return seconds() - begin
  }
  for (let index = 0; index < warmUps; index++) one()
  return {
    bytes: values.byteLength,
    seconds: median(Array.from({ length: repetitions }, one)),
  }
}

/**
 * The alpha and beta for which 2 alpha + (header + bytes) beta has the least squares of relative errors: of absolute ones,
 * the longest messages alone would say what alpha is.
 */
export function networkOf(times: readonly Timed[]): Network {
  // Each line: (2 alpha + (header + bytes) beta) / seconds = 1.
  const sums = { aa: 0, ab: 0, bb: 0, a: 0, b: 0 }
  for (const { bytes, seconds } of times) {
    const [a, b] = [2 / seconds, (headerBytes + bytes) / seconds]
    sums.aa += a * a
    sums.ab += a * b
    sums.bb += b * b
    sums.a += a
    sums.b += b
  }
  const determinant = sums.aa * sums.bb - sums.ab ** 2
  const alpha = (sums.a * sums.bb - sums.b * sums.ab) / determinant
  const beta = (sums.b * sums.aa - sums.a * sums.ab) / determinant
  if (!(alpha > 0 && beta > 0)) {
    const measured = times.map(({ bytes, seconds }) => `${duration(seconds)} for ${bytes} bytes`).join(', ')
    throw new Failure(
      `Expected times that grow with the message but measured ${measured} (measure again with nothing else running)`,
    )
  }
  return { alpha, beta }
}
