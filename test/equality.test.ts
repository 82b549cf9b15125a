/**
 * Every backend, instruction set and thread count gives the same bits, for values of every type: each
 * native configuration is compared with the TypeScript backend, in every operation.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend, Extent } from '../lib/backend/backend.ts'
import { activeBackend, setNumThreads } from '../lib/backend/load.ts'
import { typescriptBackend } from '../lib/backend/typescript/index.ts'
import { BatchNorm1d, tensor } from '../lib/index.ts'
import type { FloatType } from '../lib/tensor/data-type.ts'
import { type HalfType, widened } from '../lib/tensor/half.ts'
import type { Layout } from '../lib/tensor/shape.ts'
import { describeEachBackend, isThorough, share, testEachNative } from './support/backends.ts'
import { difference, type FloatArray } from './support/bits.ts'
import { type Kind, kindNames, values } from './support/data.ts'
import {
  differences,
  everyResult,
  inputsOf,
  operationNames,
  type Recipe,
} from './support/operations/index.ts'

const threadCounts = [1, 2, 3, 4]

afterAll(() => setNumThreads(1))

/** Compares the selected native backend with the specification, and says at which recipe it differs. */
function expectSameBits(prepared: readonly Prepared[], backend: Backend, threads: number): void {
  setNumThreads(threads)
  expect(activeBackend().threads).toBe(threads)
  for (const { recipe, inputs, expected, names } of prepared) {
    const found = differences(everyResult(backend, inputs, names), expected)
    expect(found, `with ${threads} threads, ${JSON.stringify(recipe)}`).toEqual([])
  }
}

type Prepared = ReturnType<typeof prepare>

/** Each kernel, where every variant of every operation takes too long. */
const essential = [
  'statistics',
  'merge of halves',
  'updateRunning',
  'evalStatistics',
  'normalize, residual, activation',
  'forward, propagate',
  'forward, activation',
  'gradientSums, activated',
  'inputGradient, activated, ir',
  'backward in training, iwb',
  'backward in training, activated, iwb',
  'backward in eval, iwb',
  'backward in eval, activated, iwbr',
]

/** Each kernel, and a quarter of all variants: four extents, which every group has, meet all of them. */
function variantsFor(index: number): string[] {
  return operationNames.filter((name, place) => place % 4 === index % 4 || essential.includes(name))
}

/** Each pass over memory. */
const passes = [
  'statistics',
  'normalize, residual, activation',
  'forward, propagate',
  'forward in place',
  'backward in training, iwb',
  'backward in training, over x',
  'backward in training, activated, iwbr',
  'backward in eval, iwb',
]

/** The inputs of a recipe and what the specification makes of them. */
function prepare(recipe: Recipe, names: readonly string[]) {
  const inputs = inputsOf(recipe)
  return { recipe, names, inputs, expected: everyResult(typescriptBackend, inputs, names) }
}

/** Those that float32 is not: what differs for them is how values are loaded, stored and computed with. */
const otherTypes: readonly FloatType[] = ['float64', 'bfloat16', 'float16']

/** A recipe whose other ingredients change with `index`, so that a table of extents meets all of them. */
function recipeOf(extent: Extent, index: number): Recipe {
  return {
    type: 'float32',
    extent,
    kind: index % 2 === 0 ? 'normal' : kindNames[((index - 1) / 2) % kindNames.length],
    gradientKind: index % 7 === 0 ? kindNames[(index / 7) % kindNames.length] : 'normal',
    seed: index,
    eps: [1e-5, 0, 1e-3, 1e-70][index % 4],
    momentum: [0.1, 1, 0.37][index % 3],
    offset: index % 5,
  }
}

function around(...boundaries: number[]): number[] {
  return boundaries.flatMap((boundary) => [boundary - 1, boundary, boundary + 1])
}

function outersAround(samples: readonly number[]): number[] {
  return [...new Set(samples)].filter((outer) => outer > 0).sort((a, b) => a - b)
}

/** Around the boundaries of rows, pivot rows, chunks and, where wanted, segments. `inner` is below 64. */
function channelsTogether(channels: number, inner: number, segments: boolean): Extent[] {
  let row = 1
  while (row * channels * inner < 64) row *= 2
  const boundaries = segments
    ? [...around(2048 * row), 2049 * row + 1, 4096 * row + row + 1]
    : [
        1,
        2,
        3,
        ...around(row),
        7 * row,
        ...around(8 * row),
        ...around(16 * row),
        127 * row,
        ...around(128 * row),
        129 * row + 1,
        256 * row + 1,
      ]
  return outersAround(boundaries).map((outer) => ({ outer, channels, inner }))
}

/** Around the boundaries of chunks and segments. `inner` is 64 or more. */
function channelByChannel(channels: number, inner: number, segments: boolean): Extent[] {
  const chunk = Math.max(1, Math.floor(2048 / inner))
  const boundaries = segments ? around(16 * chunk) : [1, 2, 3, ...around(chunk), 2 * chunk + 1]
  return outersAround(boundaries).map((outer) => ({ outer, channels, inner }))
}

