/** The meaning of BatchNorm1d and of `functional`, row by row, in numbers that float32 holds exactly. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import {
  type AnyBatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  functional,
  type Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { aliveAfterCollection } from './support/garbage.ts'
import { expectSameBits, normal, snapshot, trained } from './support/module.ts'

/** Mean 3 and 6, biased variance 4 and 16, unbiased 8 and 32. */
const x = tensor([
  [1, 2],
  [5, 10],
])
const normalized = [-1, -1, 1, 1]
const exact: BatchNormOptions = { eps: 0 }

describeEachBackend('the meaning of BatchNorm1d', () => {
  test('normalizes with the biased variance and tracks the unbiased one', () => {
    const bn = new BatchNorm1d(2, exact)
    expect([...bn.forward(x).data]).toEqual(normalized)
    expect(bn.runningMean?.data).toEqual(Float32Array.of(0.1 * 3, 0.1 * 6))
    expect(bn.runningVar?.data).toEqual(Float32Array.of(0.9 + 0.1 * 8, 0.9 + 0.1 * 32))
    expect(bn.numBatchesTracked?.data).toEqual(BigInt64Array.of(1n))
  })

  test('applies weight and bias', () => {
    const bn = new BatchNorm1d(2, exact)
    bn.weight?.data.set([2, 3])
    bn.bias?.data.set([10, 20])
    expect([...bn.forward(x).data]).toEqual([8, 17, 12, 23])
  })

  test('adds eps to the variance, before the square root', () => {
    const bn = new BatchNorm1d(1, { eps: 12 })
    expect([...bn.forward(tensor([[1], [5]])).data]).toEqual([-0.5, 0.5])
  })

  test.each([{ momentum: 0.1 }, { momentum: 0 }, { momentum: 1 }, { momentum: 0.75 }, { momentum: null }])(
    'momentum $momentum weighs the new statistic; null averages over all batches',
    ({ momentum }) => {
      const bn = new BatchNorm1d(1, { momentum })
      // Mean and unbiased variance of each batch; all of them exact.
      const batches = [
        { batch: [[1], [5]], mean: 3, variance: 8 },
        { batch: [[0], [3], [6]], mean: 3, variance: 9 },
        { batch: [[-8], [-4]], mean: -6, variance: 8 },
      ]
      let expectedMean = 0
      let expectedVariance = 1
      batches.forEach(({ batch, mean, variance }, index) => {
        const weight = momentum ?? 1 / (index + 1)
        expectedMean = Math.fround((1 - weight) * expectedMean + weight * mean)
        expectedVariance = Math.fround((1 - weight) * expectedVariance + weight * variance)
        bn.forward(tensor(batch))
        expect(bn.runningMean?.data[0]).toBe(expectedMean)
        expect(bn.runningVar?.data[0]).toBe(expectedVariance)
        expect(bn.numBatchesTracked?.data[0]).toBe(BigInt(index + 1))
      })
    },
  )

  test('eval normalizes with the running statistics and leaves everything as it was', () => {
    const bn = new BatchNorm1d(2, exact).eval()
    expect([...bn.forward(x).data], 'before any training: mean 0, variance 1').toEqual([...x.data])
    bn.runningMean?.data.set([1, 2])
    bn.runningVar?.data.set([4, 16])
    const before = snapshot(bn)
    expect([...bn.forward(x).data]).toEqual([0, 0, 2, 2])
    expect(snapshot(bn)).toEqual(before)
  })

  test('train() and eval() switch the mode and return the module', () => {
    const bn = new BatchNorm1d(2)
    expect(bn.training).toBe(true)
    expect(bn.eval()).toBe(bn)
    expect(bn.training).toBe(false)
    expect(bn.train().training).toBe(true)
    expect(bn.train(false).training).toBe(false)
  })

  test.each<{ options: BatchNormOptions; weight: boolean; bias: boolean }>([
    { options: {}, weight: true, bias: true },
    { options: { affine: true }, weight: true, bias: true },
    { options: { affine: false }, weight: false, bias: false },
    { options: { scale: false }, weight: false, bias: true },
    { options: { center: false }, weight: true, bias: false },
    { options: { affine: true, scale: false }, weight: false, bias: true },
    { options: { scale: false, center: false }, weight: false, bias: false },
    { options: { affine: false, scale: false, center: false }, weight: false, bias: false },
  ])('$options: weight $weight, bias $bias', ({ options, weight, bias }) => {
    const bn = new BatchNorm1d(2, { ...options, ...exact })
    const names = [...(weight ? ['weight'] : []), ...(bias ? ['bias'] : [])]
    expect(bn.namedParameters().map(([name]) => name)).toEqual(names)
    expect(bn.parameters()).toEqual([bn.weight, bn.bias].filter((parameter) => parameter !== null))
    expect(bn.weight === null).toBe(!weight)
    expect(bn.bias === null).toBe(!bias)
    expect([...bn.forward(x).data]).toEqual(normalized)

    bn.backward(
      tensor([
        [1, 2],
        [3, 5],
      ]),
    )
    if (bn.weight) expect([...bn.weight.grad], 'sum(gradOutput * xhat)').toEqual([2, 3])
    if (bn.bias) expect([...bn.bias.grad], 'sum(gradOutput)').toEqual([4, 7])
  })

  test('without running statistics the batch serves in eval too, and backward is the training form', () => {
    const options = { trackRunningStats: false }
    const [train, evaluate] = [trained(5, options), trained(5, options).eval()]
    expect([evaluate.runningMean, evaluate.runningVar, evaluate.numBatchesTracked]).toEqual([
      null,
      null,
      null,
    ])
    const [input, gradOutput] = [normal([8, 5, 3], 4), normal([8, 5, 3], 5)]
    expect(evaluate.forward(input)).toEqual(train.forward(input))
    expect(evaluate.backward(gradOutput)).toEqual(train.backward(gradOutput))
    expect(evaluate.weight?.grad).toEqual(train.weight?.grad)
    expect(() => evaluate.forward(tensor([[1, 2, 3, 4, 5]]))).toThrow(/\(a last batch of 1\? Drop it\)$/)
  })

  test('every layout gives each channel the same', () => {
    const samples = [
      [
        [1, 2, 4],
        [1, 8, 0],
      ],
      [
        [3, 2, 0],
        [5, 5, 5],
      ],
    ] // [N, C, L]
    const last = samples.map((channels) => [0, 1, 2].map((position) => channels.map((row) => row[position])))
    const [first, second] = [new BatchNorm1d(2), new BatchNorm1d(2, { layout: 'channels-last' })]
    const [y, z] = [first.forward(tensor(samples)), second.forward(tensor(last))]
    expect(y.shape).toEqual([2, 2, 3])
    expect(z.shape).toEqual([2, 3, 2])
    for (let sample = 0; sample < 2; sample++) {
      for (let channel = 0; channel < 2; channel++) {
        for (let position = 0; position < 3; position++) {
          const index = (sample * 3 + position) * 2 + channel
          expect(z.data[index]).toBe(y.data[(sample * 2 + channel) * 3 + position])
        }
      }
    }
    expect(second.runningMean).toEqual(first.runningMean)
    expect(second.runningVar).toEqual(first.runningVar)
    expect(new BatchNorm1d(2, { layout: 'channels-last' }).forward(x)).toEqual(new BatchNorm1d(2).forward(x))
  })

  describe.each([[[1, 3]], [[1, 3, 1]]])('one value a channel, %j', (shape) => {
    test('throws, naming the cause, and changes nothing', () => {
      const bn = trained(3)
      const before = snapshot(bn)
      expect(() => bn.forward(normal(shape, 1))).toThrow(
        `Expected more than 1 value per channel when training, got input size [${shape.join(', ')}] ` +
          "(a last batch of 1? Drop it, or use the option singleValue: 'running')",
      )
      expect(snapshot(bn)).toEqual(before)
    })

    test("singleValue: 'running' does what eval does, and backward too", () => {
      const [bn, evaluated] = [trained(3, { singleValue: 'running' }), trained(3).eval()]
      const before = snapshot(bn)
      const [input, gradOutput] = [normal(shape, 4), normal(shape, 5)]
      expect(bn.forward(input)).toEqual(evaluated.forward(input))
      expect(snapshot(bn)).toEqual(before)
      expect(bn.backward(gradOutput)).toEqual(evaluated.backward(gradOutput))
      expect(bn.weight?.grad).toEqual(evaluated.weight?.grad)
    })
  })

  test('one sample with several positions is trained on', () => {
    const bn = new BatchNorm1d(1, exact)
    expect([...bn.forward(tensor([[[1, 5]]])).data]).toEqual([-1, 1])
    expect(bn.numBatchesTracked?.data[0]).toBe(1n)
  })

  test.each([
    { shape: [0, 3], training: true },
    { shape: [0, 3, 4], training: true },
    { shape: [2, 3, 0], training: true },
    { shape: [0, 3], training: false },
  ])(
    'an empty batch $shape, training $training, gives an empty result, moves nothing, and is counted in training',
    async ({ shape, training }) => {
      const bn = trained(3, { momentum: null }).train(training)
      const before = snapshot(bn)
      const empty = tensor(new Float32Array(0), shape)
      expect(bn.forward(empty)).toEqual(empty)
      expect(bn.backward(empty)).toEqual(empty)
      expect(bn.recompute(empty)).toEqual(empty)
      expect(await bn.forwardAsync(empty)).toEqual(empty)
      expect(await bn.backwardAsync(empty)).toEqual(empty)
      const { num_batches_tracked } = before.state
      before.state.num_batches_tracked = BigInt64Array.of(
        BigInt(num_batches_tracked[0]) + (training ? 2n : 0n),
      )
      expect(snapshot(bn)).toEqual(before)
    },
  )

  test('the cumulative average is over empty batches too: the numbers of PyTorch 1.13 and 2.6', () => {
    const bn = new BatchNorm1d(2, { momentum: null })
    const empty = tensor(new Float32Array(0), [0, 2])
    const steps: [Tensor, mean: number[], variance: number[]][] = [
      [empty, [0, 0], [1, 1]],
      [tensor([1, 10, 3, 14, 5, 30], [3, 2]), [1.5, 9], [2.5, 56.5]],
      [empty, [1.5, 9], [2.5, 56.5]],
      [tensor([0, 1, 8, 5], [2, 2]), [2.125, 7.5], [9.875, 44.375]],
    ]
    steps.forEach(([batch, mean, variance], step) => {
      bn.forward(batch)
      expect([...(bn.runningMean?.data ?? [])]).toEqual(mean)
      expect([...(bn.runningVar?.data ?? [])]).toEqual(variance)
      expect(bn.numBatchesTracked?.data[0]).toBe(BigInt(step + 1))
    })
  })

  test.each([
    { virtualBatchSize: 2 },
    { renorm: true },
    { positiveScale: true },
    { dtype: 'float64' as const },
  ])('an empty batch is counted once with %o, and by updateStats where that is set', (options) => {
    const count = (bn: AnyBatchNorm) => {
      const data = bn.dtype === 'float64' ? new Float64Array(0) : new Float32Array(0)
      bn.forward(tensor(data as Float32Array, [0, 3]), { mask: [] })
      return bn.numBatchesTracked?.data[0]
    }
    expect(count(new BatchNorm1d<'float32' | 'float64'>(3, options))).toBe(1n)
    expect(count(new BatchNorm1d<'float32' | 'float64'>(3, { ...options, updateStats: false }))).toBe(0n)
    expect(count(new BatchNorm1d<'float32' | 'float64'>(3, { ...options, updateStats: true }).eval())).toBe(
      1n,
    )
    expect(count(new BatchNorm1d<'float32' | 'float64'>(3, options).freeze())).toBe(0n)
  })

  test('momentum and eps can be set later, to valid values only', () => {
    const bn = new BatchNorm1d(1)
    bn.momentum = 1
    bn.eps = 12
    expect([...bn.forward(tensor([[1], [5]])).data]).toEqual([-0.5, 0.5])
    expect(bn.runningMean?.data[0]).toBe(3)
    expect(() => Object.assign(bn, { momentum: 2 })).toThrow(RangeError)
    expect(() => Object.assign(bn, { eps: Number.NaN })).toThrow(RangeError)
    expect([bn.momentum, bn.eps]).toEqual([1, 12])
  })
})

