/** Memory that goes, or changes its size, while an asynchronous call works. What could crash is a process of its own. */
import { describe, expect, test } from 'vitest'
import type { BatchNorm } from '../lib/index.ts'
import { BatchNorm1d } from '../lib/index.ts'
import type { Loss } from './processes/losing.ts'
import { describeEachBackend, describeNativeAvailability, isThorough, natives } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { normal, snapshot, trained } from './support/module.ts'
import { run } from './support/processes.ts'

describeNativeAvailability()

describe.runIf(natives.length > 0)('memory that is lost on another thread', () => {
  test.each([
    { way: 'structuredClone', calls: 'all' },
    { way: 'resize', calls: isThorough ? 'all' : 'one' },
    { way: 'transfer', calls: 'one' },
    { way: 'a thread that ends', calls: 'one' },
  ])('$way: the promise is rejected, and the process lives', async ({ way, calls }) => {
    const flags = ['--expose-gc']
    const { stdout, ...end } = await run('losing.ts', [way, calls], { UV_THREADPOOL_SIZE: '1' }, flags)
    expect(end).toEqual({ code: 0, signal: null, stderr: '' })
    const losses: Loss[] = JSON.parse(stdout)
    expect(losses).toHaveLength(calls === 'all' ? 10 : 2)
    for (const { outcome, difference } of losses) {
      expect(outcome).toMatch(/^TypeError: Expected the arrays of .* that was transferred or resized/)
      expect(difference).toBeNull()
    }
  })
})

interface Sizes {
  new (bytes: number, options: { maxByteLength: number }): ArrayBuffer & { resize(bytes: number): void }
}
interface SharedSizes {
  new (bytes: number, options: { maxByteLength: number }): SharedArrayBuffer & { grow(bytes: number): void }
}
// TypeScript's buffers of these years have no options.
const ResizableBuffer = ArrayBuffer as unknown as Sizes
const GrowableBuffer = SharedArrayBuffer as unknown as SharedSizes

const shape = [8, 5, 3]
const [x, gradOutput] = [normal(shape, 1), normal(shape, 2)]
const bytes = x.data.byteLength

describeEachBackend('asynchronous calls on memory of every kind', () => {
  const buffers = {
    plain: () => new ArrayBuffer(bytes),
    resizable: () => new ResizableBuffer(bytes, { maxByteLength: 2 * bytes }),
    shared: () => new SharedArrayBuffer(bytes),
    growable: () => new GrowableBuffer(bytes, { maxByteLength: 2 * bytes }),
  }

  function tensorOn(buffer: ArrayBufferLike, values?: Float32Array) {
    const data = new Float32Array(buffer)
    if (values) data.set(values)
    return { data, shape }
  }

  test.each(Object.entries(buffers))('%s: the bits of forward and backward', async (_, make) => {
    const [module, twin] = [trained(5), trained(5)]
    const [input, out, gradient, gradOut] = [x.data, undefined, gradOutput.data, undefined].map((values) =>
      tensorOn(make(), values),
    )
    const y = await module.forwardAsync(input, { out })
    expect(y.data).toBe(out.data)
    expect(difference(out.data, twin.forward(x).data)).toBeNull()
    const gradInput = await module.backwardAsync(gradient, { out: gradOut })
    expect(gradInput.data).toBe(gradOut.data)
    expect(difference(gradOut.data, twin.backward(gradOutput).data)).toBeNull()
    expect(snapshot(module)).toEqual(snapshot(twin))
  })

  test('a length-tracking view of a buffer that is resized, or grown, is refused, and nothing changes', async () => {
    for (const lose of [
      () => {
        const buffer = buffers.resizable()
        return { buffer, change: () => buffer.resize(bytes / 2) }
      },
      () => {
        const buffer = buffers.growable()
        return { buffer, change: () => buffer.grow(bytes * 2) }
      },
    ]) {
      const { buffer, change } = lose()
      const [module, twin] = [trained(5), trained(5)]
      const pending = module.forwardAsync(tensorOn(buffer, x.data))
      change()
      await expect(pending).rejects.toThrow('transferred or resized')
      expect(snapshot(module)).toEqual(snapshot(twin))
    }
  })

  test('the memory of a parameter or a running statistic: refused as well', async () => {
    for (const arrayOf of [
      (module: BatchNorm) => module.weight?.data,
      (module: BatchNorm) => module.runningMean?.data,
    ]) {
      const module = trained(5)
      const pending = module.forwardAsync(x)
      const buffer = arrayOf(module)?.buffer as ArrayBuffer
      structuredClone(buffer, { transfer: [buffer] })
      await expect(pending).rejects.toThrow('transferred or resized')
    }
  })

  test('what views overlap in part is read as it lies', async () => {
    const memory = normal([9, 5, 3], 3).data
    const input = { data: memory.subarray(0, 120), shape }
    const residual = { data: memory.subarray(15), shape }
    const [module, twin] = [new BatchNorm1d(5), new BatchNorm1d(5)]
    const expected = twin.forward(input, { residual })
    expect(difference((await module.forwardAsync(input, { residual })).data, expected.data)).toBeNull()
  })
})
