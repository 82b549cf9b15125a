/** What a caller's program does behind our back: properties of every object, getters that call the module again. */
import { describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import {
  BatchNorm1d,
  type BatchNormOptions,
  decodeSafetensors,
  encodeSafetensors,
  functional,
  LazyBatchNorm1d,
  Moments,
  type Tensor,
} from '../lib/index.ts'
import { fromOnnx, toOnnx } from '../lib/interop/onnx/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { expectSameBits, normal, snapshot, trained } from './support/module.ts'

const x = normal([6, 3], 5)
const other = normal([6, 3], 6)

/** Runs `call` while every object of the program has these properties. */
function polluted<Result>(properties: Readonly<Record<string, unknown>>, call: () => Result): Result {
  const prototype = Object.prototype as unknown as Record<string, unknown>
  Object.assign(prototype, properties)
  try {
    return call()
  } finally {
    for (const name of Object.keys(properties)) delete prototype[name]
  }
}

const uses: Readonly<Record<string, () => unknown>> = {
  'a step of training': () => step({}),
  'with reuse': () => step({ reuse: true }),
  'with an activation': () => step({ activation: 'relu' }),
  'with ghost batches and renorm': () => step({ virtualBatchSize: 3, renorm: true }),
  'with positiveScale': () => step({ positiveScale: true }),
  'memory of the caller': () => {
    const bn = trained(3)
    const y = bn.forward(x, { out: new Float32Array(18), residual: other, weights: [1, 2, 3, 4, 5, 6] })
    return [y.data, bn.backward(other, { out: y, gradResidual: new Float32Array(18) }).data, snapshot(bn)]
  },
  'a lazy module': () => new LazyBatchNorm1d().forward(x).data,
  'a function': () => functional.batchNorm(x, { training: true, out: new Float32Array(18) }).data,
  'a state through JSON': () => {
    const bn = new BatchNorm1d(3)
    return [bn.loadStateDict(JSON.parse(JSON.stringify(trained(3).stateDict()))), snapshot(bn)]
  },
  safetensors: () => decodeSafetensors(encodeSafetensors(trained(3).stateDict())).get('weight').data,
  ONNX: () => snapshot(fromOnnx(toOnnx(trained(3).eval(), { rank: 2 })).module),
  moments: () => Moments.fromJSON(JSON.parse(JSON.stringify(Moments.of(x)))).mean,
}

function step(options: BatchNormOptions) {
  const bn = new BatchNorm1d(3, options)
  const y = bn.forward(x).data.slice()
  return [y, bn.backward(other).data.slice(), snapshot(bn), bn.toString(), Object.keys(bn.options)]
}

describeEachBackend('properties that every object has', () => {
  test.each(Object.entries(uses))('change nothing: %s', (_, use) => {
    const expected = use()
    const memory = new Float32Array(18)
    expect(polluted({ x: 5, memory, nothing: null }, use)).toEqual(expected)
  })
})

/** A tensor that runs `code` whenever its values are asked for. */
function asking({ data, shape }: Tensor, code: () => unknown) {
  return {
    get data() {
      code()
      return data
    },
    shape,
  }
}

const innerCalls: Readonly<Record<string, (bn: BatchNorm) => unknown>> = {
  forward: (bn) => bn.forward(other),
  forwardAsync: (bn) => bn.forwardAsync(other).catch(() => {}),
  recompute: (bn) => bn.recompute(other),
  backward: (bn) => bn.backward(other),
  loadStateDict: (bn) => bn.loadStateDict(trained(3, { eps: 1 }).stateDict()),
  resetParameters: (bn) => bn.resetParameters(),
}

const outerCalls: Readonly<Record<string, (bn: BatchNorm, code: () => unknown) => unknown>> = {
  'the input of forward': (bn, code) => bn.forward(asking(x, code)).data,
  'the residual of forward': (bn, code) => bn.forward(x, { residual: asking(other, code) }).data,
  'the mask of forward': (bn, code) =>
    bn.forward(x, {
      get mask() {
        code()
        return [1, 1, 1, 1, 1, 0]
      },
    }).data,
  'the gradient of backward': (bn, code) => bn.backward(asking(other, code)).data,
  'a state': (bn, code) => {
    return bn.loadStateDict({ ...trained(3).stateDict(), weight: asking(normal([3], 7), code) })
  },
}

describe.each(Object.entries(outerCalls))('a getter of %s', (_, outer) => {
  test.each(Object.entries(innerCalls))(
    'that calls %s of the module has an error, and nothing else',
    (_, inner) => {
      const [bn, twin] = [trained(3), trained(3)]
      for (const each of [bn, twin]) each.forward(x)
      const errors: unknown[] = []
      const result = outer(bn, () => {
        try {
          inner(bn)
        } catch (error) {
          errors.push(error)
        }
      })
      expect(result).toEqual(outer(twin, () => {}))
      if (inner !== innerCalls.forwardAsync) {
        expect(errors[0]).toBeInstanceOf(TypeError)
        expect(String(errors[0])).toContain('from a getter of what that call was given')
      }
      expect(snapshot(bn)).toEqual(snapshot(twin))
      expectSameBits(bn.backward(other), twin.backward(other))
    },
  )
})

test('a lazy module that a getter has called first goes on from there', () => {
  const [lazy, twin] = [new LazyBatchNorm1d(), new BatchNorm1d(3)]
  let isFirst = true
  const y = lazy.forward(
    asking(x, () => {
      if (!isFirst) return
      isFirst = false
      lazy.forward(other)
    }),
  )
  twin.forward(other)
  expectSameBits(y, twin.forward(x))
  expect(lazy.stateDict()).toEqual(twin.stateDict())
})

test('a counter that is full stays so, and can be loaded', () => {
  const most = 2n ** 63n - 1n
  const bn = trained(3, { momentum: null })
  bn.loadStateDict({ ...bn.stateDict(), num_batches_tracked: most - 1n })
  for (let batch = 0; batch < 3; batch++) bn.forward(x)
  bn.forward(normal([0, 3], 1))
  expect(bn.numBatchesTracked?.data[0]).toBe(most)
  expect(new BatchNorm1d(3).loadStateDict(bn.stateDict()).missingKeys).toEqual([])
})

test.each<[unknown, string]>([
  [{ length: 2 ** 40 }, 'gradient to be of length 3'],
  [Array(2 ** 32 - 1), 'gradient to be of length 3'],
  [new Float32Array(2), 'gradient to be of length 3'],
  [[1, 2, '3'], 'gradient[2] to be a number'],
  [Array(3), 'gradient[0] to be a number'],
  [new BigInt64Array(3), 'gradient[0] to be a number'],
  [undefined, 'gradient to be an array of numbers'],
  ['abc', 'gradient to be an array of numbers'],
])(
  'a gradient that is not one number a channel is refused, and nothing is added: %#',
  (gradient, message) => {
    const bn = trained(3)
    const [weight] = bn.parameters()
    weight.addToGrad([1, 2, 3])
    expect(() => weight.addToGrad(gradient as number[])).toThrow(`Expected ${message}`)
    expect([...weight.grad]).toEqual([1, 2, 3])
  },
)
