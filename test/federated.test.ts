/** Statistics of clients are pooled as if one had seen all their data, and a client that lies is named. */
import { describe, expect, test } from 'vitest'
import {
  type BatchNorm,
  BatchNorm1d,
  batchNormState,
  decodeSafetensors,
  encodeSafetensors,
  federatedKeys,
  Moments,
  type MomentsJSON,
  type PoolClient,
  pool,
  recalibrate,
  type State,
  type StateValue,
  type Tensor,
  type TensorData,
  tensor,
} from '../lib/index.ts'
import { describeEachBackend } from './support/backends.ts'
import { difference } from './support/bits.ts'
import { type Kind, values } from './support/data.ts'
import { below, filled, normal, normal64, samplesOf, trained } from './support/module.ts'
import { Random } from './support/random.ts'

const overTheWire = <Value>(value: unknown) => JSON.parse(JSON.stringify(value)) as Value
const asFile = (state: Record<string, Tensor<TensorData>>) => decodeSafetensors(encodeSafetensors(state))

/** Rows in parts of these sizes. */
function cut(x: Tensor, sizes: readonly number[]): Tensor[] {
  let end = 0
  return sizes.map((size) => {
    end += size
    return samplesOf(x, end - size, end)
  })
}

function expectSameTotals(actual: Moments, expected: Moments): void {
  const [one, other] = [actual.total(), expected.total()]
  expect(one.count).toBe(other.count)
  expect(difference(one.mean, other.mean)).toBeNull()
  expect(difference(one.m2, other.m2)).toBeNull()
}

/** A module that has seen one batch, with all its weight. */
function thatSaw(x: Tensor<Float32Array> | Tensor<Float64Array>): BatchNorm {
  const options = { momentum: 1, dtype: x.dtype as 'float32' }
  const bn = new BatchNorm1d(x.shape[1], options)
  bn.forward(x as Tensor)
  return bn
}

/** The union of states in plain float64: n, mean and variance of each client and channel. */
function unionOf(clients: readonly (readonly [count: number, mean: number, variance: number])[]) {
  const count = clients.reduce((sum, [n]) => sum + n, 0)
  const mean = clients.reduce((sum, [n, each]) => sum + (n / count) * each, 0)
  const m2 = clients.reduce((sum, [n, each, variance]) => {
    return sum + (n === 0 ? 0 : variance * (n - 1) + n * (each - mean) ** 2)
  }, 0)
  return { mean, variance: m2 / (count - 1) }
}

