/** Folding and analysis go by what normalizes, whatever says so, and are measured by the module's own forward. */
import { describe, expect, test } from 'vitest'
import {
  type AnyBatchNorm,
  absorbScale,
  BatchNorm1d,
  type BatchNormOptions,
  collapse,
  foldIntoNext,
  foldIntoPrevious,
  type Layer,
  linearity,
  setIdentity,
  type Tensor,
  tensor,
  toAffine,
} from '../lib/index.ts'
import type { ParameterType } from '../lib/tensor/data-type.ts'
import { inputOf } from './support/choices.ts'
import { type Evaluated, evaluate, evaluateActivation } from './support/layers.ts'
import { filled, normal, snapshot } from './support/module.ts'

type Options = BatchNormOptions<ParameterType>

const eachOf = <Value>(name: keyof Options, values: readonly Value[]) =>
  values.map((value): Options => ({ [name]: value }))

/** Every setting of the switches; which of them agree with the other options is for the module to say. */
const switches = eachOf('trackRunningStats', [true, false]).flatMap((track) =>
  eachOf('useBatchStats', [null, true, false]).flatMap((use) =>
    eachOf('updateStats', [null, true, false]).flatMap((update) =>
      [true, false].flatMap((training) =>
        [true, false].map((frozen) => ({ options: { ...track, ...use, ...update }, training, frozen })),
      ),
    ),
  ),
)

const others: Options[] = [
  {},
  { dtype: 'float64' },
  { layout: 'channels-last' },
  { layout: 'channels-last', dtype: 'float64', positiveScale: true },
  { positiveScale: true },
  { activation: 'relu' },
  { scale: false },
  { affine: false },
  { virtualBatchSize: 4 },
  { renorm: { rMax: 1.25, dMax: 0.5 } },
  { momentum: null, eps: 0.25 },
  { singleValue: 'running', nonFinite: 'throw', reuse: true },
]

const channels = 3
const before: Layer = { weight: normal([channels, 2, 2], 1), bias: normal([channels], 2) }
const behind: Layer = { weight: normal([4, channels, 2], 3), bias: normal([4], 4) }
const rowsBefore: Layer = { weight: normal([channels, 2], 5) }

/** A module made anew each time; `null` for options that exclude each other. */
function moduleOf({ options, training, frozen }: (typeof switches)[number], other: Options) {
  try {
    const bn = filled(new BatchNorm1d(channels, { ...other, ...options }))
    bn.weight?.data.set([0.5, 2, 0.25])
    bn.loadStateDict(bn.rawWeight ? { weight: [0.5, 2, 0.25] } : {}, { strict: false })
    return frozen ? bn.train(training).freeze() : bn.train(training)
  } catch (error) {
    if (/Expected options that agree/.test(String(error))) return null
    throw error
  }
}

type Module = NonNullable<ReturnType<typeof moduleOf>>

/** `[N, C, L]` in the layout and type of the module, or back from it. */
function exchanged({ data, shape: [n, a, b] }: { data: ArrayLike<number>; shape: readonly number[] }) {
  const values = Float64Array.from({ length: n * a * b }, (_, at) => {
    const [sample, column, row] = [Math.floor(at / (a * b)), Math.floor(at / a) % b, at % a]
    return data[(sample * a + row) * b + column]
  })
  return { data: values, shape: [n, b, a] }
}

function inputFor(bn: Module, values: Pick<Evaluated, 'data' | 'shape'>): Tensor {
  const placed = bn.layout === 'channels-last' && values.shape.length === 3 ? exchanged(values) : values
  return tensor(Float64Array.from(placed.data), placed.shape, { dtype: bn.dtype }) as unknown as Tensor
}

/** What the module's own forward makes of `[N, C, L]`. */
function forwardOf(bn: Module, values: Pick<Evaluated, 'data' | 'shape'>) {
  const y = bn.forward(inputFor(bn, values))
  const result = bn.layout === 'channels-last' && y.shape.length === 3 ? exchanged(y) : y
  return { data: Float64Array.from(result.data), shape: result.shape }
}

const x = normal([8, 2, 5], 11)
const wide = { data: Float64Array.from(x.data), shape: x.shape }
const behindInput = { data: Float64Array.from(normal([8, channels, 5], 12).data), shape: [8, channels, 5] }
const rows = { data: Float64Array.from(normal([8, 2], 13).data), shape: [8, 2] }

/** Close to what the module's own forward gives: to its rounding of input and output, and to that of the weights. */
function expectNear(actual: Evaluated, expected: { data: Float64Array }): void {
  const size = Math.max(...actual.magnitude)
  actual.data.forEach((value, at) => {
    expect(Math.abs(value - expected.data[at])).toBeLessThanOrEqual(4e-6 * size)
  })
}

/** The measured error is of the weights alone: nothing of the module's own rounding. */
const roundingOf = ({ magnitude }: Evaluated) => 2 ** -24 * 1.01 * Math.max(...magnitude)

