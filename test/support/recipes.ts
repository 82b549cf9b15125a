/** The data sets that the promise of accuracy is held to: ordinary ones, and those that broke a kernel. */
import type { FloatType } from '../../lib/tensor/data-type.ts'
import type { Random } from './random.ts'

/** Where a value stands. */
interface Place {
  readonly row: number
  readonly rows: number
  readonly channel: number
}

type Value = (random: Random, place: Place) => number

export interface Recipe {
  readonly x: Value
  /** N(0, 1) unless told. */
  readonly gradOutput?: Value
  /** One a channel; 1 and 0 unless told. */
  readonly weight?: (channel: number) => number
  readonly bias?: (channel: number) => number
  /** 1e-5 unless told. */
  readonly eps?: number
  /** What normalizes in eval mode; without it the recipe is one of training. */
  readonly running?: { readonly mean: number; readonly variance: number }
  /** 1400 unless told; samples of L values are filled up. */
  readonly rows?: number
  /** 3 unless told. */
  readonly channels?: number
  /** float32 and float64 unless told. */
  readonly types?: readonly FloatType[]
}

const normal: Value = (random) => random.normal()
const scaled =
  (scale: number, offset = 0): Value =>
  (random) =>
    offset + scale * random.normal()
const constant =
  (value: number): Value =>
  () =>
    value
const cycle =
  (...values: readonly number[]): Value =>
  (_, { row }) =>
    values[row % values.length]
/** `value` in each `period`-th row, `other` in between. */
const spikes =
  (value: number, period: number, other = 0): Value =>
  (_, { row }) =>
    row % period === 0 ? value : other
/** `value` in the first of each eight rows, another for each channel and class; `noise` beside it. */
const roundRobin =
  (noise: number): Value =>
  (random, { row, channel }) =>
    1 + ((((row % 8) * 37 + channel * 11) * 0.618034) % 1) + noise * random.normal()

const every: readonly FloatType[] = ['float32', 'float64', 'bfloat16', 'float16']
const wide: readonly FloatType[] = ['float32', 'float64', 'bfloat16']
const double: readonly FloatType[] = ['float64']

/** Small batches, of which one in a hundred shows what is wrong: a channel is a batch. */
const tiny = (rows: number): Recipe => ({ rows, channels: 300, eps: 0, x: scaled(1e-30), types: wide })