describeEachBackend('pool', () => {
  const kinds: Kind[] = ['normal', 'offset 1e6', 'outlier', 'sorted', 'scale 1e-20']

  test.each(kinds.flatMap((kind) => [[kind, [300, 1, 47, 2]] as const, [kind, [64, 64, 64]] as const]))(
    'moments, also as JSON, give the bits of one Moments that saw all: %s, %j',
    (kind, sizes) => {
      const rows = sizes.reduce((sum, size) => sum + size, 0)
      const x = tensor(values(kind, { outer: rows, channels: 5, inner: 1 }, 1), [rows, 5])
      const batches = cut(x, sizes)
      const all = new Moments(5)
      for (const batch of batches) all.update(batch)
      const clients = batches.map((batch) => Moments.of(batch))
      expectSameTotals(pool(clients.map((moments) => ({ moments }))).moments, all)
      const sent = clients.map((moments) => ({ moments: overTheWire<MomentsJSON>(moments) }))
      expectSameTotals(pool(sent).moments, all)
    },
  )

  test('moments of whole segments: the bits of one module that saw all', () => {
    const x = normal([5000, 64], 2)
    const whole = thatSaw(x)
    const { state } = pool(cut(x, [2048, 2048, 904]).map((batch) => ({ moments: Moments.of(batch) })))
    const bn = new BatchNorm1d(64)
    expect(bn.loadStateDict(state, { strict: false }).unexpectedKeys).toEqual([])
    expect(difference(bn.runningMean.data, whole.runningMean?.data as Float32Array)).toBeNull()
    expect(difference(bn.runningVar.data, whole.runningVar?.data as Float32Array)).toBeNull()
  })

  test.each([0, 3, 1e6])('states: one float64 module that saw all, with means %d apart', (apart) => {
    const sizes = [100, 7, 412]
    const parts = sizes.map((size, client) => {
      const { data, shape } = normal64([size, 5], client)
      return tensor(
        data.map((value) => value + client * apart),
        shape,
      )
    })
    const all = thatSaw(tensor(Float64Array.from(parts.flatMap(({ data }) => [...data])), [519, 5]))
    const clients = parts.map((x) => ({ state: thatSaw(x).stateDict(), count: x.shape[0] }))
    const { state } = pool(clients)
    const { running_mean: mean, running_var: variance } = state
    all.runningVar?.data.forEach((expected, channel) => {
      // The promise of docs/accuracy.md for float64, and the rounding of the clients' means.
      const rounding = 2 ** -53 * 2 * apart * Math.sqrt(expected)
      expect(Math.abs((variance.data[channel] as number) - expected)).toBeLessThan(
        2e-14 * expected + 4 * rounding,
      )
      const expectedMean = all.runningMean?.data[channel] as number
      expect(Math.abs((mean.data[channel] as number) - expectedMean)).toBeLessThan(
        2e-14 * Math.sqrt(expected) + 2 ** -52 * 2 * apart,
      )
    })
  })

  test('states of any history: what their numbers say, the spread of the means included', () => {
    const clients = [1, 2, 3, 4].map((seed) => {
      const bn = filled(new BatchNorm1d(3))
      bn.forward(normal([20, 3], seed))
      return { bn, count: [1, 0, 1000, 2 ** 40][seed - 1] }
    })
    const { state, moments } = pool(clients.map(({ bn, count }) => ({ state: bn.stateDict(), count })))
    expect(moments.count).toBe(1001 + 2 ** 40)
    for (let channel = 0; channel < 3; channel++) {
      const { mean, variance } = unionOf(
        clients.map(({ bn, count }) => [count, bn.runningMean.data[channel], bn.runningVar.data[channel]]),
      )
      expect(Math.abs((state.running_mean.data[channel] as number) - mean)).toBeLessThan(1e-15)
      expect(Math.abs((state.running_var.data[channel] as number) / variance - 1)).toBeLessThan(1e-14)
    }
  })

  test.each(['unbiased', 'biased'] as const)('two clients by hand, %s in and out', (variance) => {
    // 0 0 0 and 8: mean 2, M2 48; of the first M2 is 0, of the second too.
    const zeros = { state: { running_mean: [0], running_var: [0] }, count: 3 }
    const eight = { state: { running_mean: [8], running_var: [0] }, count: 1 }
    const { state } = pool([zeros, eight], { storedVariance: variance })
    expect([...state.running_mean.data, ...state.running_var.data]).toEqual([
      2,
      variance === 'biased' ? 12 : 16,
    ])
    // 1 3 and 5 7: M2 2 each.
    const two = (mean: number) => ({
      state: { running_mean: [mean], running_var: [variance === 'biased' ? 1 : 2] },
      count: 2,
    })
    expect(pool([two(2), two(6)], { storedVariance: variance }).moments.total().m2[0]).toBe(20)
  })

  /** Means 1e8 + 0 to 127, variances of integers: the exact answer is a matter of integers, as in moments.test.ts. */
  test('thousands of clients with an offset cost no digits', () => {
    const random = new Random(5)
    const offset = 1e8
    let [sum, squares] = [0n, 0n]
    const clients = Array.from({ length: 3000 }, (): PoolClient => {
      const [mean, variance, count] = [random.below(128), random.below(1000), 1 + random.below(500)]
      sum += BigInt(mean * count)
      squares += BigInt(mean * mean * count + variance * (count - 1))
      return { state: { running_mean: [offset + mean], running_var: [variance] }, count }
    })
    const { moments } = pool(clients)
    const n = BigInt(moments.count)
    const mean = offset + Number(sum) / moments.count
    const variance = Number(((n * squares - sum * sum) << 60n) / (n * (n - 1n))) / 2 ** 60
    const rounding = 2 * Math.log2(3000) * 2 ** -53
    expect(Math.abs(moments.mean[0] - mean)).toBeLessThanOrEqual(2 ** -52 * mean)
    const error = Math.abs(moments.variance({ unbiased: true })[0] - variance)
    expect(error).toBeLessThanOrEqual(8 * rounding * variance)
  })

  test('means 1e150 apart have a variance, and equal ones of 1e308 none', () => {
    const client = (mean: number) => ({ state: { running_mean: [mean], running_var: [0] }, count: 2 ** 20 })
    const { state } = pool([client(-5e149), client(5e149)])
    expect(state.running_var.data[0]).toBeCloseTo((2.5e299 * 2 ** 21) / (2 ** 21 - 1), -287)
    expect(pool([client(1e308), client(1e308), client(1e308)]).moments.total().m2[0]).toBe(0)
  })

  test('one client gets its own statistics back, to the bit of its type', () => {
    const bn = trained(7)
    const { state } = pool([{ state: bn.stateDict(), count: 9 }])
    const other = new BatchNorm1d(7)
    other.loadStateDict(state, { strict: false })
    for (const key of ['running_mean', 'running_var', 'num_batches_tracked']) {
      expect(other.stateDict()[key]).toEqual(bn.stateDict()[key])
    }
  })

  test('after recalibrate on each client: a forward of the union, in float32', async () => {
    const parts = cut(normal([300, 5], 3), [10, 200, 90])
    const clients = await Promise.all(
      parts.map(async (x) => {
        const bn = new BatchNorm1d(5, { dtype: 'float32' })
        await recalibrate(bn, cut(x, [4, x.shape[0] - 4]))
        return { state: bn.stateDict(), count: x.shape[0] }
      }),
    )
    const { state } = pool(clients)
    const whole = thatSaw(normal([300, 5], 3))
    whole.runningVar?.data.forEach((variance, channel) => {
      expect(Math.abs((state.running_var.data[channel] as number) / variance - 1)).toBeLessThan(1e-6)
      const mean = whole.runningMean?.data[channel] as number
      expect(Math.abs((state.running_mean.data[channel] as number) - mean)).toBeLessThan(1e-6)
    })
  })
})

