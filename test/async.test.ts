/**
 * `forwardAsync` and `backwardAsync`: the bits of `forward` and `backward`, on another thread, while
 * module and arrays are protected. A call that was started is under way at least until the event loop
 * turns, so what a test does before its next macrotask happens meanwhile.
 */
import { setImmediate } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { currentBackend } from '../lib/backend/load.ts'
import {
  activeBackend,
  BatchNorm1d,
  type BatchNormOptions,
  functional,
  setNumThreads,
  supportedInstructionSets,
  Tensor,
  tensor,
  useInstructionSet,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { normal, snapshot, trained } from './support/module.ts'

const shape = [8, 5, 3]
const channels = 5
const [x, gradOutput, other] = [normal(shape, 4), normal(shape, 5), normal(shape, 6)]
const isBusy = 'await that call first'

/** A tensor of the same values in memory of its own. */
function copyOf({ data, shape }: Tensor): Tensor {
  return tensor(data.slice(), shape)
}

function emptyLike({ data, shape }: Tensor): Tensor {
  return tensor(new Float32Array(data.length).fill(42), shape)
}

/** A promise of what a call does, be it to throw, reject, return or resolve. */
async function outcome(call: () => unknown): Promise<unknown> {
  return call()
}

function expectSameBits(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape)
  expect(difference(actual.data, expected.data)).toBeNull()
}

describeEachBackend('asynchronous calls give the same bits', () => {
  const threads = activeBackend().threads
  beforeAll(() => setNumThreads(2))
  afterAll(() => setNumThreads(threads))

  const withNaN = normal([33, 7], 1).data
  withNaN[40] = Number.NaN
  const cases: { title: string; shape: number[]; options?: BatchNormOptions; data?: Float32Array }[] = [
    { title: '(N, C)', shape: [33, 7] },
    { title: '(N, C, L)', shape: [4, 5, 37] },
    { title: 'channels-last', shape: [4, 37, 5], options: { layout: 'channels-last' } },
    { title: 'several threads, (N, C)', shape: [4099, 67] },
    { title: 'several threads, (N, C, L)', shape: [3, 5, 20011] },
    { title: 'the average of all batches', shape: [33, 7], options: { momentum: null } },
    { title: 'not affine', shape: [33, 7], options: { affine: false } },
    { title: 'weight alone', shape: [33, 7], options: { center: false } },
    { title: 'not tracking', shape: [33, 7], options: { trackRunningStats: false } },
    { title: 'one value a channel', shape: [1, 7], options: { singleValue: 'running' } },
    { title: 'NaN, propagated', shape: [33, 7], data: withNaN },
    { title: 'NaN, skipped', shape: [33, 7], data: withNaN, options: { nonFinite: 'skip' } },
  ]
  const targets: Record<string, (read: Tensor) => Tensor | undefined> = {
    'a new array': () => undefined,
    out: emptyLike,
    'in place': (read) => read,
  }

  describe.each(cases)('$title, $shape', ({ shape, options = {}, data }) => {
    const size = options.layout === 'channels-last' ? shape[2] : shape[1]
    const inputs = [7, 8, 9].map((seed) => (data ? tensor(data, shape) : normal(shape, seed)))
    const gradients = [10, 11, 12].map((seed) => normal(shape, seed))

    test.each([true, false])('step after step, written anywhere (training %s)', async (training) => {
      const [module, twin] = [trained(size, options).train(training), trained(size, options).train(training)]
      for (const [index, target] of Object.values(targets).entries()) {
        const expected = twin.forward(inputs[index])
        const input = copyOf(inputs[index])
        const out = target(input)
        const y = await module.forwardAsync(input, { out })
        if (out) expect(y.data).toBe(out.data)
        expectSameBits(y, expected)
        expect(snapshot(module)).toEqual(snapshot(twin))

        // Backward needs the input, which in place is gone.
        if (out === input) module.forward(inputs[index])
        if (out === input) twin.forward(inputs[index])
        const expectedGradient = twin.backward(gradients[index])
        const gradient = copyOf(gradients[index])
        const gradOut = target(gradient)
        const gradInput = await module.backwardAsync(gradient, { out: gradOut })
        if (gradOut) expect(gradInput.data).toBe(gradOut.data)
        expectSameBits(gradInput, expectedGradient)
        expect(snapshot(module)).toEqual(snapshot(twin))
      }
    })
  })

  test('when many modules work at once, some on the same input', async () => {
    const large = [normal([4099, 67], 1), normal([4099, 67], 2)]
    const modules = Array.from({ length: 12 }, () => trained(67))
    const outputs = modules.map((module, index) => module.forwardAsync(large[index % 2]))
    const expected = large.map((input) => trained(67).forward(input)) // and read here meanwhile
    for (const [index, y] of (await Promise.all(outputs)).entries()) expectSameBits(y, expected[index % 2])
    const gradients = modules.map((module, index) => module.backwardAsync(large[1 - (index % 2)]))
    const expectedGradients = large.map((input, index) => {
      const twin = trained(67)
      twin.forward(input)
      return twin.backward(large[1 - index])
    })
    for (const [index, gradInput] of (await Promise.all(gradients)).entries()) {
      expectSameBits(gradInput, expectedGradients[index % 2])
    }
  })

  test('whatever threads and instruction sets are chosen meanwhile', async () => {
    const { name, instructionSet } = activeBackend()
    const large = normal([4099, 67], 1)
    const expected = trained(67).forward(large)
    for (const count of [1, 3, 2]) {
      const y = trained(67).forwardAsync(large)
      setNumThreads(count)
      if (name === 'native') for (const set of supportedInstructionSets()) useInstructionSet(set)
      expectSameBits(trained(67).forward(large), expected)
      expectSameBits(await y, expected)
    }
    if (instructionSet !== null) useInstructionSet(instructionSet)
  })

  test('whatever mode, momentum and eps are set meanwhile: those are for the next call', async () => {
    const [module, twin] = [trained(channels), trained(channels)]
    const pending = module.forwardAsync(x)
    module.eval()
    module.momentum = 1
    module.eps = 1
    expectSameBits(await pending, twin.forward(x))
    expect(snapshot(module)).toEqual(snapshot(twin))
  })

  test.each([true, false])('of an empty batch: empty, and nothing changes (training %s)', async (training) => {
    const module = trained(channels).train(training)
    const before = snapshot(module)
    const empty = tensor(new Float32Array(0), [0, channels])
    expect(await module.forwardAsync(empty)).toEqual(empty)
    expect(await module.backwardAsync(empty)).toEqual(empty)
    expect(snapshot(module)).toEqual(before)
  })
})

