/**
 * `forwardAsync` and `backwardAsync`: the bits of `forward` and `backward`, on another thread, while
 * module and arrays are protected. A call that was started is under way at least until the event loop
 * turns, so what a test does before its next macrotask happens meanwhile.
 */
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { currentBackend } from '../lib/backend/load.ts'
import {
  activeBackend,
  type BatchNorm,
  BatchNorm1d,
  type BatchNormOptions,
  functional,
  setNumThreads,
  supportedInstructionSets,
  type Tensor,
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

  test('whatever is done with the options meanwhile', async () => {
    const [input, gradient] = [normal([33, 7], 1), normal([33, 7], 2)]
    const module = trained(7)
    const forward: { out?: Tensor } = { out: input }
    const expected = trained(7).forward(copyOf(input))
    const pending = module.forwardAsync(input, forward)
    delete forward.out
    expectSameBits(await pending, expected)
    expect(() => module.backward(gradient)).toThrow('Expected the input of forward() to be unchanged')

    const again = normal([33, 7], 1)
    module.forward(again)
    const backward: { out?: Tensor } = { out: again }
    const pendingGradient = module.backwardAsync(gradient, backward)
    delete backward.out
    await pendingGradient
    expect(() => module.backward(gradient)).toThrow('Expected the input of forward() to be unchanged')
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

  test.each([true, false])('of an empty batch: empty, and nothing moves (training %s)', async (training) => {
    const module = trained(channels).train(training)
    const before = snapshot(module)
    if (training) before.state.num_batches_tracked = BigInt64Array.of(2n)
    const empty = tensor(new Float32Array(0), [0, channels])
    expect(await module.forwardAsync(empty)).toEqual(empty)
    expect(await module.backwardAsync(empty)).toEqual(empty)
    expect(snapshot(module)).toEqual(before)
  })
})

describeEachBackend('a module whose asynchronous call is under way', () => {
  const state = trained(channels, { momentum: 1 }).stateDict()
  const starts: Record<string, (module: BatchNorm) => Promise<Tensor>> = {
    forwardAsync: (module) => module.forwardAsync(other),
    'forwardAsync in eval': (module) => module.eval().forwardAsync(other),
    backwardAsync: (module) => module.backwardAsync(other),
  }
  const calls: Record<string, (module: BatchNorm) => unknown> = {
    'forward in training': (module) => module.train().forward(x),
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
  function started(start: (module: BatchNorm) => Promise<Tensor>) {
    const module = trained(channels)
    module.forward(x)
    module.backward(gradOutput)
    return { module, pending: start(module) }
  }

  describe.each(Object.entries(starts))('%s', (name, start) => {
    const allowed = name === 'forwardAsync in eval' ? ['forward', 'forwardAsync'] : []
    test.each(Object.entries(calls).filter(([call]) => !allowed.includes(call)))(
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

  test('takes other forwards in eval, each with its own result; backward follows none of them', async () => {
    const inputs = [1, 2, 3, 4, 5].map((seed) => normal(shape, seed))
    const [module, twin] = [trained(channels).eval(), trained(channels).eval()]
    const pending = inputs.map((input) => module.forwardAsync(input))
    expectSameBits(module.forward(x), twin.forward(x))
    const failing = module.forwardAsync(normal([2, channels + 1], 6))
    await expect(failing).rejects.toThrow('Expected input of shape')
    for (const [index, result] of (await Promise.all(pending)).entries()) {
      expectSameBits(result, twin.forward(inputs[index]))
    }
    expect(snapshot(module)).toEqual(snapshot(twin))
    expect(() => module.backward(gradOutput)).toThrow(
      'Expected one forward() at a time before backward(gradOutput) but received several under way at once',
    )
    expectSameBits(await module.forwardAsync(x), twin.forward(x))
    expectSameBits(module.backward(gradOutput), twin.backward(gradOutput))
    expect(snapshot(module)).toEqual(snapshot(twin))
  })

  test.each([{ useBatchStats: true }, { updateStats: true }])(
    'takes no second one where the forward does not follow the mode: %o',
    async (options) => {
      const module = trained(channels, options).eval()
      const pending = module.forwardAsync(x)
      await expect(module.forwardAsync(other)).rejects.toThrow(isBusy)
      await pending
    },
  )

  test('a frozen module takes several in training mode', async () => {
    const [module, twin] = [trained(channels).freeze(), trained(channels).eval()]
    const results = await Promise.all([module.forwardAsync(x), module.forwardAsync(other)])
    expectSameBits(results[0], twin.forward(x))
    expectSameBits(results[1], twin.forward(other))
  })

  test.each(['forwardAsync', 'backwardAsync'])(
    '%s: takes no other before all has changed, in whatever microtask that comes',
    async (method) => {
      const undisturbed = started(starts[method])
      await undisturbed.pending

      const backend = currentBackend() as unknown as Record<string, (...call: unknown[]) => Promise<unknown>>
      const work = backend[method]
      let seen: Promise<unknown> = Promise.resolve()
      const spy = vi.spyOn(backend, method).mockImplementation(async (...call) => {
        const result = await work(...call)
        seen = firstSnapshot(module)
        return result
      })
      const { module, pending } = started(starts[method])
      await pending
      spy.mockRestore()
      expect(await seen).toEqual(snapshot(undisturbed.module))
    },
  )

  /** What can be seen in the first microtask in which the module takes a call. */
  async function firstSnapshot(module: BatchNorm): Promise<unknown> {
    for (let microtask = 0; microtask < 100; microtask++) {
      try {
        return snapshot(module)
      } catch {
        await null
      }
    }
    return null
  }
})

describeEachBackend('an array in flight', () => {
  interface Flight {
    readonly module: BatchNorm
    /** What its call reads and writes, with room before and after for views that overlap it in part. */
    readonly read: Tensor
    readonly written: Tensor
    readonly pending: Promise<Tensor>
    /** Another module, whose last input was `written`. */
    readonly mine: BatchNorm
  }

  function within(buffer: Float32Array): Tensor {
    return tensor(buffer.subarray(1, 1 + x.data.length), shape)
  }

  /** A tensor that shares all memory of `tensor` but its first element. */
  function shifted({ data }: Tensor): Tensor {
    return tensor(new Float32Array(data.buffer, data.byteOffset + 4, data.length), shape)
  }

  function launch(start: (module: BatchNorm, read: Tensor, out: Tensor) => Promise<Tensor>): Flight {
    const module = trained(channels)
    module.forward(other)
    const [read, written] = [1, 2].map(() => within(new Float32Array(x.data.length + 2)))
    read.data.set(x.data)
    const mine = trained(channels)
    mine.forward(written)
    return { module, read, written, mine, pending: start(module, read, written) }
  }

  const starts: Record<string, Parameters<typeof launch>[0]> = {
    forwardAsync: (module, read, out) => module.forwardAsync(read, { out }),
    'forwardAsync in eval': (module, read, out) => module.eval().forwardAsync(read, { out }),
    backwardAsync: (module, read, out) => module.backwardAsync(read, { out }),
  }

  const invstd = new Float64Array(channels).fill(1)
  const statistics = { mean: new Float64Array(channels), invstd }
  const firstOf = ({ data }: Tensor) => data.subarray(0, channels)

  const refused: [what: string, argument: string, call: (flight: Flight) => unknown][] = [
    ['forward of what is written', 'input', ({ written, mine }) => mine.forward(written)],
    ['forward of a part of it', 'input', ({ written, mine }) => mine.forward(shifted(written))],
    ['forward over what is written', 'out', ({ written, mine }) => mine.forward(x, { out: written })],
    ['forward over what is read', 'out', ({ read, mine }) => mine.forward(x, { out: read })],
    ['forward over a part of it', 'out', ({ read, mine }) => mine.forward(x, { out: shifted(read) })],
    ['forward in place', 'out', ({ read, mine }) => mine.forward(read, { out: read })],
    ['forwardAsync of what is written', 'input', ({ written, mine }) => mine.forwardAsync(written)],
    ['forwardAsync over what is read', 'out', ({ read, mine }) => mine.forwardAsync(x, { out: read })],
    ['backward of what is written', 'gradOutput', ({ written, mine }) => mine.backward(written)],
    ['backward over what is read', 'out', ({ read, mine }) => mine.backward(other, { out: read })],
    ['backwardAsync of what is written', 'gradOutput', ({ written, mine }) => mine.backwardAsync(written)],
    ['backwardAsync over what is read', 'out', ({ read, mine }) => mine.backwardAsync(other, { out: read })],
    ['backward after a forward of what is written', 'the input of forward()', ({ mine }) => mine.backward(x)],
    [
      'loadStateDict of what is written',
      'state.weight',
      ({ written, mine }) => mine.loadStateDict({ ...mine.stateDict(), weight: firstOf(written) }),
    ],
    [
      'batchNorm of what is written',
      'input',
      ({ written }) => functional.batchNorm(written, { training: true }),
    ],
    [
      'batchNorm over what is read',
      'out',
      ({ read }) => functional.batchNorm(x, { training: true, out: read }),
    ],
    [
      'batchNorm with a weight that is written',
      'weight',
      ({ written }) => functional.batchNorm(x, { training: true, weight: firstOf(written) }),
    ],
    [
      'batchNorm that moves a running mean that is read',
      'runningMean',
      ({ module: { weight, bias } }) =>
        functional.batchNorm(x, { training: true, runningMean: weight, runningVar: bias?.data.slice() }),
    ],
    [
      'batchNorm that moves a running variance that is read',
      'runningVar',
      ({ module: { weight, bias } }) =>
        functional.batchNorm(x, { training: true, runningMean: bias?.data.slice(), runningVar: weight }),
    ],
    ['batchNormStats of what is written', 'input', ({ written }) => functional.batchNormStats(written)],
    [
      'batchNormBackward of what is written',
      'gradOutput',
      ({ written }) => functional.batchNormBackward(written, x, statistics),
    ],
    [
      'batchNormBackward with a mean that is written',
      'mean',
      ({ written }) => functional.batchNormBackward(x, x, { invstd, mean: firstOf(written) }),
    ],
    [
      'batchNormBackward over what is read',
      'out',
      ({ read }) => functional.batchNormBackward(x, x, { ...statistics, out: read }),
    ],
  ]

  describe.each(Object.entries(starts))('by %s', (_, start) => {
    test.each(refused)(
      '%s is refused, naming %s, changes nothing, and is taken afterwards',
      async (_, argument, call) => {
        const [flight, undisturbed] = [launch(start), launch(start)]
        const before = snapshot(flight.mine)
        const attempt = outcome(() => call(flight))
        await expect(attempt).rejects.toThrow(TypeError)
        await expect(attempt).rejects.toThrow(`Expected ${argument} to be idle`)
        await expect(attempt).rejects.toThrow(isBusy)
        expect(snapshot(flight.mine)).toEqual(before)

        expectSameBits(await flight.pending, await undisturbed.pending)
        expectSameBits(flight.read, x)
        expect(snapshot(flight.module)).toEqual(snapshot(undisturbed.module))
        // Its input has been written over meanwhile.
        flight.mine.forward(flight.written)
        await expect(outcome(() => call(flight))).resolves.not.toBeNull()
      },
    )

    test('may be read by others if it is only read', async () => {
      const flight = launch(start)
      const { read, module } = flight
      expectSameBits(trained(channels).forward(read), trained(channels).forward(x))
      expectSameBits(
        functional.batchNorm(read, { training: true, weight: module.weight, bias: module.bias }),
        trained(channels).forward(x),
      )
      await flight.pending
    })

    test('is free again after a rejection', async () => {
      const failure = new Error('no memory')
      const backend = currentBackend()
      for (const method of ['forwardAsync', 'normalizeAsync', 'backwardAsync'] as const) {
        vi.spyOn(backend, method).mockRejectedValueOnce(failure)
      }
      const { module, mine, read, written, pending } = launch(start)
      const untouched = trained(channels)
      untouched.forward(other)
      await expect(pending).rejects.toBe(failure)
      vi.restoreAllMocks()
      expect(snapshot(module)).toEqual(snapshot(untouched))
      mine.forward(written, { out: read })
      module.backward(gradOutput, { out: written })
    })
  })

  test('running statistics are written in training, and not in eval', async () => {
    const module = trained(channels)
    const { runningMean, runningVar } = module
    const read = () => functional.batchNorm(x, { runningMean, runningVar })
    const training = module.forwardAsync(other)
    expect(read).toThrow('Expected runningMean to be idle')
    await training
    const before = read()
    const evaluation = module.eval().forwardAsync(other)
    expectSameBits(read(), before)
    await evaluation
  })

  test.each(['weight', 'bias', 'running_mean', 'running_var', 'weight.grad', 'bias.grad'])(
    'that is the %s of another module keeps that module waiting',
    async (name) => {
      const owner = trained(channels)
      owner.forward(x)
      const state = owner.stateDict()
      const data = {
        weight: owner.weight?.data,
        bias: owner.bias?.data,
        running_mean: owner.runningMean?.data,
        running_var: owner.runningVar?.data,
        'weight.grad': owner.weight?.grad,
        'bias.grad': owner.bias?.grad,
      }[name] as Float32Array
      const calls = [
        () => owner.forward(x),
        () => owner.backward(x),
        () => owner.stateDict(),
        () => owner.loadStateDict(state),
        () => owner.resetParameters(),
        () => owner.zeroGrad(),
      ]
      const pending = trained(channels)
        .eval()
        .forwardAsync(tensor(data, [1, channels]))
      for (const call of calls) expect(call).toThrow(`Expected ${name} to be idle`)
      await pending
      for (const call of calls) expect(call).not.toThrow()
    },
  )

  test('is not disposed of, nor is any other part of its memory', async () => {
    const large = normal([1024, 64], 1) // 256 KiB: of the size that is used again
    const output = trained(64).forward(large)
    const { data } = output
    const half = data.length / 2
    const disposals = [
      output,
      tensor(data.subarray(0, half)),
      tensor(data.subarray(half)),
      tensor(new Float64Array(data.buffer, data.byteOffset, half / 2)),
    ]
    const expected = trained(64).forward(tensor(data.slice(half), [512, 64]))
    const pending = trained(64).forwardAsync(tensor(data.subarray(half), [512, 64]))
    for (const part of disposals) expect(() => part.dispose()).toThrow('Expected this tensor to be idle')
    expectSameBits(await pending, expected)
    for (const part of disposals) expect(() => part.dispose()).not.toThrow()
  })
})

describeEachBackend('a call that cannot be made', () => {
  const bad = copyOf(x)
  bad.data[7] = Number.NaN
  const wrongShape = normal([8, 6, 3], 1)
  const short = new Float32Array(7)
  type Attempt = (module: BatchNorm, out: Float32Array) => Promise<Tensor>

  test.each<[string, string, Attempt]>([
    [
      "a batch that nonFinite: 'throw' refuses",
      'NaN or Infinity in channel 2',
      (module, out) => module.forwardAsync(bad, { out }),
    ],
    ['an input that is no tensor', 'Expected input to be', (module) => module.forwardAsync(null as never)],
    ['an input of a wrong shape', 'Expected input of shape', (module) => module.forwardAsync(wrongShape)],
    [
      'one value a channel',
      'more than 1 value per channel',
      (module) => module.forwardAsync(normal([1, channels], 1)),
    ],
    ['an out that is too short', 'Expected out to be', (module) => module.forwardAsync(x, { out: short })],
    [
      'a gradOutput of a wrong shape',
      'Expected gradOutput of shape',
      (module, out) => module.backwardAsync(wrongShape, { out }),
    ],
    [
      'an out of backward that is too short',
      'Expected out to be',
      (module) => module.backwardAsync(x, { out: short }),
    ],
  ])('%s: rejects, changes nothing, and the next call is taken', async (_, message, attempt) => {
    const [module, twin] = [trained(channels, { nonFinite: 'throw' }), trained(channels)]
    expectSameBits(await module.forwardAsync(x), twin.forward(x))
    const out = new Float32Array(x.data.length).fill(42)
    const before = snapshot(module)
    const pending = attempt(module, out)
    await expect(pending).rejects.toThrow(message)
    expect(snapshot(module)).toEqual(before)
    expect(out).toEqual(new Float32Array(x.data.length).fill(42))

    expectSameBits(await module.backwardAsync(gradOutput), twin.backward(gradOutput))
    expectSameBits(await module.forwardAsync(other, { out }), twin.forward(other))
    expect(snapshot(module)).toEqual(snapshot(twin))
  })

  test('backwardAsync before any forward: rejects', async () => {
    await expect(new BatchNorm1d(channels).backwardAsync(x)).rejects.toThrow(/^Expected a forward\(\) before/)
  })
})

describeEachBackend('the event loop', ({ backend }) => {
  if (backend === 'typescript') {
    test.skip('turns: the TypeScript backend has no other thread')
    return
  }
  const [rows, columns] = [16384, 256] // 16 MiB
  const pattern = normal([256, columns], 1).data
  const data = new Float32Array(rows * columns)
  for (let start = 0; start < data.length; start += pattern.length) data.set(pattern, start)
  const input = tensor(data, [rows, columns])
  const out = new Float32Array(data.length)
  // Work on this thread would leave one turn or two to each call. A machine that is busy may too, but not always.
  const enough = 10
  const calls = 50

  test.each(['forwardAsync', 'forwardAsync in eval', 'backwardAsync'])(
    'turns during %s of 16 MiB',
    async (name) => {
      const [module, twin] = [trained(columns), trained(columns)]
      for (const each of [module, twin]) each.forward(input, { out })
      if (name === 'forwardAsync in eval') for (const each of [module, twin]) each.eval()
      const method = name === 'backwardAsync' ? 'backward' : 'forward'

      let mostTurns = 0
      for (let call = 0; call < calls && mostTurns <= enough; call++) {
        let turns = 0
        let isPending = true
        const pending = module[`${method}Async`](input, { out }).finally(() => {
          isPending = false
        })
        while (isPending) {
          await setImmediate()
          turns++
        }
        mostTurns = Math.max(mostTurns, turns)
        const result = copyOf(await pending)
        expectSameBits(result, twin[method](input, { out }))
      }
      expect(snapshot(module)).toEqual(snapshot(twin))
      expect(mostTurns).toBeGreaterThan(enough)
    },
  )
})