/** A network's state: two batch norms of other sizes, a layer norm and a linear layer. */
function model(seed: number): Record<string, Tensor<TensorData>> {
  const [one, two] = [new BatchNorm1d(4), new BatchNorm1d(2, { positiveScale: true })]
  one.forward(normal([10, 4], seed))
  two.forward(normal([10, 2], seed + 1))
  return Object.fromEntries([
    ['fc.weight', normal([4, 3], 1)],
    ['fc.bias', normal([4], 2)],
    ...below('body.bn', one),
    ['norm.weight', normal([4], 3)],
    ['norm.bias', normal([4], 4)],
    ...below('head.bn', two),
  ])
}

describe('whole models', () => {
  const models = [1, 3, 5].map(model)
  const counts = [100, 20, 3000]
  const pooled = pool(models.map((state, client) => ({ state, count: counts[client] })))

  test('each batch norm under its key, as if it were pooled alone', () => {
    expect([...pooled.batchNorms.keys()]).toEqual(['body.bn', 'head.bn'])
    const keys = ['running_mean', 'running_var', 'num_batches_tracked']
    expect(Object.keys(pooled.state)).toEqual(
      ['body.bn', 'head.bn'].flatMap((prefix) => keys.map((key) => `${prefix}.${key}`)),
    )
    for (const prefix of ['body.bn', 'head.bn']) {
      const clients = models.map((state, client) => ({
        state: batchNormState(asFile(state), prefix),
        count: counts[client],
      }))
      const { state, moments } = pool(clients)
      for (const key of keys) expect(pooled.state[`${prefix}.${key}`]).toEqual(state[key])
      expectSameTotals(pooled.batchNorms.get(prefix) as Moments, moments)
    }
    expect(() => pooled.moments).toThrow(
      "Expected pooled.moments to be asked for one batch norm but received ['body.bn', 'head.bn'] (batchNorms.get('body.bn')",
    )
  })

  test('files and JSON over the wire, there and back, to the same bits', () => {
    const ways = [asFile, overTheWire<State>]
    for (const way of ways) {
      const clients = models.map((state, client) => ({ state: way(state), count: counts[client] }))
      expect(pool(clients).state).toEqual(pooled.state)
    }
    const full = { ...models[0], ...pooled.state }
    for (const prefix of ['body.bn', 'head.bn']) {
      const positiveScale = prefix === 'head.bn'
      const [one, other] = [0, 1].map(() => new BatchNorm1d(positiveScale ? 2 : 4, { positiveScale }))
      one.loadStateDict(batchNormState(asFile(full), prefix))
      const { state } = pool(
        models.map((each, client) => ({
          state: batchNormState(asFile(each), prefix),
          count: counts[client],
        })),
      )
      other.loadStateDict(overTheWire<State>({ ...batchNormState(asFile(models[0]), prefix), ...state }))
      expect(one.stateDict()).toEqual(other.stateDict())
    }
  })

  test('counts by prefix are those of each batch norm', () => {
    const each = pool(
      models.map((state, client) => ({
        state,
        count: { 'head.bn': counts[client], 'body.bn': 16 * counts[client] },
      })),
    )
    expect(each.batchNorms.get('body.bn')?.count).toBe(16 * 3120)
    expect(each.state['head.bn.running_var']).toEqual(pooled.state['head.bn.running_var'])
  })
})