describeEachBackend('another batch over the input of the last forward', () => {
  const options: BatchNormOptions<'float32' | 'float64'>[] = [
    {},
    { activation: 'relu' },
    { dtype: 'float64' },
    { virtualBatchSize: 4 },
  ]
  const extents = [
    [8, 3],
    [4, 3, 2],
    [64, 3, 5],
    [1024, 3],
  ]
  test.each(options.flatMap((each) => extents.map((shape) => [each, shape] as const)))(
    'is noticed: %o, shape %o',
    async (each, shape) => {
      const bn = new BatchNorm1d(3, each)
      const values = (seed: number) => {
        const { data } = normal([...shape], seed)
        return each.dtype === 'float64' ? Float64Array.from(data) : data
      }
      const x = { data: values(1) as Float32Array, shape }
      const g = { data: values(2) as Float32Array, shape }
      await bn.forwardAsync(x)
      const gradInput = bn.backward(g)
      const before = snapshot(bn)
      x.data.set(values(3))
      const message =
        'Expected the input of forward() to be unchanged until backward(gradOutput) but received other values'
      expect(() => bn.backward(g)).toThrow(message)
      await expect(bn.backwardAsync(g)).rejects.toThrow(message)
      expect(snapshot(bn)).toEqual(before)
      x.data.set(values(1))
      expectSameBits(bn.backward(g), gradInput)
    },
  )

  test('is noticed over the output of an activation; NaN and halves are compared by what they are', () => {
    const bn = new BatchNorm1d(2, { activation: 'relu' })
    const y = bn.forward(x)
    y.data.fill(3)
    expect(() => bn.backward(x)).toThrow('Expected the output of forward() to be unchanged')
    const plain = new BatchNorm1d(2)
    const batch = tensor([1, Number.NaN, 3, 4], [2, 2])
    plain.forward(batch)
    plain.backward(batch)
    const bits = tensor(Float32Array.of(1, Number.NaN, 3, -0), [2, 2], { dtype: 'bfloat16' })
    plain.forward(bits)
    plain.backward(bits)
    bits.data[3] = 0
    expect(() => plain.backward(bits)).toThrow('unchanged')
  })

  test('does not matter in eval without a scale, which backward does not need it for', () => {
    const bn = new BatchNorm1d(2, { scale: false }).eval()
    const batch = tensor([1, 2, 3, 4], [2, 2])
    bn.forward(batch)
    batch.data.fill(7)
    expect(bn.backward(x).shape).toEqual([2, 2])
  })
})

