/**
 * bfloat16 and float16, the two 16-bit types: as bits, as numbers, and as arrays of float32. Widening is
 * exact; narrowing rounds to nearest, ties to even, keeps subnormals and -0, overflows to Infinity, and
 * makes every NaN a quiet one.
 *
 * | | sign, exponent, fraction bits | largest | smallest |
 * |---|---|---|---|
 * | bfloat16 | 1, 8, 7: the upper half of a float32 | 3.39e38 | 2^-133 |
 * | float16 | 1, 5, 10: IEEE 754's binary16 | 65504 | 2^-24 |
 */
export type HalfType = 'bfloat16' | 'float16'

export function isHalf(type: string | undefined): type is HalfType {
  return type === 'bfloat16' || type === 'float16'
}

/** Bits of a float32 from those of a half, and back. */
interface Format {
  readonly widened: (bits: number) => number
  readonly narrowed: (word: number) => number
}

const formats: Readonly<Record<HalfType, Format>> = {
  bfloat16: { widened: (bits) => bits << 16, narrowed: bfloat16Of },
  float16: { widened: widenedFloat16, narrowed: float16Of },
}

const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)

const magnitudeMask = 0x7fffffff
const infinity = 0x7f800000

/** What `bits` stand for. */
export function numberOfHalf(bits: number, half: HalfType): number {
  word[0] = formats[half].widened(bits)
  return float[0]
}

/** The half that is nearest to a number, rounded once: not to float32 in between. */
export function halfOfNumber(value: number, half: HalfType): number {
  float[0] = value
  // Rounded to odd (Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded sums"): a float32
  // that is inexact gets an odd last digit, so that it is no tie when it is rounded again.
  if (float[0] !== value && !Number.isNaN(value)) {
    if (Math.abs(float[0]) > Math.abs(value)) word[0]--
    word[0] |= 1
  }
  return formats[half].narrowed(word[0])
}

/** The numbers that the halves `bits` stand for. */
export function widened(bits: Uint16Array, half: HalfType): Float32Array {
  const wide = formats[half].widened
  const words = new Uint32Array(bits.length)
  for (let index = 0; index < bits.length; index++) words[index] = wide(bits[index])
  return new Float32Array(words.buffer)
}

/** Writes the halves that are nearest to `values` to `to`, of the same length. */
export function narrow(values: Float32Array, half: HalfType, to: Uint16Array): void {
  const narrowed = formats[half].narrowed
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let index = 0; index < words.length; index++) to[index] = narrowed(words[index])
}

function bfloat16Of(bits: number): number {
  if ((bits & magnitudeMask) > infinity) return (bits >>> 16) | 0x40
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

function widenedFloat16(bits: number): number {
  const sign = (bits & 0x8000) << 16
  const magnitude = bits & 0x7fff
  if (magnitude >= 0x7c00) return sign | infinity | ((magnitude & 0x3ff) << 13)
  if (magnitude >= 0x400) return sign | ((magnitude << 13) + ((127 - 15) << 23))
  float[0] = magnitude * 2 ** -24
  return sign | word[0]
}

const smallestNormal = (127 - 14) << 23
/** 65520: halfway from the largest float16 to the next that there would be. */
const overflow = 0x477ff000

function float16Of(bits: number): number {
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & magnitudeMask
  if (magnitude > infinity) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff)
  if (magnitude >= overflow) return sign | 0x7c00
  if (magnitude >= smallestNormal) {
    const rebiased = magnitude - ((127 - 15) << 23)
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13)
  }
  // The digits of a float32 from 0.5 to 1 end at 2^-24, as those of a subnormal float16 do: the addition rounds.
  word[0] = magnitude
  float[0] += 0.5
  return sign | (word[0] - (126 << 23))
}