describe.each(others.map((other) => ({ other })))('a module with $other', ({ other }) => {
  const modules = switches.flatMap((each) => {
    const make = () => moduleOf(each, other) as Module
    return moduleOf(each, other) === null ? [] : [{ ...each, make }]
  })

  /** Whether a sample's output depends on the other samples, found by trying. */
  function couplesSamples(make: () => Module): boolean {
    const [first, second] = [21, 22].map((seed) => inputOf(make().dtype, [6, channels], seed))
    const module = make()
    const { coupling } = linearity(module, first as Tensor, second as Tensor)
    return coupling > 0
  }

  test.each(['foldIntoPrevious', 'foldIntoNext', 'collapse', 'toAffine', 'setIdentity'] as const)(
    '%s does what its forward does, or refuses, and leaves it as it was',
    (name) => {
      for (const { make, options, training, frozen } of modules) {
        const bn = make()
        const [state, text] = [snapshot(bn), String(bn)]
        const calls = {
          foldIntoPrevious: () => {
            const probe = inputFor(bn, wide)
            const { layer, largestError } = foldIntoPrevious(before, bn, { probe })
            const actual = evaluate(layer, wide)
            expectNear(actual, forwardOf(make(), evaluate(before, wide)))
            expect(largestError).toBeLessThanOrEqual(roundingOf(actual))
          },
          foldIntoNext: () => {
            const { layer, largestError } = foldIntoNext(bn, behind, { probe: inputFor(bn, behindInput) })
            const actual = evaluate(layer, behindInput)
            expectNear(actual, evaluate(behind, forwardOf(make(), behindInput)))
            expect(largestError).toBeLessThanOrEqual(roundingOf(actual))
          },
          collapse: () => {
            const { layer, largestError } = collapse([rowsBefore, bn], {
              probe: tensor(rows.data, rows.shape),
            })
            const actual = evaluate(layer, rows)
            expectNear(actual, forwardOf(make(), evaluate(rowsBefore, rows)))
            expect(largestError).toBeLessThanOrEqual(roundingOf(actual))
          },
          toAffine: () => {
            const { scale, shift } = toAffine(bn)
            const y = forwardOf(make(), behindInput)
            y.data.forEach((value, at) => {
              const c = Math.floor(at / 5) % channels
              expect(Math.abs(value - (scale[c] * behindInput.data[at] + shift[c]))).toBeLessThan(4e-6)
            })
          },
          setIdentity: () => {
            setIdentity(bn)
            forwardOf(bn.eval(), behindInput).data.forEach((value, at) => {
              expect(Math.abs(value - behindInput.data[at])).toBeLessThan(4e-6)
            })
          },
        }
        // It is about eval mode, whatever the mode is now.
        const isIdentity = name === 'setIdentity'
        const isAffine = bn.activation === null && !couplesSamples(isIdentity ? () => make().eval() : make)
        const isRefused = !isAffine || (isIdentity && (bn.weight === null || bn.bias === null))
        const title = JSON.stringify({ options, training, frozen })
        if (isRefused)
          expect(calls[name], title).toThrow(/^Expected (batchNorm|moments) .* but received .*\(.*\)$/)
        else calls[name]()
        if (isIdentity && !isRefused) continue
        expect(snapshot(bn), title).toEqual(state)
        expect(String(bn), title).toBe(text)
      }
    },
  )

  test('absorbScale does what its forward does, in every mode', () => {
    for (const { make } of modules) {
      const bn = make()
      const [state, text] = [snapshot(bn), String(bn)]
      const probe = inputFor(bn, behindInput)
      const absorb = () => absorbScale(bn, 'relu', behind, { probe })
      if (bn.activation !== null || bn.weight === null) {
        expect(absorb).toThrow(/^Expected batchNorm with/)
      } else {
        const { batchNorm, next, largestError } = absorb()
        const output = (of: Module, into: Layer) =>
          evaluate(into, evaluateActivation('relu', forwardOf(of, behindInput)))
        const actual = output(batchNorm, next)
        expectNear(actual, output(make(), behind))
        // beta / gamma is rounded too.
        expect(largestError).toBeLessThanOrEqual(4 * roundingOf(actual))
      }
      expect(snapshot(bn)).toEqual(state)
      expect(String(bn)).toBe(text)
    }
  })
})

test.each<[string, Options, (bn: AnyBatchNorm) => unknown, RegExp]>([
  [
    'useBatchStats: true',
    { useBatchStats: true },
    (bn) => bn.eval(),
    /useBatchStats: true.*set useBatchStats to null/,
  ],
  ['training', {}, (bn) => bn, /it in training mode.*batchNorm\.eval\(\) or freeze\(\)/],
  ['no statistics', { trackRunningStats: false }, (bn) => bn, /trackRunningStats: false.*recalibrate/],
])('what is refused says why: %s', (_, options, prepare, message) => {
  const bn = new BatchNorm1d(channels, options)
  prepare(bn)
  expect(() => toAffine(bn)).toThrow(message)
})

test('a module whose forward is another one is found by the probe', () => {
  class Doubled extends BatchNorm1d<ParameterType> {
    override forward(...call: Parameters<BatchNorm1d['forward']>): never {
      const y = super.forward(...call)
      y.data.forEach((value, at) => {
        y.data[at] = 2 * value
      })
      return y as never
    }
  }
  const bn = filled(new Doubled(channels)).eval()
  const { largestError } = foldIntoPrevious(rowsBefore, bn, { probe: tensor(rows.data, rows.shape) })
  expect(largestError).toBeGreaterThan(0.1)
})