describeEachBackend('a batch that is not finite, or does not fit float32', () => {
  const emitWarning = vi.spyOn(process, 'emitWarning')
  beforeEach(() => void emitWarning.mockImplementation(() => {}))
  afterEach(() => void emitWarning.mockReset())

  const good = tensor([
    [1, 2, 3],
    [5, 10, 7],
  ])
  const huge = 2 ** 100
  const batches = [
    {
      title: 'NaN',
      batch: [
        [1, Number.NaN, 3],
        [5, 6, 7],
      ],
      channel: 1,
      mean: Number.NaN,
      variance: Number.NaN,
    },
    {
      title: 'Infinity',
      batch: [
        [1, 2, 3],
        [5, 6, Number.POSITIVE_INFINITY],
      ],
      channel: 2,
      mean: Number.POSITIVE_INFINITY,
      variance: Number.NaN,
    },
    {
      title: 'huge',
      batch: [
        [-huge, 2, 3],
        [huge, 6, 7],
      ],
      channel: 0,
      mean: 0,
      variance: Number.POSITIVE_INFINITY,
    },
  ]

  test.each(batches)(
    'propagate: $title goes into its channel alone',
    ({ batch, channel, mean, variance }) => {
      const bn = new BatchNorm1d(3, { momentum: 1 })
      bn.forward(tensor(batch))
      const expected = new BatchNorm1d(3, { momentum: 1 })
      expected.forward(tensor(batch.map((row) => row.map((value, index) => (index === channel ? 0 : value)))))
      expected.runningMean?.data.fill(mean, channel, channel + 1)
      expected.runningVar?.data.fill(variance, channel, channel + 1)
      expect(bn.runningVar).toEqual(expected.runningVar)
      expect(bn.numBatchesTracked?.data[0]).toBe(1n)
      expect(bn.runningMean?.data.map((value) => (Number.isFinite(value) ? value : Number.NaN))).toEqual(
        expected.runningMean?.data.map((value) => (Number.isFinite(value) ? value : Number.NaN)),
      )
    },
  )

  test.each(batches)('skip: $title leaves the running statistics and the counter alone', ({ batch }) => {
    const bn = new BatchNorm1d(3, { nonFinite: 'skip' })
    bn.forward(good)
    const before = snapshot(bn)
    const y = bn.forward(tensor(batch))
    expect(snapshot(bn)).toEqual(before)
    expect(y).toEqual(new BatchNorm1d(3).forward(tensor(batch)))
  })

  test.each(batches)(
    'throw: $title changes nothing, and backward still follows the last good batch',
    (bad) => {
      const bn = new BatchNorm1d(3, { nonFinite: 'throw' })
      bn.forward(good)
      const gradInput = bn.backward(good)
      const before = snapshot(bn)
      const out = new Float32Array(6).fill(42)
      const problem = bad.title === 'huge' ? 'a variance that does not fit float32' : 'NaN or Infinity'
      expect(() => bn.forward(tensor(bad.batch), { out })).toThrow(
        `received ${problem} in channel ${bad.channel} (1 of 3)`,
      )
      expect(snapshot(bn)).toEqual(before)
      expect(out).toEqual(new Float32Array(6).fill(42))
      expect(bn.backward(good)).toEqual(gradInput)
    },
  )

  test('throw names the first channels and how many there are', () => {
    const bn = new BatchNorm1d(9, { nonFinite: 'throw' })
    const batch = [new Array(9).fill(1), new Array(9).fill(Number.NaN)]
    expect(() => bn.forward(tensor(batch))).toThrow('NaN or Infinity in channels 0, 1, 2, 3, 4, ... (9 of 9)')
  })

  test('propagate warns, once a module, that a finite variance does not fit', () => {
    const bn = new BatchNorm1d(3)
    bn.forward(tensor(batches[0].batch))
    expect(emitWarning, 'NaN in the data is no news').not.toHaveBeenCalled()
    bn.forward(tensor(batches[2].batch))
    bn.forward(tensor(batches[2].batch))
    expect(emitWarning).toHaveBeenCalledOnce()
    expect(emitWarning.mock.calls[0][0]).toMatch(/variance of channel 0 \(1 of 3\) does not fit float32/)
  })
})

