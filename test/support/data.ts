/** The kinds of data that batch normalization meets, or that have broken an implementation of it. */
import type { Extent, Values } from '../../lib/backend/backend.ts'
import type { FloatType } from '../../lib/tensor/data-type.ts'
import { halfOfNumber } from '../../lib/tensor/half.ts'
import { Random } from './random.ts'

/** The value at `index` of `length`. */
type Value = (random: Random, index: number, length: number) => number

const smallest = 2 ** -149

function oneOf(random: Random, values: readonly number[]): number {
  return values[random.below(values.length)]
}

/** `special` in about one place of 50. */
function salted(...special: readonly number[]): Value {
  return (random) => (random.below(50) === 0 ? oneOf(random, special) : random.normal())
}

function scaled(scale: number, offset = 0): Value {
  return (random) => offset + scale * random.normal()
}

const kinds = {
  normal: scaled(1),
  'offset 1e4, std 1e-2': scaled(1e-2, 1e4),
  'offset 1e6': scaled(1, 1e6),
  'scale 1e18': scaled(1e18),
  'scale 1e30': scaled(1e30),
  'scale 1e160': scaled(1e160),
  'scale 1e4': scaled(1e4),
  'scale 1e-6': scaled(1e-6),
  'scale 1e-30': scaled(1e-30),
  'scale 1e-20': scaled(1e-20),
  'scale 2^-51': scaled(2 ** -51),
  'scale 1e-155': scaled(1e-155),
  'scale 1e-310': scaled(1e-310),
  'near the largest float32': (random) => 3e38 * (2 * random.uniform() - 1),
  subnormal: (random) => smallest * (random.below(2001) - 1000),
  'scales 1e-45 to 1e38': (random) => (random.uniform() - 0.5) * 10 ** (random.below(84) - 45),
  'constant 0.1': () => 0.1,
  'constant 1e8': () => 1e8,
  'zeros of both signs': (random) => oneOf(random, [0, -0]),
  '-0': () => -0,
  sorted: (_, index, length) => 100 + index / length,
  outlier: (random, index, length) => (index === Math.floor(length / 2) ? 1e8 : random.normal()),
  'outlier first': (random, index) => (index === 0 ? 1e8 : random.normal()),
  'outlier last': (random, index, length) => (index === length - 1 ? -1e8 : random.normal()),
  'far at first': (random, index, length) => (index < length / 20 ? 1e6 : 0) + random.normal(),
  levels: (random, index, length) => 100 * Math.floor((16 * index) / length) + random.normal(),
  'some NaN': salted(Number.NaN),
  'some Infinity': salted(Number.POSITIVE_INFINITY),
  'some of both infinities': salted(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  'one NaN, last': (random, index, length) => (index === length - 1 ? Number.NaN : random.normal()),
  rectified: (random) => (random.below(2) === 0 ? random.normal() : oneOf(random, [0, 0, 0, -0, Number.NaN])),
  'everything at once': salted(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -0,
    smallest,
    -smallest,
    3e38,
    -1e30,
    1e-38,
  ),
} satisfies Record<string, Value>

const eachChannel = 'another kind in each channel'

export type Kind = keyof typeof kinds | typeof eachChannel

export const kindNames: readonly Kind[] = [...(Object.keys(kinds) as Kind[]), eachChannel]

/** Values of `kind` for an input of `extent`; the same seed gives the same values. */
export function values(kind: Kind, extent: Extent, seed: number): Float32Array {
  return Float32Array.from(numbers(kind, extent, seed))
}

/** The same, rounded to `type`. */
export function valuesOfType(type: FloatType, kind: Kind, extent: Extent, seed: number): Values {
  if (type === 'float32') return values(kind, extent, seed)
  const exact = numbers(kind, extent, seed)
  return type === 'float64' ? exact : Uint16Array.from(exact, (number) => halfOfNumber(number, type))
}

function numbers(kind: Kind, { outer, channels, inner }: Extent, seed: number): Float64Array {
  const random = new Random(seed)
  const length = outer * channels * inner
  const all: readonly Value[] = kind === eachChannel ? Object.values(kinds) : [kinds[kind]]
  const result = new Float64Array(length)
  for (let index = 0; index < length; index++) {
    const channel = Math.floor(index / inner) % channels
    result[index] = all[channel % all.length](random, index, length)
  }
  return result
}