describe('the counter of batches', () => {
  const client = (batches?: StateValue, count = 5): PoolClient => ({
    state: {
      running_mean: [0],
      running_var: [1],
      ...(batches !== undefined && { num_batches_tracked: batches }),
    },
    count,
  })
  test.each<[string, PoolClient[], unknown]>([
    ['is the sum', [client(2), client(3n), client([4])], 9n],
    ['exactly', [client(2n ** 62n), client(1)], 2n ** 62n + 1n],
    ['is not told where a client does not tell', [client(2), client(undefined)], undefined],
    ['of clients that saw something', [client(2), client(undefined, 0), client(7, 0)], 2n],
    ['is not told by moments', [client(2), { moments: Moments.of(tensor([[1], [2]])) }], undefined],
  ])('%s', (_, clients, expected) => {
    expect(pool(clients).state.num_batches_tracked?.data[0]).toBe(expected)
  })
})

test('a client that saw nothing contributes nothing', () => {
  const saw = { moments: Moments.of(normal([20, 3], 1)) }
  const nothing = { state: { running_mean: [9, 9, 9], running_var: [9, 9, 9] }, count: 0 }
  for (const clients of [
    [saw, nothing],
    [nothing, saw, { moments: new Moments(3) }],
  ]) {
    expectSameTotals(pool(clients).moments, saw.moments)
  }
})

