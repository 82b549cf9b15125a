/** A step over micro-batches is a step over one big batch. */
import { describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import {
  BatchNorm1d,
  type BatchNormOptions,
  functional,
  MicroBatches,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { extentOf, valuesPerChannel } from '../lib/tensor/shape.ts'
import { configurations, describeEachBackend, select, testEachNative } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { type Kind, values } from './support/data.ts'
import { channelOf, exactGradients, exactOutput, exactStatistics } from './support/exact.ts'
import { joined, normal, samplesOf, snapshot, trained } from './support/module.ts'
import {
  biasGradientTolerance,
  doubtOfMerged,
  inputGradientTolerance,
  outputTolerance,
  unit,
  weightGradientTolerance,
} from './support/tolerance.ts'

/** A tensor in parts of `sizes` samples. */
function cut(x: Tensor, sizes: readonly number[]): Tensor[] {
  let begin = 0
  return sizes.map((size) => {
    const part = samplesOf(x, begin, begin + size)
    begin += size
    return part
  })
}

interface Results {
  readonly y: Float32Array
  readonly gradInput: Float32Array
}

function inParts(bn: BatchNorm, x: Tensor, gradOutput: Tensor, sizes: readonly number[]): Results {
  const step = new MicroBatches(bn)
  const [inputs, gradients] = [cut(x, sizes), cut(gradOutput, sizes)]
  for (const input of inputs) step.observe(input)
  const outputs = inputs.map((input) => step.forward(input))
  inputs.forEach((input, index) => {
    step.observeGradient(gradients[index], input)
  })
  const gradInputs = inputs.map((input, index) => step.backward(gradients[index], input))
  return { y: joined(outputs), gradInput: joined(gradInputs) }
}

function asOne(bn: BatchNorm, x: Tensor, gradOutput: Tensor): Results {
  return { y: bn.forward(x).data, gradInput: bn.backward(gradOutput).data }
}

function expectSameBits(actual: Results, expected: Results): void {
  expect(difference(actual.y, expected.y)).toBeNull()
  expect(difference(actual.gradInput, expected.gradInput)).toBeNull()
}

function input(kind: Kind, shape: number[], seed: number): Tensor {
  return tensor(values(kind, extentOf(shape, 'channels-first'), seed), shape)
}

describeEachBackend('micro-batches', () => {
  const sizes = [7, 1, 0, 40, 100, 3, 64]
  const samples = sizes.reduce((sum, size) => sum + size, 0)

  test.each<[Kind, number[]]>([
    ['normal', [samples, 5]],
    ['normal', [samples, 5, 3]],
    ['offset 1e6', [samples, 5]],
    ['outlier', [samples, 5]],
    ['sorted', [samples, 2, 600]],
  ])('are as exact as one big batch: %s, %j', (kind, shape) => {
    const [x, gradOutput] = [input(kind, shape, 1), input('normal', shape, 2)]
    const bn = trained(shape[1])
    bn.zeroGrad()
    const { y, gradInput } = inParts(bn, x, gradOutput, sizes)

    const extent = extentOf(shape, 'channels-first')
    const count = valuesPerChannel(extent)
    const [weight, bias] = bn.parameters()
    const statistics = exactStatistics(x.data, extent, bn.eps)
    const exactY = exactOutput(x.data, extent, statistics, weight.data, bias.data)
    const exact = exactGradients(gradOutput.data, x.data, extent, statistics, weight.data)
    const doubt = doubtOfMerged(count)
    const ofBias = exact.biasMagnitude.map((magnitude) => biasGradientTolerance(magnitude, count))
    const ofWeight = exact.weightMagnitude.map((magnitude, channel) =>
      weightGradientTolerance(magnitude, exact.bias[channel], ofBias[channel], count, doubt),
    )
    // By how much the worst element lies beyond its tolerance.
    let [ofY, ofGradInput] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
    y.forEach((value, index) => {
      const channel = channelOf(index, extent)
      const [gamma, beta] = [weight.data[channel], bias.data[channel]]
      const tolerance = outputTolerance(exactY[index], gamma, beta, doubt)
      ofY = Math.max(ofY, Math.abs(value - exactY[index]) - tolerance)

      const { mean, invstd } = statistics
      const terms = {
        gradOutput: gradOutput.data[index],
        normalized: (x.data[index] - mean[channel]) * invstd[channel],
        scale: gamma * invstd[channel],
        meanGradient: exact.bias[channel] / count,
        meanProduct: exact.weight[channel] / count,
        meanGradientTolerance: ofBias[channel] / count,
        meanProductTolerance: ofWeight[channel] / count,
      }
      const error = Math.abs(gradInput[index] - exact.input[index])
      ofGradInput = Math.max(ofGradInput, error - inputGradientTolerance(terms, doubt))
    })
    expect(ofY).toBeLessThanOrEqual(0)
    expect(ofGradInput).toBeLessThanOrEqual(0)
    for (let channel = 0; channel < extent.channels; channel++) {
      const rounding = (value: number) => unit * Math.abs(value)
      const errors = [weight.grad[channel] - exact.weight[channel], bias.grad[channel] - exact.bias[channel]]
      expect(Math.abs(errors[0])).toBeLessThanOrEqual(ofWeight[channel] + rounding(exact.weight[channel]))
      expect(Math.abs(errors[1])).toBeLessThanOrEqual(ofBias[channel] + rounding(exact.bias[channel]))
    }
  })

  test.each<[string, BatchNormOptions, Kind]>([
    ['as it is', {}, 'normal'],
    ['momentum null', { momentum: null }, 'normal'],
    ['affine false', { affine: false }, 'normal'],
    ['no center', { center: false }, 'normal'],
    ['no running statistics', { trackRunningStats: false }, 'normal'],
    ['updateStats false', { updateStats: false }, 'normal'],
    ['trainAffine false', { trainAffine: false }, 'normal'],
    ['NaN, propagate', {}, 'some NaN'],
    ['NaN, skip', { nonFinite: 'skip' }, 'some NaN'],
  ])('one part is the batch, to the bit, with all that changes: %s', (_, options, kind) => {
    const [one, other] = [trained(5, options), trained(5, options)]
    const [x, gradOutput] = [input(kind, [90, 5, 3], 3), normal([90, 5, 3], 4)]
    expectSameBits(inParts(one, x, gradOutput, [90]), asOne(other, x, gradOutput))
    expect(snapshot(one)).toEqual(snapshot(other))
  })

  test.each([
    ['64 channels', [9000, 64], [2048, 2048, 2048, 2048, 808]],
    ['64 channels, two segments a part', [9000, 64], [4096, 4096, 808]],
    ['20 channels, 4 samples in a row', [10_000, 20], [8192, 1808]],
    ['samples of 512 positions', [300, 2, 512], [64, 64, 64, 64, 44]],
  ])('parts of as many whole segments each: the bits of the batch, %s', (_, shape, sizes) => {
    const [one, other] = [trained(shape[1]), trained(shape[1])]
    const [x, gradOutput] = [input('normal', shape, 5), normal(shape, 6)]
    expectSameBits(inParts(one, x, gradOutput, sizes), asOne(other, x, gradOutput))
    expect(snapshot(one)).toEqual(snapshot(other))
  })

  test.each(['bfloat16', 'float16'] as const)(
    'values of %s: the bits of the functions on the batch',
    (dtype) => {
      const halves = (seed: number) => tensor(normal([90, 5], seed).data, [90, 5], { dtype })
      const [x, gradOutput, bn] = [halves(9), halves(10), trained(5)]
      const [weight, bias] = bn.parameters().map(({ data }) => data)
      const y = functional.batchNorm(x, { training: true, weight, bias })
      const { mean, invstd } = functional.batchNormStats(x)
      const { gradInput } = functional.batchNormBackward(gradOutput, x, { mean, invstd, weight })
      const step = new MicroBatches(bn).observe(x)
      expect(step.forward(x)).toEqual(y)
      expect(step.observeGradient(gradOutput, x).backward(gradOutput, x)).toEqual(gradInput)
    },
  )

  test('a module of float64: the bits of the batch, with what the mean loses beside an offset', () => {
    const wide = (seed: number, offset: number) =>
      tensor(
        Float64Array.from(normal([90, 5], seed).data, (value) => value * 1.1 + offset),
        [90, 5],
      )
    const [x, gradOutput] = [wide(9, 1e9), wide(10, 0)]
    const [one, other] = [0, 1].map(() => new BatchNorm1d(5, { dtype: 'float64' }))
    const step = new MicroBatches(one).observe(x)
    expect(step.forward(x)).toEqual(other.forward(x))
    const gradInput = step.observeGradient(gradOutput, x).backward(gradOutput, x)
    expect(gradInput).toEqual(other.backward(gradOutput))
    expect(one.stateDict()).toEqual(other.stateDict())
    expect(one.parameters()).toEqual(other.parameters())
  })

  test('an empty micro-batch has empty results and changes nothing, in any round', () => {
    const bn = trained(3)
    const before = snapshot(bn)
    const [empty, step] = [normal([0, 3], 7), new MicroBatches(bn)]
    for (let round = 0; round < 2; round++) {
      expect(step.observeGradient(empty, empty).observe(empty).forward(empty).shape).toEqual([0, 3])
      expect(step.backward(empty, empty).shape).toEqual([0, 3])
    }
    expect(snapshot(bn)).toEqual(before)
    const [x, gradOutput] = [normal([8, 3], 7), normal([8, 3], 8)]
    const y = step.observe(x).forward(x).data
    expect(step.backward(empty, empty).shape).toEqual([0, 3])
    const gradInput = step.observeGradient(gradOutput, x).backward(gradOutput, x).data
    expectSameBits({ y, gradInput }, asOne(trained(3), x, gradOutput))
  })

  test('without running statistics in eval mode too', () => {
    const [x, gradOutput] = [normal([8, 3], 7), normal([8, 3], 8)]
    const [one, other] = [0, 1].map(() => trained(3, { trackRunningStats: false }).eval())
    expectSameBits(inParts(one, x, gradOutput, [8]), asOne(other, x, gradOutput))
  })

  test('out: outputs and gradients are written where they are wanted', () => {
    const [x, gradOutput] = [normal([8, 3], 7), normal([8, 3], 8)]
    const expected = asOne(trained(3), x, gradOutput)
    const step = new MicroBatches(trained(3)).observe(x)
    const out = tensor(new Float32Array(24), [8, 3])
    expect(step.forward(x, { out }).data).toBe(out.data)
    step.observeGradient(gradOutput, x)
    expect(step.backward(gradOutput, x, { out: x }).data).toBe(x.data)
    expectSameBits({ y: out.data, gradInput: x.data }, expected)
  })
})

describe('every backend gives the same bits', () => {
  const [x, gradOutput] = [normal([300, 7], 9), normal([300, 7], 10)]
  const sizes = [33, 100, 7, 60, 100]
  const results = () => inParts(trained(7), x, gradOutput, sizes)
  select(configurations[0])
  const expected = results()
  testEachNative(() => expectSameBits(results(), expected))
})

describe('what does not fit is an error, and nothing has changed', () => {
  const x = tensor([
    [1, 2],
    [3, 5],
  ])
  const observed = (bn = trained(2)) => new MicroBatches(bn).observe(x)
  const forwarded = (bn = trained(2)) => {
    const step = observed(bn)
    step.forward(x)
    return step
  }
  const done = () => {
    const step = forwarded().observeGradient(x, x)
    step.backward(x, x)
    return step
  }
  const twoColumns = 'Expected input of shape [N, 2, ...] but received [1, 3]'

  test.each<[string, () => unknown, string]>([
    ['no module', () => new MicroBatches({} as never), 'Expected module to be a batch norm'],
    ['eval mode', () => new MicroBatches(trained(2).eval()), "to normalize with the batch's statistics"],
    [
      'ghost batches',
      () => new MicroBatches(new BatchNorm1d(2, { virtualBatchSize: 4 })),
      'Expected options that agree but received virtualBatchSize with micro-batches',
    ],
    [
      'batch renormalization',
      () => new MicroBatches(new BatchNorm1d(2, { renorm: true })),
      'Expected options that agree but received renorm with micro-batches',
    ],
    [
      'an activation',
      () => new MicroBatches(new BatchNorm1d(2, { activation: 'relu' })),
      'Expected options that agree but received activation with micro-batches',
    ],
    [
      'positiveScale',
      () => new MicroBatches(new BatchNorm1d(2, { positiveScale: true })),
      'Expected options that agree but received positiveScale with micro-batches',
    ],
    [
      'nothing observed',
      () => new MicroBatches(trained(2)).forward(x),
      'Expected moments of at least 1 value',
    ],
    [
      'a single value',
      () => new MicroBatches(trained(2)).observe(tensor([[1, 2]])).forward(x),
      'Expected more than 1 value per channel when training, got input size [2, 2] (observe more than one sample)',
    ],
    [
      'observe after forward',
      () => forwarded().observe(x),
      'Expected observe(input) before the first forward(input) but received it out of turn',
    ],
    [
      'gradients before forward',
      () => observed().observeGradient(x, x),
      'Expected observeGradient(gradOutput, input) after the first forward(input)',
    ],
    [
      'gradients after backward',
      () => done().observeGradient(x, x),
      'Expected observeGradient(gradOutput, input) before the first backward(gradOutput, input)',
    ],
    [
      'a gradient that was not observed',
      () => forwarded().backward(x, x),
      'Expected the gradients of 2 values a channel but received those of 0',
    ],
    [
      'a gradient that was observed twice',
      () => forwarded().observeGradient(x, x).observeGradient(x, x).backward(x, x),
      'Expected the gradients of 2 values a channel but received those of 4',
    ],
    ['other channels', () => observed().forward(tensor([[1, 2, 3]])), twoColumns],
    [
      'a gradient of another shape',
      () => forwarded().observeGradient(tensor([[1, 2]]), x),
      "Expected gradOutput of shape [2, 2], the input's, but received [1, 2]",
    ],
    [
      'an output over a gradient',
      () => {
        const bn = trained(2, { center: false })
        const [{ grad }] = bn.parameters()
        return observed(bn).forward(tensor([[1, 2]]), { out: grad })
      },
      'Expected out not to overlap weight.grad',
    ],
    [
      'an output over the input',
      () => observed().forward(x, { out: x }),
      'Expected out not to overlap input',
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })

  test("nonFinite: 'throw' names the channels, and a forward that throws leaves the module as it was", () => {
    const bn = trained(2, { nonFinite: 'throw' })
    const before = snapshot(bn)
    const step = new MicroBatches(bn).observe(tensor([[1, Number.NaN]])).observe(x)
    expect(() => step.forward(x)).toThrow('NaN or Infinity in channel 1 (1 of 2)')
    expect(() => observed(bn).forward(x, { out: x })).toThrow('overlap')
    expect(snapshot(bn)).toEqual(before)
    expect(() => forwarded(bn).backward(x, x)).toThrow('Expected the gradients')
    expect(snapshot(bn).gradients).toEqual(before.gradients)
  })
})