const manyChannels = [1, 2, 3, 5, 7, 8, 9, ...around(16, 32, 64, 128), 257, ...around(1024)]
const smallInners = [2, 3, ...around(16), 33, 49, 63]
const largeInners = [64, 65, 79, ...around(128), 784, ...around(2048, 4096, 8192)]

const groups: Record<string, Extent[]> = {}
for (const channels of manyChannels) groups[`${channels} channels`] = channelsTogether(channels, 1, false)
for (const inner of smallInners) {
  for (const channels of [1, 3, 10]) {
    groups[`${channels} channels of ${inner} positions`] = channelsTogether(channels, inner, false)
  }
}
// Around the 2048 columns of a tile, and half of them for float64.
for (const [inner, most] of [
  [1, 2048],
  [2, 512],
  [2, 1024],
  [15, 136],
  [33, 31],
  [63, 32],
]) {
  const channels = [most, most + 1]
  groups[`about ${most} channels of ${inner} positions`] = channels.flatMap((count) =>
    [1, 9, 65].map((outer) => ({ outer, channels: count, inner })),
  )
}
for (const inner of largeInners) {
  for (const channels of [1, 3]) {
    groups[`${channels} channels of ${inner} positions`] = channelByChannel(channels, inner, false)
  }
}
for (const [channels, inner] of [
  [1, 1],
  [3, 1],
  [65, 1],
  [3, 17],
  [1, 63],
]) {
  groups[`segments of ${channels} channels of ${inner} positions`] = channelsTogether(channels, inner, true)
}
// Around the 128 channels of a tile of runs.
groups['about 128 channels of 64 positions'] = around(128).map((channels) => ({
  outer: 3,
  channels,
  inner: 64,
}))
for (const [channels, inner] of [
  [1, 64],
  [2, 65],
  [3, 784],
  [2, 4097],
]) {
  groups[`segments of ${channels} channels of ${inner} positions`] = channelByChannel(channels, inner, true)
}
groups['segments within one sample'] = around(32768).map((inner) => ({ outer: 2, channels: 2, inner }))

describe('every operation gives the same bits around every boundary', () => {
  let index = 0
  describe.each(share(Object.entries(groups), 32))('%s', (_, extents) => {
    let prepared: Prepared[] = []
    beforeAll(() => {
      prepared = extents.flatMap((extent) => {
        const recipe = recipeOf(extent, index++)
        const type = otherTypes[index % otherTypes.length]
        const isLarge = extent.outer * extent.channels * extent.inner > 30_000
        return [
          prepare(recipe, isLarge ? essential : variantsFor(index)),
          prepare({ ...recipe, type }, essential),
        ]
      })
    })
    afterAll(() => {
      prepared = []
    })
    testEachNative((backend) => {
      expectSameBits(prepared, backend, 1)
      expectSameBits(prepared, backend, 2 + (prepared[0].recipe.seed % 3))
    })
  })
})

describe('every kind of data gives the same bits in every variant of every operation', () => {
  const extents: Extent[] = [
    { outer: 303, channels: 19, inner: 1 },
    { outer: 131, channels: 5, inner: 7 },
    { outer: 35, channels: 3, inner: 131 },
  ]
  describe.each(kindNames.map((kind, place) => ({ kind, place })))('$kind', ({ kind, place }) => {
    let prepared: Prepared[] = []
    beforeAll(() => {
      const recipes = extents.map((extent, index) => ({ ...recipeOf(extent, index), kind }))
      const reversed = recipes.map((recipe) => ({ ...recipe, kind: 'normal' as Kind, gradientKind: kind }))
      const ofOtherTypes = otherTypes.flatMap((type, index) => [
        { ...recipes[index], type },
        { ...reversed[index], type },
      ])
      const all = [...recipes, ...reversed, ...ofOtherTypes]
      prepared = share(all, 6, place).map((recipe) => prepare(recipe, operationNames))
    })
    testEachNative((backend) => {
      expectSameBits(prepared, backend, 2)
    })
  })
})

describe.each<HalfType>(['bfloat16', 'float16'])('%s', (half) => {
  const channels = 32
  const extent: Extent = { outer: 2 ** 16 / channels, channels, inner: 1, half }
  const everything = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits)
  const statistics = { mean: new Float64Array(channels), invstd: new Float64Array(channels).fill(1) }

  function normalized(backend: Backend, weight: Float32Array | null): Float32Array {
    const y = new Uint16Array(everything.length)
    backend.normalize(everything, extent, statistics, { weight, bias: null }, y)
    return widened(y, half)
  }

  testEachNative((backend) => {
    // Every value as it is (-0 + 0 is 0).
    const expected = widened(everything, half).map((value) => value + 0)
    expect(difference(normalized(backend, null), expected)).toBeNull()
    // Every value rounded, to subnormals and ties too, and beyond the largest.
    for (const numerator of [1, 1.5, 257, 1 / 3, 0.9999]) {
      const weight = Float32Array.from({ length: channels }, (_, channel) => numerator * 2 ** (channel - 24))
      expect(difference(normalized(backend, weight), normalized(typescriptBackend, weight))).toBeNull()
    }
  })
})