describe('what cannot be is named, with its place and its client', () => {
  const good = () => ({ state: trained(3).stateDict() as State, count: 9 })
  const moments = Moments.of(normal([20, 3], 1))
  const json = (change: object) => {
    const { parts, ...rest } = overTheWire<MomentsJSON>(moments)
    return { ...rest, parts: [{ ...parts[0], ...change }] } as MomentsJSON
  }
  const lying = (key: string, value: unknown) => ({
    state: { ...good().state, [key]: value } as State,
    count: 9,
  })
  const variances = (value: unknown) => lying('running_var', [1, value, 1])

  test.each<[string, object, string]>([
    [
      'a negative variance',
      variances(-1),
      '.state.running_var[1] to be a finite number, at least 0, but received -1',
    ],
    [
      'NaN',
      variances(Number.NaN),
      '.state.running_var[1] to be a finite number, at least 0, but received NaN',
    ],
    [
      'Infinity',
      lying('running_mean', [0, 0, Number.POSITIVE_INFINITY]),
      '.state.running_mean[2] to be a finite number but received Infinity',
    ],
    [
      'a variance that is too large',
      variances(1e308),
      '.state.running_var[1] to be a variance that fits float64 8 times',
    ],
    ['no number', variances('1'), ".state.running_var[1] to be a number but received '1'"],
    [
      'integers',
      lying('running_mean', new BigInt64Array(3)),
      '.state.running_mean[0] to be a number but received 0n',
    ],
    ['too few', lying('running_var', [1, 1]), '.state.running_var of shape [3] but received [2]'],
    [
      'another shape',
      lying('running_mean', tensor([[1, 2, 3]])),
      '.state.running_mean of shape [C] but received [1, 3]',
    ],
    [
      'less than the shape says',
      lying('running_mean', { data: [1], shape: [3] }),
      '.state.running_mean to be of length 3',
    ],
    [
      'nothing',
      lying('running_mean', null),
      '.state.running_mean to be numbers of shape [C] but received null',
    ],
    [
      'a counter below 0',
      lying('num_batches_tracked', -1),
      '.state.num_batches_tracked to be one integer, at least 0, that fits int64, but received -1',
    ],
    ['two counters', lying('num_batches_tracked', [1, 2]), '.state.num_batches_tracked to be one integer'],
    [
      'other channels',
      { state: trained(4).stateDict(), count: 9 },
      "'running_mean' of clients[1] to be 3, as of clients[0], but received 4",
    ],
    [
      'no statistics',
      { state: { weight: [1, 1, 1] }, count: 9 },
      ".state to be one with the running_mean and running_var of a batch norm but received ['weight']",
    ],
    [
      'half of them',
      { state: { 'a.running_mean': [1], ...good().state, running_var: undefined }, count: 9 },
      '.state.running_var to be numbers of shape [C] but received undefined',
    ],
    [
      'another batch norm',
      { state: Object.fromEntries(below('bn', trained(3))), count: 9 },
      "batch norms of clients[1] to be those of clients[0], with 'running_mean', but received ['bn']",
    ],
    [
      'one too many',
      { state: { ...good().state, 'b.running_mean': [1], 'b.running_var': [1] }, count: 9 },
      "those of clients[0], without 'b.running_mean', but received ['', 'b']",
    ],
    [
      'a negative count',
      { ...good(), count: -1 },
      '.count to be an integer from 0 to 9007199254740991 but received -1',
    ],
    ['half a value', { ...good(), count: 0.5 }, '.count to be an integer from 0 to'],
    ['no end of values', { ...good(), count: Number.POSITIVE_INFINITY }, '.count to be an integer from 0 to'],
    ['NaN values', { ...good(), count: Number.NaN }, '.count to be an integer from 0 to'],
    ['a bigint', { ...good(), count: 5n }, '.count to be an integer from 0 to'],
    ['no count', { state: good().state }, '.count to be an integer from 0 to'],
    [
      'a count of another batch norm',
      { ...good(), count: { bn: 3 } },
      ".count to be a count, or one for each of ['']",
    ],
    [
      'a count by prefix that is none',
      { ...good(), count: { '': -3 } },
      ".count[''] to be an integer from 0 to",
    ],
    [
      'counts beyond exactness',
      { ...good(), count: Number.MAX_SAFE_INTEGER },
      'the counts up to clients[1], added up, to be an integer from 0 to 9007199254740991 but received 9007199254741000',
    ],
    [
      'moments with M2 below 0',
      { moments: json({ m2: [1, -2, 3] }) },
      '.moments.parts[0].m2[1] to be at least 0 but received -2',
    ],
    [
      'moments with NaN',
      { moments: json({ mean: ['NaN', 0, 0] }) },
      '.moments.mean[0] to be a finite number but received NaN',
    ],
    [
      'moments with an infinite M2',
      { moments: json({ m2: [0, 0, 'Infinity'] }) },
      'M2 of clients[1].moments in channel 2 to be a finite number but received Infinity',
    ],
    [
      'moments with an infinite low part',
      { moments: json({ meanLow: ['Infinity', 0, 0] }) },
      '.moments.mean[0] to be a finite number',
    ],
    [
      'moments of half a value',
      { moments: json({ count: 0.5 }) },
      '.moments.parts[0].count to be a positive integer but received 0.5',
    ],
    [
      'moments that are damaged',
      { moments: json({ mean: [1, 2] }) },
      '.moments.parts[0].mean to be of length 3',
    ],
    [
      'moments without parts',
      { moments: { channels: 3, layout: 'channels-first' } },
      '.moments.parts to be an array but received undefined',
    ],
    [
      'moments of NaN',
      { moments: Moments.of(tensor([[Number.NaN, 0, 0]])) },
      '.moments.mean[0] to be a finite number but received NaN',
    ],
    [
      'moments of other channels',
      { moments: new Moments(2) },
      "'running_mean' of clients[1] to be 3, as of clients[0], but received 2",
    ],
    ['both', { ...good(), moments }, 'agree but received moments with state'],
    ['a count for moments', { moments, count: 20 }, 'agree but received moments with count'],
    ['neither', { count: 20 }, 'clients[1] to be an object with moments, or with state and count'],
    ['an option that is none', { moments, weight: 1 }, 'clients[1] to be among name, moments, state, count'],
    [
      'a Map',
      { state: new Map(Object.entries(good().state)), count: 9 },
      '.state to be an object of tensors but received a Map (Object.fromEntries',
    ],
  ])('%s', (_, client, message) => {
    const call = () => pool([good(), { name: 'berlin', ...client } as PoolClient])
    expect(call).toThrow(message.startsWith('.') ? `Expected clients[1]${message}` : message)
    expect(call).toThrow(/^Expected .* \(client 'berlin'\)$/)
  })

  test.each<[string, () => unknown, string]>([
    ['no clients', () => pool([]), 'Expected clients to be an array of at least one client but received []'],
    [
      'a client alone',
      () => pool({ moments } as never),
      'Expected clients to be an array of at least one client',
    ],
    ['a hole', () => pool(Array(2 ** 31)), 'Expected clients[0] to be an object but received undefined'],
    [
      'a name that is none',
      () => pool([{ moments, name: 3 as never }]),
      'Expected clients[0].name to be a string but received 3',
    ],
    [
      'another variance',
      () => pool([{ moments }], { storedVariance: 'sample' as never }),
      'Expected storedVariance to be one of unbiased, biased',
    ],
    [
      'no values in all',
      () => pool([{ ...good(), count: 0 }]),
      "Expected the counts of 'running_mean' to be above 0 for one client at least but received 0",
    ],
    [
      'one value in all',
      () => pool([{ ...good(), count: 1 }]),
      'Expected more than 1 value a channel for an unbiased variance',
    ],
    [
      'a sum of batches beyond int64',
      () =>
        pool([1, 2].map(() => ({ ...good(), state: { ...good().state, num_batches_tracked: 2n ** 62n } }))),
      'num_batches_tracked up to clients[1], added up, to be an int64 but received 9223372036854775808n',
    ],
    [
      'means too far apart',
      () =>
        pool(
          [-1, 1].map((sign) => ({ state: { running_mean: [sign * 1e200], running_var: [0] }, count: 2 })),
        ),
      "Expected the pooled 'running_var' in channel 0 to be of a sum of squares that fits float64 but received Infinity",
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })
})

describe('federatedKeys', () => {
  const state = model(1)
  const others = ['fc.weight', 'fc.bias', 'norm.weight', 'norm.bias']
  const learned = ['body.bn.weight', 'body.bn.bias', 'head.bn.weight', 'head.bn.bias', 'head.bn.raw_weight']
  const statistics = ['body.bn', 'head.bn'].flatMap((prefix) =>
    ['running_mean', 'running_var', 'num_batches_tracked'].map((key) => `${prefix}.${key}`),
  )

  test.each([
    ['fedbn', others, [...learned, ...statistics]],
    ['silobn', [...others, ...learned], statistics],
  ] as const)('%s, of a state dict and of a file', (method, shared, local) => {
    for (const given of [state, asFile(state), overTheWire<State>(state)]) {
      const keys = federatedKeys(given, method)
      expect(new Set(keys.shared)).toEqual(new Set(shared))
      expect(new Set(keys.local)).toEqual(new Set(local))
      expect(keys.shared.length + keys.local.length).toBe(Object.keys(state).length)
    }
  })

  test('what is shared goes over the wire, and what is local stays', () => {
    const [mine, theirs] = [model(1), model(7)]
    const { shared, local } = federatedKeys(theirs, 'silobn')
    const sent = asFile(Object.fromEntries(shared.map((key) => [key, theirs[key]])))
    const received = Object.fromEntries([...sent.tensors].map(([key, stored]) => [key, stored.read()]))
    const mixed = { ...mine, ...received }
    for (const key of shared) expect(mixed[key]).toEqual(theirs[key])
    for (const key of local) expect(mixed[key]).toBe(mine[key])
  })

  test.each<[string, () => unknown, string]>([
    [
      'no state',
      () => federatedKeys(null as never, 'fedbn'),
      'Expected state to be an object of tensors but received null',
    ],
    [
      'another method',
      () => federatedKeys(state, 'fedavg' as never),
      "Expected method to be one of fedbn, silobn but received 'fedavg'",
    ],
    [
      'no batch norm',
      () => federatedKeys({ weight: [1], running_mean: [1] }, 'fedbn'),
      "Expected state to be one with the running_mean and running_var of a batch norm but received ['weight', 'running_mean']",
    ],
  ])('%s is an error', (_, call, message) => {
    expect(call).toThrow(message)
  })
})