describeEachBackend('backward', () => {
  const shape = [8, 5, 3]
  const [input, gradOutput] = [normal(shape, 4), normal(shape, 5)]

  test('in eval is gradOutput * weight * invstd, with gradients of weight and bias', () => {
    const bn = new BatchNorm1d(2, exact).eval()
    bn.weight?.data.set([3, 5])
    bn.runningMean?.data.set([1, 2])
    bn.runningVar?.data.set([4, 16])
    bn.forward(x) // normalized: [0, 0], [2, 2]
    expect([
      ...bn.backward(
        tensor([
          [2, 4],
          [6, 8],
        ]),
      ).data,
    ]).toEqual([3, 5, 9, 10])
    expect([...(bn.weight?.grad ?? [])]).toEqual([12, 16])
    expect([...(bn.bias?.grad ?? [])]).toEqual([8, 12])
  })

  test('in training the gradient flows through the statistics', () => {
    const bn = new BatchNorm1d(1, exact)
    bn.forward(tensor([[1], [1], [5], [5]])) // xhat -1, -1, 1, 1; invstd 1/2
    // gradOutput - mean(gradOutput) - xhat * mean(gradOutput * xhat), times invstd
    expect([...bn.backward(tensor([[4], [0], [8], [4]])).data]).toEqual([1, -1, 1, -1])
  })

  test('adds to the gradients, which stay the same arrays, until zeroGrad()', () => {
    const bn = trained(5)
    const grad = bn.weight?.grad as Float32Array
    bn.forward(input)
    const gradInput = bn.backward(gradOutput)
    const once = snapshot(bn).gradients
    expect(once[0].some((value) => value !== 0)).toBe(true)
    expect(bn.backward(gradOutput), 'a second call for the same forward').toEqual(gradInput)
    expect(snapshot(bn).gradients).toEqual(once.map((values) => values.map((value) => value + value)))
    bn.zeroGrad()
    expect(snapshot(bn).gradients).toEqual(once.map((values) => values.map(() => 0)))
    expect(bn.weight?.grad).toBe(grad)
  })

  test('takes the mode and the statistics of the forward that it follows', () => {
    const [bn, expected] = [trained(5), trained(5)]
    bn.forward(input)
    expected.forward(input)
    bn.eval().resetRunningStats()
    expect(bn.backward(gradOutput)).toEqual(expected.backward(gradOutput))
  })

  test('does not follow a shape that the caller changes after forward', () => {
    const mutable = { data: input.data, shape: [...shape] }
    const [bn, expected] = [trained(5), trained(5)]
    const y = bn.forward(mutable)
    mutable.shape[0] = 1
    expect(y.shape).toEqual(shape)
    expected.forward(input)
    expect(bn.backward(gradOutput)).toEqual(expected.backward(gradOutput))
  })

  test('keeps no input alive but the last', async () => {
    const bn = trained(5)
    const inputs = [1, 2, 3].map((seed) => {
      const { data } = normal(shape, seed)
      bn.forward({ data, shape })
      return new WeakRef(data)
    })
    expect(await aliveAfterCollection(inputs, 1)).toEqual([false, false, true])
  })

  test.each(['gradOutput', 'input'] as const)('may write over %s', (target) => {
    const [bn, expected] = [trained(5), trained(5)]
    const copies = {
      input: tensor(input.data.slice(), shape),
      gradOutput: tensor(gradOutput.data.slice(), shape),
    }
    bn.forward(copies.input)
    expected.forward(input)
    const gradInput = bn.backward(copies.gradOutput, { out: copies[target] })
    expect(gradInput.data).toBe(copies[target].data)
    expect(gradInput).toEqual(expected.backward(gradOutput))
    if (target === 'input') expect(() => bn.backward(gradOutput)).toThrow(/received a result in its place/)
  })
})

