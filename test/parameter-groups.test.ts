/** What an optimizer sees: which parameters are trained, and which of them are decayed. */
import { describe, expect, test } from 'vitest'
import { BatchNorm1d, BatchNorm2d, type Parameter, parameterGroups } from '../lib/index.ts'
import { normal } from './support/module.ts'

const linear = { data: Float32Array.of(1, 2), grad: Float32Array.of(1, 1) }

describe('parameterGroups', () => {
  test('scale and shift are not decayed; what says nothing is', () => {
    const [one, two] = [new BatchNorm1d(2), new BatchNorm2d(2, { positiveScale: true, center: false })]
    const groups = parameterGroups<Parameter | typeof linear>(
      [linear, ...one.parameters(), ...two.parameters()],
      0.01,
    )
    expect(groups).toEqual([
      { parameters: [linear], weightDecay: 0.01 },
      { parameters: [one.weight, one.bias, two.rawWeight], weightDecay: 0 },
    ])
    expect(groups[1].parameters[2]).toBe(two.rawWeight)
  })

  test('what is not trained is left out, and so is an empty group', () => {
    const bn = new BatchNorm1d(2)
    expect(parameterGroups(bn.freeze().parameters(), 0.01)).toEqual([])
    expect(parameterGroups(bn.unfreeze().parameters(), 0.01)).toEqual([
      { parameters: [bn.weight, bn.bias], weightDecay: 0 },
    ])
    if (bn.weight) bn.weight.requiresGrad = false
    expect(parameterGroups(bn.parameters(), 0.01)).toEqual([{ parameters: [bn.bias], weightDecay: 0 }])
    bn.trainAffine = false
    expect(parameterGroups([...bn.parameters(), linear], 0.01)).toEqual([
      { parameters: [linear], weightDecay: 0.01 },
    ])
    expect(parameterGroups([{ decay: false }, { decay: true }, { requiresGrad: false }], 1)).toEqual([
      { parameters: [{ decay: true }], weightDecay: 1 },
      { parameters: [{ decay: false }], weightDecay: 0 },
    ])
    expect(parameterGroups([], 1)).toEqual([])
    expect(parameterGroups(new Set([linear]), 0)).toEqual([{ parameters: [linear], weightDecay: 0 }])
  })

  test('a step over the groups moves what is trained, in the arrays of the modules', () => {
    const [trained, frozen] = [new BatchNorm1d(2), new BatchNorm1d(2).freeze()]
    for (const bn of [trained, frozen]) {
      bn.forward(normal([8, 2], 1))
      bn.backward(normal([8, 2], 2))
    }
    const weight = { data: Float32Array.of(4), grad: Float32Array.of(0) }
    const all = [weight, ...trained.parameters(), ...frozen.parameters()]
    for (const { parameters, weightDecay } of parameterGroups<Parameter | typeof weight>(all, 0.5)) {
      for (const { data, grad } of parameters) {
        data.forEach((value, index) => {
          data[index] = value - 0.25 * (grad[index] + weightDecay * value)
        })
      }
    }
    expect(weight.data[0]).toBe(4 - 0.25 * 0.5 * 4)
    const { grad } = trained.weight as Parameter
    expect(trained.weight?.data).toEqual(grad.map((value) => 1 - 0.25 * value))
    expect(frozen.weight?.data).toEqual(Float32Array.of(1, 1))
  })

  test.each([
    [-0.1, RangeError],
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    ['0.1', TypeError],
    [undefined, TypeError],
  ])('a weight decay of %s is an error', (weightDecay, kind) => {
    const call = () => parameterGroups([linear], weightDecay as number)
    expect(call).toThrow(kind)
    expect(call).toThrow('Expected weightDecay to be a finite number, at least 0, but received')
  })
})