export const recipes: Readonly<Record<string, Recipe>> = {
  'N(0, 1)': { x: normal, types: every },
  'offset 1e4, std 1e-2': { x: scaled(1e-2, 1e4) },
  'offset 100': { x: scaled(1, 100), types: every },
  'offset 1e6': { x: scaled(1, 1e6) },
  'offset 1e15': { x: scaled(1, 1e15), types: double },
  'scale 1e18': { x: scaled(1e18), types: wide },
  'scale 1e30': { x: scaled(1e30), types: wide },
  'scale 1e200': { x: scaled(1e200), types: double },
  'scale 1e-200, eps 0': { x: scaled(1e-200), eps: 0, types: double },
  'std 1e-39, eps 0': { x: scaled(1e-39), eps: 0, types: wide },
  'std 1e-300, eps 0': { x: scaled(1e-300), eps: 0, types: double },
  'exponents from 1e-45 to 1e38': { x: (random) => (random.uniform() - 0.5) * 10 ** (random.below(84) - 45) },
  'exponents from 1e-320 to 1e308': {
    x: (random) => (random.uniform() - 0.5) * 10 ** (random.below(629) - 320),
    types: double,
  },

  'every 8th row 1.0032050609588623, else 0; 64 rows': {
    rows: 64,
    channels: 64,
    x: spikes(1.0032050609588623, 8),
    types: every,
  },
  '1.7127060890197754 in each 15th block of 64, else 0; 8128 rows': {
    rows: 8128,
    channels: 2,
    x: (_, { row }) => (Math.floor(row / 64) % 15 === 0 ? 1.7127060890197754 : 0),
  },
  'every 8th row of another class': { channels: 4, x: roundRobin(0), types: every },
  'every 8th row of another class, noise 0.1': { channels: 4, x: roundRobin(0.1), types: every },
  'every 8th row of another class, 64 rows': { rows: 64, channels: 64, x: roundRobin(0) },

  '+-1e-30, eps 0': { rows: 2, x: cycle(1e-30, -1e-30), eps: 0, types: wide },
  '1e-30 N(0, 1), eps 0, 2 rows': tiny(2),
  '1e-30 N(0, 1), eps 0, 4 rows': tiny(4),
  '1e-30 N(0, 1), eps 0, 10 rows': tiny(10),
  '1e-30 N(0, 1), eps 0, 64 rows': { ...tiny(64), channels: 60 },
  '-3e38 four times, 3e38': { rows: 5, x: cycle(-3e38, -3e38, -3e38, -3e38, 3e38), types: wide },
  '-1.7e308 four times, 1.7e308': {
    rows: 5,
    x: cycle(-1.7e308, -1.7e308, -1.7e308, -1.7e308, 1.7e308),
    types: double,
  },
  'U(+-3.4e38)': { x: (random) => 3.4e38 * (2 * random.uniform() - 1) },
  'U(+-3.3e38)': { x: (random) => 3.3e38 * (2 * random.uniform() - 1), types: ['bfloat16'] },
  'U(+-1.7e308)': { x: (random) => 1.7e308 * (2 * random.uniform() - 1), types: double },

  sorted: { x: (_, { row, rows }) => 100 + row / rows, types: every },
  drifting: { x: (random, { row, rows }) => (1e4 * row) / rows + random.normal() },
  'first row 1e30': { x: (random, { row }) => (row === 0 ? 1e30 : random.normal()) },
  'middle row 1e8': { x: (random, { row, rows }) => (row === rows >> 1 ? 1e8 : random.normal()) },
  'last row 1e13': { x: (random, { row, rows }) => (row === rows - 1 ? 1e13 : random.normal()) },
  'each 64 rows at another level': {
    x: (random, { row }) => 1e3 * Math.sin(1 + (row >> 6)) + 1e-2 * random.normal(),
  },
  'each 1024 rows at another level': {
    rows: 5000,
    channels: 2,
    x: (random, { row }) => 1e5 * Math.sin(1 + (row >> 10)) + random.normal(),
  },

  'all 1.5, one 1.5 + 2^-23, eps 0': {
    x: (_, { row, rows }) => (row === rows >> 1 ? 1.5 + 2 ** -23 : 1.5),
    eps: 0,
  },
  'all 1.5, one 1.5 + 2^-52, eps 0': {
    x: (_, { row, rows }) => (row === rows >> 1 ? 1.5 + 2 ** -52 : 1.5),
    eps: 0,
    types: double,
  },
  'constant 0, eps 0': { x: constant(0), eps: 0, bias: () => 0.3, types: every },
  'constant 0.1, eps 0': { x: constant(0.1), eps: 0, bias: () => 0.3, types: every },
  'constant 1e8, eps 0': { x: constant(1e8), eps: 0, bias: () => 0.3, types: wide },
  'constant 3e38, eps 0': { x: constant(3e38), eps: 0, bias: () => 0.3, types: wide },
  'constant 1e-40, eps 0': { x: constant(1e-40), eps: 0, bias: () => 0.3, types: wide },
  'constant 0.1': { x: constant(0.1), bias: () => 0.3, types: every },
  'constant 1e8': { x: constant(1e8), bias: () => 0.3, types: wide },
  'constant 3e38': { x: constant(3e38), bias: () => 0.3, types: wide },
  'constant 1e-40': { x: constant(1e-40), bias: () => 0.3, types: wide },

  'weight 1e3, bias -1e3': { x: normal, weight: () => 1e3, bias: () => -1e3, types: wide },
  'weight 1e6, bias -1e6': { x: normal, weight: () => 1e6, bias: () => -1e6, types: wide },
  'weight +-1e30, bias 1e-30': { x: normal, weight: (c) => (c % 2 ? 1e30 : -1e30), bias: () => 1e-30 },
  'weight 1e-30, bias 0': { x: normal, weight: () => 1e-30 },
  'weight 1e-30, bias 1e30': { x: normal, weight: () => 1e-30, bias: () => 1e30 },
  'weight 1e-41': { x: normal, weight: () => 1e-41 },
  'weight 1e-318': { x: normal, weight: () => 1e-318, types: double },
  'weight 0, bias 0': { x: normal, weight: () => 0 },
  'weight +-1e38, bias 3e38': {
    x: scaled(1, 5),
    weight: (channel) => (channel % 2 ? 1e38 : -1e38),
    bias: () => 3e38,
  },
  'weight * invstd beyond 3.4e38': {
    x: scaled(1e-20),
    eps: 0,
    weight: () => 1e30,
    gradOutput: scaled(1e-20),
    types: wide,
  },
  'weight * invstd beyond 1.7e308': {
    x: scaled(1e-200),
    eps: 0,
    weight: () => 1e200,
    gradOutput: scaled(1e-200),
    types: double,
  },

  'gradOutput 3e38 twice, -3e38 twice': { rows: 4, x: normal, gradOutput: cycle(3e38, 3e38, -3e38, -3e38) },
  'gradOutput 3e38 and -3e38, by turns of two': { x: normal, gradOutput: cycle(3e38, 3e38, -3e38, -3e38) },
  'gradOutput 1e38': { x: normal, gradOutput: constant(1e38), types: wide },
  'gradOutput U(+-1e38)': {
    x: normal,
    gradOutput: (random) => 1e38 * (2 * random.uniform() - 1),
    types: wide,
  },
  'gradOutput U(+-1e308)': {
    x: normal,
    gradOutput: (random) => 1e308 * (2 * random.uniform() - 1),
    types: double,
  },
  'gradOutput 1e-30 N(0, 1)': { x: normal, gradOutput: scaled(1e-30), types: wide },
  'gradOutput 1e-38 N(0, 1)': { x: normal, gradOutput: scaled(1e-38), types: wide },
  'gradOutput 1e-42 N(0, 1), weight 1e6': { x: normal, gradOutput: scaled(1e-42), weight: () => 1e6 },
  'gradOutput 1e-318 N(0, 1)': { x: normal, gradOutput: scaled(1e-318), types: double },
  'gradOutput 0.1': { x: normal, gradOutput: constant(0.1), types: every },
  'gradOutput 10 + N(0, 1)': { x: normal, gradOutput: scaled(1, 10), types: every },
  'gradOutput 1e4 + N(0, 1)': { x: normal, gradOutput: scaled(1, 1e4) },
  'gradOutput 1e6 + N(0, 1)': { x: normal, gradOutput: scaled(1, 1e6) },
  'gradOutput 1e4 + 0.01 N(0, 1)': { x: normal, gradOutput: scaled(0.01, 1e4) },
  'gradOutput 1e12 + N(0, 1)': { x: normal, gradOutput: scaled(1, 1e12), types: double },
  'offset 1e6, gradOutput 1e4 + N(0, 1)': { x: scaled(1, 1e6), gradOutput: scaled(1, 1e4) },
  'gradOutput in one row': {
    x: scaled(1, 100),
    gradOutput: (_, { row, rows }) => (row === rows >> 1 ? 1 : 0),
    types: every,
  },
  'gradOutput where x is near its mean': {
    x: (random, { row }) => (row % 100 === 0 ? 1e-3 : 1) * random.normal(),
    gradOutput: (random, { row }) => (row % 100 === 0 ? random.normal() : 0),
  },
  'gradOutput like xhat, offset 1e4': {
    x: (_, { row }) => Math.sin(row),
    gradOutput: (_, { row }) => 1e4 + Math.sin(row),
  },

  'eval: mean 0.1, variance 0.9': { x: normal, running: { mean: 0.1, variance: 0.9 }, types: every },
  'eval: offset 1e6': { x: scaled(1, 1e6), running: { mean: 1e6, variance: 1 } },
  'eval: variance 1e-40, eps 0': {
    x: scaled(1e-20),
    eps: 0,
    running: { mean: 0, variance: 1e-40 },
    types: wide,
  },
  'eval: weight * invstd beyond 3.4e38': {
    x: scaled(1e-20),
    eps: 0,
    running: { mean: 1e-21, variance: 1e-40 },
    weight: () => 1e30,
    gradOutput: scaled(1e-20),
    types: wide,
  },
  'eval: mean -3e38, x 3e38, weight 1e-20': {
    x: (random) => 3e38 * random.uniform(),
    running: { mean: -3e38, variance: 3e38 },
    weight: () => 1e-20,
    types: wide,
  },
  'eval: weight 1e-41': { x: normal, running: { mean: 0, variance: 1e-6 }, eps: 0, weight: () => 1e-41 },
}

/** The types that a recipe makes sense for. */
export function typesOf({ types = ['float32', 'float64'] }: Recipe): readonly FloatType[] {
  return types
}

const levels = [-2, -0.5, 0.25, 1] as const
const fewGradients: Value = (random) => levels[random.below(levels.length)]

/** For a million rows and more, with few enough values to be judged in little time. */
export const largeRecipes: Readonly<Record<string, Omit<Recipe, 'rows'>>> = {
  'all 1.5, one 1.5 + 2^-23, eps 0': {
    channels: 1,
    x: (_, { row, rows }) => (row === rows >> 1 ? 1.5 + 2 ** -23 : 1.5),
    gradOutput: fewGradients,
    eps: 0,
  },
  'N(10, 1)': {
    channels: 1,
    x: (random) => Math.round(1024 * (10 + random.normal())) / 1024,
    gradOutput: fewGradients,
  },
  'all 1e4, one 1e4 + 1, and gradOutput the same': {
    channels: 1,
    x: (_, { row, rows }) => (row === rows >> 1 ? 1e4 + 1 : 1e4),
    gradOutput: (_, { row, rows }) => (row === rows >> 1 ? 1e4 : 1e4 + 1),
    types: ['float32'],
  },
}
