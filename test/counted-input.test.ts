/** A `mask`, `lengths` or `weights` that does not fit: the error says what is wrong; nothing changes. */
import { expect, test } from 'vitest'
import { BatchNorm1d, BatchNorm2d, type Tensor, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { expectSameBits, filled, normal, snapshot } from './support/module.ts'

const channels = 3

describeEachBackend('what does not fit is an error, and nothing has changed', () => {
  const sequences = normal([4, channels, 5], 1)
  const samples = normal([4, channels], 1)
  const images = normal([4, channels, 2, 3], 1)
  const transferred = new Uint8Array(4)
  structuredClone(transferred, { transfer: [transferred.buffer as ArrayBuffer] })
  // biome-ignore lint/suspicious/noExplicitAny: the wrong types are what is tested
  const wrong: [string, Tensor, any, ErrorConstructor, string][] = [
    ['mask', sequences, { mask: [1, 0, 1] }, RangeError, 'mask of shape [4] or [4, 5] but received [3]'],
    ['mask', samples, { mask: [1, 0, 1] }, RangeError, 'mask of shape [4] but received [3]'],
    [
      'mask',
      sequences,
      { mask: normal([5, 4], 1) },
      RangeError,
      'mask of shape [4] or [4, 5] but received [5, 4]',
    ],
    [
      'mask',
      images,
      { mask: normal([4, 6], 1) },
      RangeError,
      'mask of shape [4] or [4, 2, 3] but received [4, 6]',
    ],
    ['mask', samples, { mask: transferred }, RangeError, 'mask of shape [4] but received [0]'],
    ['mask', samples, { mask: { data: [1, 0, 1], shape: [4] } }, RangeError, 'mask.data to be of length 4'],
    ['mask', samples, { mask: { data: [1, 0, 1, 1] } }, TypeError, 'mask.shape to be an array of sizes'],
    [
      'mask',
      samples,
      { mask: { data: [1], shape: [-1] } },
      RangeError,
      'mask.shape to be an array of non-negative',
    ],
    ['mask', samples, { mask: [1, 2, 0, 1] }, RangeError, 'mask[1] to be 0, 1, true or false but received 2'],
    [
      'mask',
      samples,
      { mask: [1, 1, 0.5, 1] },
      RangeError,
      'mask[2] to be 0, 1, true or false but received 0.5',
    ],
    [
      'mask',
      samples,
      { mask: [Number.NaN, 1, 0, 1] },
      RangeError,
      'mask[0] to be 0, 1, true or false but received NaN',
    ],
    [
      'mask',
      samples,
      { mask: ['1', 1, 0, 1] },
      RangeError,
      "mask[0] to be 0, 1, true or false but received '1'",
    ],
    [
      'mask',
      sequences,
      { mask: [[1, 1, 1, 1, 0], [1], [1], [1]] },
      RangeError,
      'nested arrays? Make a tensor of them',
    ],
    [
      'mask',
      samples,
      { mask: '1101' },
      TypeError,
      "mask to be an array or tensor of shape [4] but received '1101'",
    ],
    [
      'mask',
      samples,
      { mask: null },
      TypeError,
      'mask to be an array or tensor of shape [4] but received null',
    ],
    ['lengths', sequences, { lengths: [1, 2, 3] }, RangeError, 'lengths of shape [4] but received [3]'],
    [
      'lengths',
      sequences,
      { lengths: [1, 2, 3, 6] },
      RangeError,
      'lengths[3] to be an integer from 0 to 5 but received 6',
    ],
    [
      'lengths',
      sequences,
      { lengths: [1, 2, -1, 5] },
      RangeError,
      'lengths[2] to be an integer from 0 to 5 but received -1',
    ],
    [
      'lengths',
      sequences,
      { lengths: [1, 2.5, 1, 5] },
      RangeError,
      'lengths[1] to be an integer from 0 to 5 but received 2.5',
    ],
    [
      'lengths',
      sequences,
      { lengths: BigInt64Array.of(1n, 2n, 2n ** 62n, 5n) },
      RangeError,
      'lengths[2] to be an integer from 0 to 5 but received 4611686018427387904n',
    ],
    [
      'mask',
      samples,
      { mask: [1n, 0n, 2n, 1n] },
      RangeError,
      'mask[2] to be 0, 1, true or false but received 2n',
    ],
    [
      'weights',
      samples,
      { weights: [1n, -1n, 2n, 1n] },
      RangeError,
      'weights[1] to be a finite number, at least 0,',
    ],
    ['lengths', sequences, { lengths: [Number.NaN, 2, 1, 5] }, RangeError, 'lengths[0] to be an integer'],
    ['lengths', sequences, { lengths: [true, 2, 1, 5] }, RangeError, 'lengths[0] to be an integer'],
    [
      'lengths',
      samples,
      { lengths: [1, 1, 1, 1] },
      RangeError,
      'input of shape [N, C, L], to go with lengths, but received [4, 3] (use mask instead)',
    ],
    [
      'lengths',
      images,
      { lengths: [1, 1, 1, 1] },
      RangeError,
      'to go with lengths, but received [4, 3, 2, 3]',
    ],
    [
      'lengths',
      sequences,
      { lengths: 3 },
      TypeError,
      'lengths to be an array or tensor of shape [4] but received 3',
    ],
    ['weights', samples, { weights: [1, 2] }, RangeError, 'weights of shape [4] but received [2]'],
    [
      'weights',
      sequences,
      { weights: new Array(20).fill(1) },
      RangeError,
      'weights of shape [4] but received [20]',
    ],
    [
      'weights',
      samples,
      { weights: [1, -1, 1, 1] },
      RangeError,
      'weights[1] to be a finite number, at least 0, but received -1',
    ],
    [
      'weights',
      samples,
      { weights: [1, 1, 1, Number.NaN] },
      RangeError,
      'weights[3] to be a finite number, at least 0, but received NaN',
    ],
    [
      'weights',
      samples,
      { weights: [Number.POSITIVE_INFINITY, 1, 1, 1] },
      RangeError,
      'weights[0] to be a finite number',
    ],
    ['weights', samples, { weights: [1, 1, true, 1] }, RangeError, 'weights[2] to be a finite number'],
    ['weights', samples, { weights: {} }, TypeError, 'weights to be an array or tensor of shape [4]'],
    [
      'mask, lengths',
      sequences,
      { mask: [1, 1, 1, 1], lengths: [1, 2, 3, 4] },
      TypeError,
      'received mask with lengths',
    ],
  ]
  test.each(wrong)('%s (%#)', async (_, input, call, kind, message) => {
    const Module = input.shape.length === 4 ? BatchNorm2d : BatchNorm1d
    for (const training of [true, false]) {
      const bn = filled(new Module(channels)).train(training)
      bn.forward(input)
      const gradInput = bn.backward(input)
      const before = snapshot(bn)
      const out = new Float32Array(input.data.length).fill(42)
      expect(() => bn.forward(input, { ...call, out })).toThrow(kind)
      expect(() => bn.forward(input, { ...call, out })).toThrow(message)
      await expect(bn.forwardAsync(input, { ...call, out })).rejects.toThrow(kind)
      expect(() => bn.recompute(input, call)).toThrow(kind)
      expect(out).toEqual(new Float32Array(input.data.length).fill(42))
      expect(snapshot(bn)).toEqual(before)
      bn.zeroGrad()
      expectSameBits(bn.backward(input), gradInput)
    }
  })

  test('an empty batch is checked too', () => {
    const empty = tensor(new Float32Array(0), [0, channels])
    const bn = filled(new BatchNorm1d(channels))
    const before = snapshot(bn)
    expect(() => bn.forward(empty, { mask: [1] })).toThrow('mask of shape [0] but received [1]')
    expect(snapshot(bn)).toEqual(before)
    expect(bn.forward(empty, { mask: [] }).shape).toEqual([0, channels])
    expect(bn.forward(empty, { weights: [] }).shape).toEqual([0, channels])
  })
})
