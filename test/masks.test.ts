/** `mask` and `lengths`: what counts in a batch, and what the rest gets. */
import { describe, expect, test } from 'vitest'
import {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  type ForwardOptions,
  type Layout,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'

const channels = 3

interface Form {
  readonly Module: typeof BatchNorm1d | typeof BatchNorm2d
  readonly layout: Layout
  readonly shape: number[]
}

const forms: Form[] = [
  { Module: BatchNorm1d, layout: 'channels-first', shape: [8, 3] },
  { Module: BatchNorm1d, layout: 'channels-last', shape: [8, 3] },
  { Module: BatchNorm1d, layout: 'channels-first', shape: [8, 3, 5] },
  { Module: BatchNorm1d, layout: 'channels-last', shape: [8, 5, 3] },
  { Module: BatchNorm2d, layout: 'channels-first', shape: [8, 3, 4, 2] },
  { Module: BatchNorm2d, layout: 'channels-last', shape: [8, 4, 2, 3] },
]

/** Modules that are all alike. */
function moduleOf({ Module, layout }: Pick<Form, 'Module' | 'layout'>, options: BatchNormOptions = {}) {
  return filled(new Module(channels, { layout, ...options }))
}

/** Positions of a sample, and where a value is. */
function geometry({ layout, shape }: Form) {
  const positions = shape.reduce((product, size) => product * size, 1) / (shape[0] * channels)
  const at = (sample: number, position: number, channel: number) =>
    layout === 'channels-last'
      ? (sample * positions + position) * channels + channel
      : (sample * channels + channel) * positions + position
  return { positions, at }
}

/** For each value that counts, in the order of samples and positions, where it is. */
function gathered(form: Form, counts: (sample: number, position: number) => boolean): number[] {
  const { positions, at } = geometry(form)
  const indices: number[] = []
  for (let sample = 0; sample < form.shape[0]; sample++) {
    for (let position = 0; position < positions; position++) {
      if (!counts(sample, position)) continue
      for (let channel = 0; channel < channels; channel++) indices.push(at(sample, position, channel))
    }
  }
  return indices
}

function pick({ data }: Tensor, indices: readonly number[]): Tensor {
  return tensor(
    Float32Array.from(indices, (index) => data[index]),
    [indices.length / channels, channels],
  )
}

/** The picked values where they were, and 0 everywhere else. */
function put({ data }: Tensor, indices: readonly number[], { shape }: Form): Tensor {
  const all = new Float32Array(shape.reduce((product, size) => product * size, 1))
  indices.forEach((index, from) => {
    all[index] = data[from]
  })
  return tensor(all, shape)
}

const flag = (sample: number, position: number) => (sample * 5 + position * 3) % 4 !== 1
const length = (sample: number, positions: number) => (sample * 3) % (positions + 1)

/** Ways to say which values count. */
const ways: {
  title: string
  counts: (sample: number, position: number, positions: number) => boolean
  call: (form: Form, positions: number) => ForwardOptions
  fits?: (form: Form) => boolean
}[] = [
  {
    title: 'mask (N), numbers',
    counts: (sample) => flag(sample, 0),
    call: ({ shape }) => ({ mask: Array.from({ length: shape[0] }, (_, n) => Number(flag(n, 0))) }),
  },
  {
    title: 'mask (N), booleans',
    counts: (sample) => flag(sample, 0),
    call: ({ shape }) => ({ mask: Array.from({ length: shape[0] }, (_, n) => flag(n, 0)) }),
  },
  {
    title: 'mask (N, ...), a Uint8Array',
    counts: flag,
    call: ({ shape }, positions) => ({
      mask: Uint8Array.from({ length: shape[0] * positions }, (_, i) =>
        Number(flag(Math.floor(i / positions), i % positions)),
      ),
    }),
  },
  {
    title: 'mask (N, ...), a tensor',
    counts: flag,
    call: (form, positions) => {
      const { shape, layout } = form
      const axes = layout === 'channels-last' ? shape.slice(1, -1) : shape.slice(2)
      const flags = Array.from({ length: shape[0] * positions }, (_, i) =>
        Number(flag(Math.floor(i / positions), i % positions)),
      )
      return { mask: tensor(Float32Array.from(flags), [shape[0], ...axes]) }
    },
  },
  {
    title: 'mask (N, ...), int64',
    counts: flag,
    call: ({ shape }, positions) => ({
      mask: BigInt64Array.from({ length: shape[0] * positions }, (_, i) =>
        BigInt(flag(Math.floor(i / positions), i % positions)),
      ),
    }),
  },
  {
    title: 'lengths, an int64 tensor',
    counts: (sample, position, positions) => position < length(sample, positions),
    call: ({ shape }, positions) => ({
      lengths: tensor(BigInt64Array.from({ length: shape[0] }, (_, n) => BigInt(length(n, positions)))),
    }),
    fits: ({ shape }) => shape.length === 3,
  },
  {
    title: 'lengths',
    counts: (sample, position, positions) => position < length(sample, positions),
    call: ({ shape }, positions) => ({
      lengths: Array.from({ length: shape[0] }, (_, n) => length(n, positions)),
    }),
    fits: ({ shape }) => shape.length === 3,
  },
]

describeEachBackend('what does not count', () => {
  describe.each(forms)('$Module.name, $shape, $layout', (form) => {
    const { shape } = form
    const { positions } = geometry(form)
    const [x, g] = [normal(shape, 1), normal(shape, 2)]

    for (const { title, counts, call, fits } of ways) {
      if (fits !== undefined && !fits(form)) continue
      const indices = gathered(form, (sample, position) => counts(sample, position, positions))

      test.each([true, false])(`is as if it were not there: ${title} (training %s)`, (training) => {
        for (const options of [{}, { momentum: null, center: false }, { nonFinite: 'throw' }] as const) {
          const bn = moduleOf(form, options).train(training)
          const plain = moduleOf({ Module: BatchNorm1d, layout: 'channels-first' }, options).train(training)
          // What does not count may be anything.
          const dirty = tensor(new Float32Array(x.data.length).fill(Number.NaN), shape)
          for (const index of indices) dirty.data[index] = x.data[index]
          const out = new Float32Array(x.data.length).fill(42)
          const y = bn.forward(dirty, { ...call(form, positions), out })
          expect(y.data).toBe(out)
          expectSameBits(y, put(plain.forward(pick(x, indices)), indices, form))
          const gradInput = bn.backward(g, { out: new Float32Array(out.length).fill(42) })
          expectSameBits(gradInput, put(plain.backward(pick(g, indices)), indices, form))
          expect(snapshot(bn)).toEqual(snapshot(plain))
        }
      })
    }

    test('is gone when the output is written over the input', () => {
      const mask = Array.from({ length: shape[0] }, (_, n) => n % 2)
      const copy = tensor(x.data.slice(), shape)
      const expected = moduleOf(form).forward(x, { mask })
      expectSameBits(moduleOf(form).forward(copy, { mask, out: copy }), expected)
    })

    test('a mask of ones, full lengths and equal weights are the plain case', () => {
      const expected = moduleOf(form)
      const [y, gradInput] = [expected.forward(x), expected.backward(g)]
      const ones = { mask: new Array(shape[0]).fill(1) }
      const calls: ForwardOptions[] = [ones, { weights: new Array(shape[0]).fill(0.3) }]
      if (shape.length === 3) calls.push({ lengths: new Array(shape[0]).fill(positions) })
      for (const call of calls) {
        const bn = moduleOf(form)
        expectSameBits(bn.forward(x, call), y)
        expectSameBits(bn.backward(g), gradInput)
        expect(snapshot(bn)).toEqual(snapshot(expected))
      }
    })

    test.each([true, false])(
      'where nothing counts the running statistics normalize (training %s)',
      (training) => {
        const zeros = new Array(shape[0]).fill(0)
        const calls: ForwardOptions[] = [{ mask: zeros }, { weights: zeros }, { mask: zeros, weights: zeros }]
        if (shape.length === 3) calls.push({ lengths: zeros })
        for (const call of calls) {
          const [bn, expected] = [moduleOf(form), moduleOf(form)]
          for (const module of [bn, expected]) for (const seed of [3, 4]) module.forward(normal(shape, seed))
          bn.train(training)
          expected.eval()
          const before = snapshot(bn).state
          const y = bn.forward(x, call)
          expect(snapshot(bn).state).toEqual(before)
          // In eval mode weights do not matter; a mask that lets nothing through still shows everything.
          expectSameBits(y, expected.forward(x))
          expectSameBits(bn.backward(g), expected.backward(g))
          expect(snapshot(bn)).toEqual(snapshot(expected))
          const without = moduleOf(form, { trackRunningStats: false }).train(training)
          expect(() => without.forward(x, call)).toThrow(
            'Expected mask, lengths and weights to let at least one value count but received none',
          )
        }
      },
    )

    test('mask and weights: the weights of what counts', () => {
      const weights = Array.from({ length: shape[0] }, (_, n) => 1 + (n % 3))
      const indices = gathered(form, flag)
      const mask = Uint8Array.from({ length: shape[0] * positions }, (_, i) =>
        Number(flag(Math.floor(i / positions), i % positions)),
      )
      const rows = indices.filter((_, i) => i % channels === 0)
      const sampleOf = (index: number) => Math.floor(index / (positions * channels))
      const bn = moduleOf(form)
      const plain = moduleOf({ Module: BatchNorm1d, layout: 'channels-first' })
      const y = plain.forward(pick(x, indices), { weights: rows.map((index) => weights[sampleOf(index)]) })
      expectSameBits(bn.forward(x, { mask, weights }), put(y, indices, form))
      expectSameBits(bn.backward(g), put(plain.backward(pick(g, indices)), indices, form))
      expect(snapshot(bn)).toEqual(snapshot(plain))
    })
  })

  test('one value that counts is one value', () => {
    const x = normal([4, channels], 1)
    for (const call of [
      { mask: [0, 1, 0, 0] },
      { weights: [0, 5, 0, 0] },
      { weights: [1, 1e-9, 1e-20, 0] },
    ]) {
      const form = { Module: BatchNorm1d, layout: 'channels-first' } as const
      const bn = moduleOf(form)
      const before = snapshot(bn)
      expect(() => bn.forward(x, call)).toThrow('Expected more than 1 value per channel when training')
      expect(snapshot(bn)).toEqual(before)
      const running = moduleOf(form, { singleValue: 'running' })
      const expected = moduleOf(form).eval().forward(x)
      const y = running.forward(x, call)
      const shown =
        'mask' in call ? put(pick(expected, [3, 4, 5]), [3, 4, 5], { ...form, shape: [4, 3] }) : expected
      expectSameBits(y, shown)
      expect(snapshot(running).state).toEqual(before.state)
      moduleOf(form).eval().forward(x, call)
    }
    const twoPositions = moduleOf({ Module: BatchNorm1d, layout: 'channels-first' })
    twoPositions.forward(normal([4, channels, 2], 1), { mask: [0, 1, 0, 0] })
    expect(twoPositions.numBatchesTracked?.data[0]).toBe(4n)
  })
})
