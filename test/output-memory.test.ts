import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BatchNorm1d, outputMemory, setOutputMemoryLimit, Tensor, tensor } from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'

const shape = [512, 64] // 128 KiB
const input = tensor(
  Float32Array.from({ length: 512 * 64 }, (_, index) => Math.sin(index)),
  shape,
)
const bytes = input.data.byteLength

/** The buffer of a tensor's data, which is no shared one. */
function bufferOf({ data }: Tensor): ArrayBuffer {
  return data.buffer as ArrayBuffer
}

describeEachBackend('memory of outputs', () => {
  let limit: number
  beforeEach(() => {
    limit = outputMemory().limit
    setOutputMemoryLimit(0)
    setOutputMemoryLimit(limit)
  })
  afterEach(() => setOutputMemoryLimit(limit))

  it('an output in memory that was used before has the bits of one in new memory', () => {
    const expected = new BatchNorm1d(64).forward(input)
    const before = new BatchNorm1d(64).forward(
      tensor(
        input.data.map((value) => value * 7),
        shape,
      ),
    )
    before.dispose()
    expect(outputMemory().waiting).toBe(bytes)
    expect(difference(new BatchNorm1d(64).forward(input).data, expected.data)).toBeNull()
    expect(outputMemory().waiting).toBe(0)
  })

  it('what is disposed of has no elements, waits for the next output, and may be disposed of again', () => {
    const output = new BatchNorm1d(64).forward(input)
    output.dispose()
    output[Symbol.dispose]()
    expect(output.data.length).toBe(0)
    expect(outputMemory().waiting).toBe(bytes)
  })

  it('gradInput comes from it and goes back to it as an output does', () => {
    const module = new BatchNorm1d(64)
    module.forward(input).dispose()
    const gradInput = module.backward(input)
    expect(outputMemory().waiting).toBe(0)
    gradInput.dispose()
    expect(outputMemory().waiting).toBe(bytes)
  })

  it('memory waits for an output of its size, and no other', () => {
    new BatchNorm1d(64).forward(input).dispose()
    new BatchNorm1d(64).forward(tensor(new Float32Array(1024 * 64).map(Math.random), [1024, 64]))
    expect(outputMemory().waiting).toBe(bytes)
  })

  it('an array that is still there never changes, whatever is disposed of and made after it', () => {
    const module = new BatchNorm1d(64)
    const kept = module.forward(input)
    const expected = kept.data.slice()
    for (let call = 0; call < 100; call++) {
      const other = module.eval().forward(input)
      if (call % 3 > 0) other.dispose()
    }
    expect(difference(kept.data, expected)).toBeNull()
  })

  it("a caller's own memory is left alone, shared memory too", () => {
    const mine = new Tensor(new Float32Array(512 * 64).fill(3), shape)
    const shared = new Tensor(new Float32Array(new SharedArrayBuffer(bytes)), shape)
    for (const out of [mine, shared]) {
      out.dispose()
      new BatchNorm1d(64).forward(input, { out }).dispose()
      expect(out.data.length).toBe(512 * 64)
    }
    expect(outputMemory().waiting).toBe(0)
  })

  it('the limit holds: what waits beyond it is let go, the size that came last at last', () => {
    const module = new BatchNorm1d(64)
    const large = tensor(new Float32Array(1024 * 64).map(Math.random), [1024, 64])
    const outputs = [large, input, input, input].map((each) => module.forward(each))
    for (const output of outputs) output.dispose()
    expect(outputMemory().waiting).toBe(5 * bytes)
    setOutputMemoryLimit(2 * bytes)
    expect(outputMemory()).toEqual({ waiting: 2 * bytes, limit: 2 * bytes })
    setOutputMemoryLimit(0)
    const last = module.forward(input)
    last.dispose()
    expect(last.data.length).toBe(0)
    expect(outputMemory().waiting).toBe(0)
  })

  it('a backward whose input was disposed of says so and changes nothing', () => {
    const module = new BatchNorm1d(64)
    const between = new BatchNorm1d(64).forward(input)
    const output = module.forward(between)
    between.dispose()
    expect(() => module.backward(output)).toThrow(/transferred/)
    expect(module.weight?.grad.every((value) => value === 0)).toBe(true)
  })

  it('a limit that is not a number of bytes is refused', () => {
    expect(() => setOutputMemoryLimit(-1)).toThrow(RangeError)
    expect(() => setOutputMemoryLimit('1' as never)).toThrow(TypeError)
    expect(outputMemory().limit).toBe(limit)
  })

  it('dropped outputs are collected in a loop that leaves the event loop no turn', () => {
    const module = new BatchNorm1d(64)
    const large = tensor(new Float32Array(8192 * 64).map(Math.random), [8192, 64]) // 2 MiB
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    for (let call = 0; call < 500; call++) {
      module.forward(large)
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    // 1000 MiB were made; Node 20 and 22 come to 40, Node 24 to 120 and more.
    expect(most).toBeLessThan(500 * 1024 * 1024)
  })
})

describe('an output that leaves its thread', () => {
  it("is the receiver's, and never waits here", async () => {
    setOutputMemoryLimit(0)
    setOutputMemoryLimit(256 * 1024 * 1024)
    const output = new BatchNorm1d(64).forward(input)
    const expected = output.data.slice()
    const { port1, port2 } = new MessageChannel()
    const received = once(port2, 'message')
    port1.postMessage(output.data, [bufferOf(output)])
    const [data] = await received
    port1.close()
    output.dispose()
    expect(outputMemory().waiting).toBe(0)
    for (let call = 0; call < 20; call++) new BatchNorm1d(64).forward(input).dispose()
    expect(difference(data, expected)).toBeNull()
  })

  it('nor when it was transferred first', () => {
    const output = new BatchNorm1d(64).forward(input)
    const expected = output.data.slice()
    const mine = new Tensor(
      new Float32Array(structuredClone(bufferOf(output), { transfer: [bufferOf(output)] })),
      shape,
    )
    output.dispose()
    mine.dispose()
    for (let call = 0; call < 20; call++) new BatchNorm1d(64).forward(input).dispose()
    expect(difference(mine.data, expected)).toBeNull()
  })
})
