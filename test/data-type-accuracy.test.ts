/** Halves are computed with as the float32 numbers that they stand for, and rounded once. */
import { describe, expect, test } from 'vitest'
import type { Backend, Extent, KernelActivation, Values } from '../lib/backend/backend.ts'
import { currentBackend } from '../lib/backend/load.ts'
import { type HalfType, narrow, widened } from '../lib/tensor/half.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { type Kind, valuesOfType } from './support/data.ts'

const extents: readonly Extent[] = [
  { outer: 1100, channels: 2, inner: 1 },
  { outer: 70, channels: 2, inner: 17 },
  { outer: 2, channels: 2, inner: 700 },
]

/** What one step of training gives: forward with all ones for weight, then backward. */
function train<Data extends Values>(
  backend: Backend,
  x: Data,
  gradOutput: Data,
  extent: Extent,
  eps: number,
  epilogue?: { activation: KernelActivation; residual: Data },
) {
  const like = (source: Data) => source.slice().fill(0) as Data
  const perChannel = () => new Float32Array(extent.channels)
  const doubles = () => new Float64Array(extent.channels)
  const moments = { count: 0, mean: doubles(), m2: doubles() }
  const [invstd, y] = [doubles(), like(x)]
  const gradients = { input: like(x), residual: like(x), weight: perChannel(), bias: perChannel() }
  const affine = { weight: perChannel().fill(1), bias: null }
  const settings = { eps, momentum: 0, nonFinite: 'propagate' } as const
  backend.forward(x, extent, settings, affine, null, moments, invstd, y, epilogue)
  const activated = epilogue && { activation: epilogue.activation, output: y }
  const statistics = { ...moments, invstd }
  backend.backward(gradOutput, x, extent, statistics, affine.weight, true, gradients, activated)
  return { y, mean: moments.mean, m2: moments.m2, invstd, gradients }
}

describeEachBackend('halves', () => {
  const kinds: readonly Kind[] = ['normal', 'scale 1e4', 'scale 1e-6', 'everything at once', 'sorted']
  describe.each<HalfType>(['bfloat16', 'float16'])('%s', (half) => {
    test.each(kinds)('%s: the float32 results of the same numbers, rounded once', (kind) => {
      for (const [index, extent] of extents.entries()) {
        const halves = (ofKind: Kind, seed: number) =>
          valuesOfType(half, ofKind, extent, seed + 10 * index) as Uint16Array
        const [x, gradOutput, residual] = [halves(kind, 1), halves('normal', 2), halves('normal', 3)]
        const activation: KernelActivation = { name: 'leakyRelu', negativeSlope: 0.1 }
        const eps = 1e-9
        const ofHalves = { ...extent, half }
        const wide = (bits: Uint16Array) => widened(bits, half)
        const rounded = (values: Float32Array): Float32Array => {
          const bits = new Uint16Array(values.length)
          narrow(values, half, bits)
          return wide(bits)
        }

        const backend = currentBackend()
        const actual = train(backend, x, gradOutput, ofHalves, eps, { activation, residual })
        const floats = train(backend, wide(x), wide(gradOutput), extent, eps, {
          activation,
          residual: wide(residual),
        })
        for (const key of ['mean', 'm2', 'invstd'] as const) {
          expect(difference(actual[key], floats[key]), key).toBeNull()
        }
        expect(difference(wide(actual.y), rounded(floats.y)), 'y').toBeNull()
        // Without an activation, whose output is rounded: the gradients of the same numbers.
        const plain = train(backend, x, gradOutput, ofHalves, eps)
        const plainFloats = train(backend, wide(x), wide(gradOutput), extent, eps)
        const { input, weight, bias } = plain.gradients
        expect(difference(wide(input), rounded(plainFloats.gradients.input)), 'gradInput').toBeNull()
        expect(difference(weight as Float32Array, plainFloats.gradients.weight as Float32Array)).toBeNull()
        expect(difference(bias as Float32Array, plainFloats.gradients.bias as Float32Array)).toBeNull()
      }
    })
  })
})