describe('inputs of megabytes, which threads share out, give the same bits', () => {
  const extents: Extent[] = [
    { outer: 20481, channels: 33, inner: 1 },
    { outer: 1_000_003, channels: 1, inner: 1 },
    { outer: 129, channels: 4099, inner: 1 },
    { outer: 1000, channels: 100, inner: 1 },
    { outer: 70, channels: 333, inner: 17 },
    { outer: 2, channels: 250_009, inner: 1 },
    { outer: 3001, channels: 9, inner: 33 },
    { outer: 19, channels: 5, inner: 8193 },
    { outer: 3, channels: 2, inner: 150_001 },
    { outer: 1, channels: 1, inner: 600_001 },
    { outer: 5, channels: 2049, inner: 64 },
  ]
  describe.each(share(extents, 5))('($outer, $channels, $inner)', (extent) => {
    const index = extents.indexOf(extent)
    let prepared: Prepared[] = []
    beforeAll(() => {
      const recipe: Recipe = { ...recipeOf(extent, index), kind: 'another kind in each channel' }
      const type = otherTypes[index % otherTypes.length]
      prepared = [recipe, { ...recipe, type }].map((each) => prepare(each, passes))
    })
    afterAll(() => {
      prepared = []
    })
    testEachNative((backend) => {
      for (const threads of share(threadCounts, 2, index)) expectSameBits(prepared, backend, threads)
    })
  })
})

describe('whatever the extent, the data and the alignment, the bits are the same', () => {
  /** Sizes with their boundaries often among them; at most 20,000 values. */
  const sizes = (limit: number, boundaries: number[]) =>
    fc.oneof(
      fc.integer({ min: 1, max: limit }),
      fc.constantFrom(...boundaries.filter((size) => size <= limit)),
    )
  const limit = 20_000
  const extents = sizes(1100, manyChannels).chain((channels) =>
    sizes(Math.floor(limit / channels), [1, 1, ...smallInners, ...largeInners]).chain((inner) =>
      fc.record({
        outer: sizes(Math.floor(limit / channels / inner), [1, 2, ...around(64, 128, 1024, 4096)]),
        channels: fc.constant(channels),
        inner: fc.constant(inner),
      }),
    ),
  )
  const recipes = fc.record({
    type: fc.constantFrom<FloatType>('float32', ...otherTypes),
    extent: extents,
    kind: fc.constantFrom(...kindNames),
    gradientKind: fc.constantFrom(...kindNames),
    seed: fc.noShrink(fc.integer()),
    eps: fc.constantFrom(1e-5, 0, 1e-3, 1e-70),
    momentum: fc.constantFrom(0.1, 0, 1, 1 / 3),
    offset: fc.integer({ min: 0, max: 15 }),
  })

  testEachNative((backend) => {
    const threads = fc.constantFrom(...threadCounts)
    fc.assert(
      fc.property(recipes, threads, (recipe, count) =>
        expectSameBits([prepare(recipe, essential)], backend, count),
      ),
      { numRuns: isThorough ? 100 : 10 },
    )
  })
})

describeEachBackend('shapes that hold the same values in the same order give the same bits', () => {
  const [samples, positions, channels] = [67, 3, 19]
  const data = values('offset 1e6', { outer: samples * positions, channels, inner: 1 }, 1)
  const gradOutput = values('normal', { outer: samples * positions, channels, inner: 1 }, 2)

  function train(shape: readonly number[], layout: Layout): Record<string, FloatArray> {
    const module = new BatchNorm1d(channels, { layout })
    const y = module.forward(tensor(data, shape))
    const gradInput = module.backward(tensor(gradOutput, shape))
    const state = Object.entries(module.stateDict()).map(
      ([key, value]) => [key, Float64Array.from(value.data, Number)] as const,
    )
    return { y: y.data, gradInput: gradInput.data, ...Object.fromEntries(state) }
  }

  test.each<[string, number[], Layout]>([
    ['[N, C, 1]', [samples * positions, channels, 1], 'channels-first'],
    ['[N, L, C], channels last', [samples, positions, channels], 'channels-last'],
    ['[N, 1, C], channels last', [samples * positions, 1, channels], 'channels-last'],
  ])('[N, C] and %s', (_, shape, layout) => {
    const expected = train([samples * positions, channels], 'channels-first')
    expect(Object.keys(expected)).toHaveLength(2 + 5)
    expect(differences(train(shape, layout), expected)).toEqual([])
  })
})