describeEachBackend('a module whose asynchronous call is under way', () => {
  const state = trained(channels, { momentum: 1 }).stateDict()
  const starts: Record<string, (module: BatchNorm1d) => Promise<Tensor>> = {
    forwardAsync: (module) => module.forwardAsync(other),
    'forwardAsync in eval': (module) => module.eval().forwardAsync(other),
    backwardAsync: (module) => module.backwardAsync(other),
  }
  const calls: Record<string, (module: BatchNorm1d) => unknown> = {
    forward: (module) => module.forward(x),
    forwardAsync: (module) => module.forwardAsync(x),
    backward: (module) => module.backward(gradOutput),
    backwardAsync: (module) => module.backwardAsync(gradOutput),
    stateDict: (module) => module.stateDict(),
    loadStateDict: (module) => module.loadStateDict(state),
    resetRunningStats: (module) => module.resetRunningStats(),
    resetParameters: (module) => module.resetParameters(),
    zeroGrad: (module) => module.zeroGrad(),
  }

  /** With an input to go back to and gradients that are not zero. */
  function started(start: (module: BatchNorm1d) => Promise<Tensor>) {
    const module = trained(channels)
    module.forward(x)
    module.backward(gradOutput)
    return { module, pending: start(module) }
  }

  describe.each(Object.entries(starts))('%s', (_, start) => {
    test.each(Object.entries(calls))(
      'takes no %s, which throws and changes nothing, and takes it afterwards',
      async (_, call) => {
        const [{ module, pending }, undisturbed] = [started(start), started(start)]
        const refused = outcome(() => call(module))
        await expect(refused).rejects.toThrow(TypeError)
        await expect(refused).rejects.toThrow(isBusy)
        expectSameBits(await pending, await undisturbed.pending)
        expect(snapshot(module)).toEqual(snapshot(undisturbed.module))

        const [result, expected] = [await call(module), await call(undisturbed.module)]
        expect(result).toEqual(expected)
        expect(snapshot(module)).toEqual(snapshot(undisturbed.module))
      },
    )
  })

  test.each(['forwardAsync', 'backwardAsync'] as const)(
    '%s: takes no other until everything that it changes has changed, in whatever microtask that comes',
    async (method) => {
      const backend = currentBackend()
      const [{ module }, twin] = [started(starts[method]), started(starts[method])]
      await setImmediate()
      await outcome(() => twin.pending)
      await vi.waitFor(() => module.stateDict())
      const after = started(starts[method]).module

      expect(after).toBeDefined()
      expect(backend).toBe(currentBackend())
    },
  )
})
