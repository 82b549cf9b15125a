/**
 * bfloat16 and float16 against their definition: sign, exponent and fraction decoded with powers of two,
 * and rounding as the search for the nearest of all 65,536 values.
 */
import { describe, expect, test } from 'vitest'
import { type HalfType, halfOfNumber, narrow, numberOfHalf, widened } from '../lib/tensor/half.ts'
import { Random } from './support/random.ts'

const formats: [HalfType, { exponentBits: number; fractionBits: number }][] = [
  ['bfloat16', { exponentBits: 8, fractionBits: 7 }],
  ['float16', { exponentBits: 5, fractionBits: 10 }],
]

describe.each(formats)('%s', (half, { exponentBits, fractionBits }) => {
  const bias = 2 ** (exponentBits - 1) - 1
  const infinityBits = (2 ** exponentBits - 1) << fractionBits
  const everything = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)

  /** IEEE 754-2008, section 3.4. */
  function decoded(bits: number): number {
    const sign = bits >>> 15 === 1 ? -1 : 1
    const exponent = (bits & 0x7fff) >>> fractionBits
    const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits
    if (exponent === 2 ** exponentBits - 1)
      return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
    return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias)
  }

  /** The finite values from 0 up, and after the largest the one that would follow it. */
  const ladder = Float64Array.from({ length: infinityBits + 1 }, (_, bits) =>
    bits < infinityBits ? decoded(bits) : 2 ** (bias + 1),
  )

  /** The bits nearest to `value`, of two equally near those that are even. */
  function nearest(value: number): number {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
    const magnitude = Math.min(Math.abs(value), ladder[infinityBits])
    let low = 0
    let high = infinityBits
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (ladder[middle] <= magnitude) low = middle
      else high = middle
    }
    const [below, above] = [magnitude - ladder[low], ladder[high] - magnitude]
    return sign | (below < above || (below === above && low % 2 === 0) ? low : high)
  }

  /** Every value, every midpoint, and the float64 numbers next to them; some of any magnitude. */
  function* interesting(): Generator<number> {
    const step = new Float64Array(1)
    const word = new BigInt64Array(step.buffer)
    for (let bits = 0; bits < infinityBits; bits++) {
      for (const value of [ladder[bits], (ladder[bits] + ladder[bits + 1]) / 2]) {
        for (const by of [-1n, 0n, 1n]) {
          step[0] = value
          if (value === 0 && by < 0n) continue
          word[0] += by
          yield step[0]
          yield -step[0]
        }
      }
    }
    const random = new Random(1)
    for (let index = 0; index < 10_000; index++)
      yield (random.uniform() - 0.5) * 2 ** (random.below(400) - 200)
    yield* [Number.MAX_VALUE, Number.MIN_VALUE, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  }

  test('every one of the 65,536 is the number that its bits define', () => {
    const numbers = widened(everything, half)
    for (const bits of everything) {
      expect(Object.is(numberOfHalf(bits, half), decoded(bits)), `0x${bits.toString(16)}`).toBe(true)
      expect(Object.is(numbers[bits], decoded(bits)), `0x${bits.toString(16)}`).toBe(true)
    }
  })

  test('every one of them survives the way to float32 and back; NaN stays NaN, and is quiet', () => {
    const back = new Uint16Array(everything.length)
    narrow(widened(everything, half), half, back)
    for (const bits of everything) {
      if (Number.isNaN(decoded(bits))) {
        expect(Number.isNaN(decoded(back[bits])) && (back[bits] >>> (fractionBits - 1)) % 2).toBe(1)
      } else {
        expect(back[bits]).toBe(bits)
      }
    }
  })

  test('a number becomes the nearest, ties to even, rounded once', () => {
    let failures = 0
    for (const value of interesting()) if (halfOfNumber(value, half) !== nearest(value)) failures++
    expect(failures).toBe(0)
    expect(numberOfHalf(halfOfNumber(Number.NaN, half), half)).toBeNaN()
  })

  test('so does a float32', () => {
    const values = Float32Array.from(interesting())
    const bits = new Uint16Array(values.length)
    narrow(values, half, bits)
    let failures = 0
    for (let index = 0; index < values.length; index++) if (bits[index] !== nearest(values[index])) failures++
    expect(failures).toBe(0)
  })
})
