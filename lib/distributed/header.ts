/** What every rank says of its operation before the numbers: a fixed count of numbers, of which all see the sum. */

/** Pieces of 8 bits: sums of their squares over 2 ** 18 ranks, times that many, are exact in float64. */
const pieceBits = 8
const fields = [
  { name: 'number', begin: 0, pieces: 2 },
  { name: 'key', begin: 2, pieces: 4 },
  { name: 'length', begin: 6, pieces: 6 },
] as const

/** Of an operation: how many came before it, what is summed, and how much of it. */
export interface Operation {
  readonly number: number
  readonly key: string
  readonly length: number
}

/** What differs between ranks. */
export type Difference = (typeof fields)[number]['name']

/** Pairs of a piece and its square. */
export function headerOf(operation: Operation): Float64Array {
  const numbers = { ...operation, key: hash(operation.key) }
  const pieces = fields.flatMap(({ name, pieces }) => split(numbers[name], pieces))
  return Float64Array.from(pieces.flatMap((piece) => [piece, piece * piece]))
}

/** By Cauchy and Schwarz, `size * sum(v * v)` is `sum(v) ** 2` where all are equal, and more where they are not. */
export function differences(summed: Float64Array, size: number): Difference[] {
  const isEqual = (index: number) => size * summed[2 * index + 1] === summed[2 * index] ** 2
  return fields
    .filter(({ begin, pieces }) => {
      return !Array.from({ length: pieces }, (_, index) => isEqual(begin + index)).every(Boolean)
    })
    .map(({ name }) => name)
}

function split(number: number, pieces: number): number[] {
  const base = 2 ** pieceBits
  return Array.from({ length: pieces }, (_, index) => Math.floor(number / base ** index) % base)
}

/** FNV-1a of its UTF-16 units. */
function hash(text: string): number {
  let bits = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    bits = Math.imul(bits ^ text.charCodeAt(index), 0x01000193)
  }
  return bits >>> 0
}