describeEachBackend('out', () => {
  const shape = [8, 5, 3]
  const input = normal(shape, 4)

  test.each([true, false])(
    'receives what a new array would, and may be the input (training %s)',
    (training) => {
      const expected = trained(5).train(training).forward(input)
      const out = new Float32Array(input.data.length)
      const y = trained(5).train(training).forward(input, { out })
      expect(y.data).toBe(out)
      expect(y).toEqual(expected)

      const view = new Float32Array(out.length + 3).subarray(3)
      expect(
        trained(5)
          .train(training)
          .forward(input, { out: { data: view, shape } }),
      ).toEqual(expected)

      const inPlace = tensor(input.data.slice(), shape)
      const bn = trained(5).train(training)
      expect(bn.forward(inPlace, { out: inPlace })).toEqual(expected)
      expect(() => bn.backward(input)).toThrow(/received a result in its place/)
    },
  )

  test('over the input in eval leaves backward possible where it needs no input', () => {
    const [bn, expected] = [trained(5, { scale: false }).eval(), trained(5, { scale: false }).eval()]
    const inPlace = tensor(input.data.slice(), shape)
    bn.forward(inPlace, { out: inPlace })
    expected.forward(input)
    expect(bn.backward(input)).toEqual(expected.backward(input))
    expect(bn.bias?.grad).toEqual(expected.bias?.grad)
  })

  test('an input is never changed, be it in ordinary or in shared memory', () => {
    const shared = new Float32Array(new SharedArrayBuffer(input.data.byteLength))
    shared.set(input.data)
    const before = input.data.slice()
    const bn = trained(5)
    expect(bn.forward({ data: shared, shape })).toEqual(trained(5).forward(input))
    bn.backward(input)
    expect(input.data).toEqual(before)
    expect([...shared]).toEqual([...before])
  })
})

