/** `reuse: true`: results in memory of the module, which never changes under what reads it. */
import { expect, it } from 'vitest'
import { type BatchNorm, BatchNorm1d, type BatchNormOptions, type Tensor, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { normal } from './support/module.ts'

const shape = [64, 8]
const batches = [1, 2, 3].map((seed) => normal(shape, seed))
const gradOutput = normal(shape, 4)

function pair(options: BatchNormOptions = {}): [plain: BatchNorm, reusing: BatchNorm] {
  return [new BatchNorm1d(8, options), new BatchNorm1d(8, { ...options, reuse: true })]
}

function bufferOf({ data }: Tensor): ArrayBuffer {
  return data.buffer as ArrayBuffer
}

describeEachBackend('reuse: true', () => {
  it.each<BatchNormOptions>([{}, { activation: 'relu' }, { virtualBatchSize: 16 }, { renorm: true }])(
    'the bits are those without it: %o',
    async (options) => {
      const [plain, reusing] = pair(options)
      for (const x of batches) {
        expect(difference(reusing.forward(x).data, plain.forward(x).data)).toBeNull()
        expect(difference(reusing.recompute(x).data, plain.recompute(x).data)).toBeNull()
        expect(difference(reusing.backward(gradOutput).data, plain.backward(gradOutput).data)).toBeNull()
        expect(difference((await reusing.forwardAsync(x)).data, plain.forward(x).data)).toBeNull()
      }
      expect(difference(reusing.weight?.grad as Float32Array, plain.weight?.grad as Float32Array)).toBeNull()
    },
  )

  it('an output is written where the last one was, and a gradInput where the last one was', () => {
    const [, bn] = pair()
    const outputs = batches.map((x) => bn.forward(x).data)
    const gradients = [bn.backward(gradOutput).data, bn.backward(gradOutput).data]
    expect(new Set(outputs).size).toBe(1)
    expect(new Set(gradients).size).toBe(1)
    expect(gradients[0]).not.toBe(outputs[0])
  })

  it('a result of another size gets memory of its own', () => {
    const [, bn] = pair()
    const first = bn.forward(batches[0])
    const expected = first.data.slice()
    bn.forward(normal([32, 8], 9))
    expect(difference(first.data, expected)).toBeNull()
  })

  it('an out of the call comes first', () => {
    const [, bn] = pair()
    const first = bn.forward(batches[0])
    const expected = first.data.slice()
    const out = new Float32Array(512)
    expect(bn.forward(batches[1], { out }).data).toBe(out)
    expect(difference(first.data, expected)).toBeNull()
  })

  it('a result that was transferred is not written any more', () => {
    const [plain, bn] = pair()
    const first = bn.forward(batches[0])
    const expected = first.data.slice()
    const mine = new Float32Array(structuredClone(bufferOf(first), { transfer: [bufferOf(first)] }))
    plain.forward(batches[0])
    expect(difference(bn.forward(batches[1]).data, plain.forward(batches[1]).data)).toBeNull()
    expect(difference(mine, expected)).toBeNull()
  })

  it('the last result of the module as its input is an error, which changes nothing', () => {
    const [, bn] = pair()
    const y = bn.forward(batches[0])
    const expected = y.data.slice()
    expect(() => bn.forward(y)).toThrow(
      'Expected input to lie elsewhere than the result, with reuse: true, but received the last result of this module',
    )
    expect(() => bn.forward(batches[1], { residual: y })).toThrow('Expected residual to lie elsewhere')
    const gradInput = bn.backward(gradOutput)
    expect(() => bn.backward(gradInput)).toThrow('Expected gradOutput to lie elsewhere')
    expect(difference(y.data, expected)).toBeNull()
    expect(bn.numBatchesTracked?.data[0]).toBe(1n)
  })

  it('several forwards before a backward: the one whose input was written again says so', () => {
    const [, before] = pair()
    const first = new BatchNorm1d(8)
    const second = new BatchNorm1d(8)
    first.forward(before.forward(batches[0]))
    second.forward(before.forward(batches[1]))
    expect(() => first.backward(gradOutput)).toThrow('has written another one there since')
    expect(first.weight?.grad.every((value) => value === 0)).toBe(true)
    second.backward(gradOutput)
  })

  it('recompute leaves what reads its result its bits', () => {
    const [, before] = pair()
    const after = new BatchNorm1d(8)
    after.forward(before.forward(batches[0]))
    before.recompute(batches[0])
    expect(() => after.backward(gradOutput)).not.toThrow()
  })

  it('an activation: a forward that fails leaves backward the output of the last good one', () => {
    const [plain, bn] = pair({ activation: 'relu', nonFinite: 'throw', virtualBatchSize: 32 })
    const bad = tensor(batches[1].data.slice(), shape)
    bad.data[511] = Number.NaN
    for (const module of [plain, bn]) {
      module.forward(batches[0])
      expect(() => module.forward(bad)).toThrow(RangeError)
    }
    expect(difference(bn.backward(gradOutput).data, plain.backward(gradOutput).data)).toBeNull()
  })

  it('is not written while another module reads it on another thread', async () => {
    const [, before] = pair()
    const y = before.forward(batches[0])
    const reading = new BatchNorm1d(8).forwardAsync(y)
    expect(() => before.forward(batches[1])).toThrow(
      'Expected the result of a module with reuse: true to be idle but received an array that an asynchronous call is reading',
    )
    await reading
    before.forward(batches[1])
  })

  it('is told by the module, and copied with its options', () => {
    const [, bn] = pair()
    expect(String(bn)).toMatch(/, reuse=True\)$/)
    expect(bn.options.reuse).toBe(true)
    expect(() => new BatchNorm1d(8, { reuse: 1 as never })).toThrow('Expected reuse to be true or false')
  })
})
