import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  activeBackend,
  BatchNorm1d,
  outputMemory,
  setOutputMemoryLimit,
  Tensor,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'

const shape = [512, 64] // 128 KiB
const input = tensor(
  Float32Array.from({ length: 512 * 64 }, (_, index) => Math.sin(index)),
  shape,
)

describeEachBackend('memory of outputs', () => {
  let limit: number
  beforeEach(() => {
    limit = outputMemory().limit
  })
  afterEach(() => setOutputMemoryLimit(limit))

  it('an output in memory that was used before has the bits of one in new memory', () => {
    const module = new BatchNorm1d(64)
    setOutputMemoryLimit(0)
    const expected = module.forward(input)
    setOutputMemoryLimit(limit)
    new BatchNorm1d(64)
      .forward(
        tensor(
          input.data.map((value) => value * 7),
          shape,
        ),
      )
      .dispose()
    expect(difference(new BatchNorm1d(64).forward(input).data, expected.data)).toBeNull()
  })

  it('what is disposed of has no elements, waits for the next output, and may be disposed of again', () => {
    const output = new BatchNorm1d(64).forward(input)
    const before = outputMemory()
    output.dispose()
    output[Symbol.dispose]()
    const after = outputMemory()
    if (activeBackend().name === 'native') {
      expect(output.data.length).toBe(0)
      expect(after.used).toBe(before.used - input.data.byteLength)
      expect(after.waiting).toBe(before.waiting + input.data.byteLength)
    } else {
      expect(output.data.length).toBe(input.data.length)
      expect(after).toEqual({ used: 0, waiting: 0, limit: 0 })
    }
  })

  it("a caller's own memory is left alone", () => {
    const mine = new Tensor(new Float32Array(512 * 64).fill(3), shape)
    mine.dispose()
    const output = new BatchNorm1d(64).forward(input, { out: mine })
    output.dispose()
    expect(mine.data.length).toBe(512 * 64)
  })

  it('the limit holds: beyond it outputs are ordinary arrays, and what waits is let go', () => {
    setOutputMemoryLimit(0)
    expect(outputMemory().waiting).toBe(0)
    const { used } = outputMemory()
    const output = new BatchNorm1d(64).forward(input)
    expect(outputMemory().used).toBe(used)
    output.dispose()
    expect(output.data.length).toBe(512 * 64)
  })

  it('a backward whose input was disposed of says so and changes nothing', () => {
    if (activeBackend().name !== 'native') return
    const module = new BatchNorm1d(64)
    const between = new BatchNorm1d(64).forward(input)
    const output = module.forward(between)
    between.dispose()
    expect(() => module.backward(output)).toThrow(/transferred/)
    expect(module.weight?.grad.every((value) => value === 0)).toBe(true)
  })

  it('a limit beyond all memory is none', () => {
    setOutputMemoryLimit(Number.MAX_VALUE)
    const { used } = outputMemory()
    const output = new BatchNorm1d(64).forward(input)
    const taken = activeBackend().name === 'native' ? output.data.byteLength : 0
    expect(outputMemory().used).toBe(used + taken)
  })

  it('a limit that is not a number of bytes is refused', () => {
    expect(() => setOutputMemoryLimit(-1)).toThrow(RangeError)
    expect(() => setOutputMemoryLimit('1' as never)).toThrow(TypeError)
    expect(outputMemory().limit).toBe(limit)
  })
})