describeEachBackend('functional', () => {
  const shape = [8, 5, 3]
  const [input, gradOutput] = [normal(shape, 4), normal(shape, 5)]

  function argumentsOf(bn: BatchNorm) {
    const { weight, bias } = bn
    const copy = (values: Tensor | null) => tensor(values?.data.slice() ?? new Float32Array(0))
    return { weight, bias, runningMean: copy(bn.runningMean), runningVar: copy(bn.runningVar) }
  }

  test.each([true, false])('batchNorm is what the module does (training %s)', (training) => {
    const bn = trained(5).train(training)
    const given = argumentsOf(bn)
    expect(functional.batchNorm(input, { ...given, training })).toEqual(bn.forward(input))
    expect(given.runningMean).toEqual(bn.runningMean)
    expect(given.runningVar).toEqual(bn.runningVar)
  })

  test('batchNorm takes bare arrays, a momentum, an eps, a layout and an out', () => {
    const options = { eps: 0.5, layout: 'channels-last' } as const
    const bn = trained(3, { ...options, momentum: 0.75, affine: false })
    const runningMean = bn.runningMean?.data.slice()
    const runningVar = bn.runningVar?.data.slice()
    const out = new Float32Array(input.data.length)
    const given = { ...options, momentum: 0.75, runningMean, runningVar, training: true, out }
    const y = functional.batchNorm(input, given)
    expect(y.data).toBe(out)
    expect(y).toEqual(bn.forward(input))
    expect(runningMean).toEqual(bn.runningMean?.data)
    expect(runningVar).toEqual(bn.runningVar?.data)
  })

  test('batchNorm in training needs no running statistics, and takes any number of axes', () => {
    const y = functional.batchNorm(input, { training: true })
    expect(y).toEqual(new BatchNorm1d(5).forward(input))
    const image = { data: input.data, shape: [8, 5, 3, 1] }
    expect(functional.batchNorm(image, { training: true }).data).toEqual(y.data)
  })

  test('batchNormStats and batchNormBackward are what the module does in training', () => {
    const bn = trained(5, { eps: 0.125 })
    const { weight } = bn
    const stats = functional.batchNormStats(input, { eps: 0.125 })
    expect(stats.count).toBe(24)
    const out = new Float32Array(input.data.length)
    const result = functional.batchNormBackward(gradOutput, input, { ...stats, weight, out })
    bn.forward(input)
    expect(result.gradInput).toEqual(bn.backward(gradOutput))
    expect(result.gradInput.data).toBe(out)
    expect(result.gradWeight.data).toEqual(bn.weight?.grad)
    expect(result.gradBias.data).toEqual(bn.bias?.grad)
  })

  test('batchNormBackward in eval takes the running statistics', () => {
    const bn = trained(5).eval()
    bn.forward(input)
    const mean = tensor(bn.runningMean?.data ?? new Float32Array(0))
    const invstd = Float64Array.from(bn.runningVar?.data ?? [], (value) => 1 / Math.sqrt(value + bn.eps))
    const given = { mean, invstd: tensor(invstd), weight: bn.weight, training: false }
    const { gradInput, gradWeight } = functional.batchNormBackward(gradOutput, input, given)
    expect(gradInput).toEqual(bn.backward(gradOutput))
    expect(gradWeight.data).toEqual(bn.weight?.grad)
  })

  test('an empty batch gives empty results and changes nothing', () => {
    const empty = tensor(new Float32Array(0), [0, 2])
    const [runningMean, runningVar] = [Float32Array.of(1, 2), Float32Array.of(3, 4)]
    expect(functional.batchNorm(empty, { runningMean, runningVar, training: true })).toEqual(empty)
    expect([...runningMean, ...runningVar]).toEqual([1, 2, 3, 4])
    const stats = functional.batchNormStats(empty)
    const zeros = new Float64Array(2)
    expect(stats).toEqual({ count: 0, mean: zeros, meanLow: zeros, invstd: zeros })
    const { gradInput, gradWeight } = functional.batchNormBackward(empty, empty, stats)
    expect(gradInput).toEqual(empty)
    expect([...gradWeight.data]).toEqual([0, 0])
  })
})
