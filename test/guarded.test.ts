/** The guard above every engine, on ranks of one process. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { Collective } from '../lib/distributed/collective.ts'
import { CollectiveError } from '../lib/distributed/collective-error.ts'
import type { Engine } from '../lib/distributed/engine.ts'
import { guarded } from '../lib/distributed/guarded.ts'
import { differences, headerOf, type Operation } from '../lib/distributed/header.ts'
import { solo } from '../lib/distributed/index.ts'
import { localEngines } from './support/local-engine.ts'

let ranks: Collective[]
beforeEach(() => {
  ranks = localEngines(3).map(guarded)
})

const all = <Result>(call: (collective: Collective) => Promise<Result>) => Promise.allSettled(ranks.map(call))
const codes = (ends: PromiseSettledResult<unknown>[]) =>
  ends.map((end) => (end.status === 'rejected' ? end.reason.code : 'none'))
const threeTimes = (code: string) => [code, code, code].map((each) => `ERR_COLLECTIVE_${each}`)

test('operations run in the order in which they are called, whatever else waits', async () => {
  const values = ranks.map(({ rank }) =>
    Array.from({ length: 50 }, (_, index) => Float64Array.of(rank, index)),
  )
  await all((collective) =>
    Promise.all(values[collective.rank].map((each) => collective.allReduceSumAsync(each))),
  )
  const sums = Array.from({ length: 50 }, (_, index) => [3, 3 * index])
  for (const ofRank of values) expect(ofRank.map((each) => [...each])).toEqual(sums)
})

test.each<[string, (rank: number) => [number, string]]>([
  ['length', (rank) => [rank === 1 ? 4 : 3, 'key']],
  ['key', (rank) => [3, rank === 2 ? 'other' : 'key']],
  ['key and length', (rank) => [3 + rank, `key ${rank}`]],
])('another %s on one rank is an error on all, for good', async (what, operationOf) => {
  const ends = await all((collective) => {
    const [length, key] = operationOf(collective.rank)
    return collective.allReduceSumAsync(new Float64Array(length), key)
  })
  expect(codes(ends)).toEqual(threeTimes('MISMATCH'))
  for (const [rank, end] of ends.entries()) {
    const [length, key] = operationOf(rank)
    const { message } = (end as PromiseRejectedResult).reason
    expect(message).toContain(`another ${what} on some: rank ${rank} is in operation number 0`)
    expect(message).toContain(`with the key '${key}' and ${length} values`)
  }
  const afterwards = await all((collective) => collective.allReduceSumAsync(new Float64Array(1)))
  expect(codes(afterwards)).toEqual(threeTimes('CLOSED'))
  for (const [rank, end] of afterwards.entries()) {
    expect((end as PromiseRejectedResult).reason.cause).toBe((ends[rank] as PromiseRejectedResult).reason)
  }
})

describe('a header', () => {
  const operation: Operation = { number: 2, key: 'layer1', length: 2 ** 40 + 3 }
  const others: [string[], Operation][] = [
    [['length'], { ...operation, length: 3 }],
    [['length'], { ...operation, length: operation.length + 1 }],
    [['key'], { ...operation, key: 'layer2' }],
    [['number'], { ...operation, number: 3 }],
    [['number', 'key', 'length'], { number: 0, key: '', length: 0 }],
  ]

  /** The sum over ranks of which one is in another operation. */
  function summed(size: number, other: Operation): Float64Array {
    const header = headerOf(operation)
    const one = headerOf(other)
    return header.map((value, index) => (size - 1) * value + one[index])
  }

  test.each([2, 3, 1000, 2 ** 18])('of %i ranks tells what differs on one, and nothing else', (size) => {
    expect(differences(summed(size, operation), size)).toEqual([])
    for (const [what, other] of others) expect(differences(summed(size, other), size)).toEqual(what)
  })
})

test('a synchronous operation beside one under way says so, and harms nothing', async () => {
  const values = new Float64Array(1).fill(1)
  const first = ranks[0].allReduceSumAsync(values)
  expect(() => ranks[0].allReduceSum(new Float64Array(1))).toThrow(
    /idle .*another operation is under way \(await/,
  )
  await Promise.all([first, ...ranks.slice(1).map((each) => each.allReduceSumAsync(Float64Array.of(1)))])
  expect([...values]).toEqual([3])
})

test('values are in use until their operation ends, and are read when it is called', async () => {
  const values = Float64Array.of(1)
  const first = ranks[0].allReduceSumAsync(values)
  await expect(ranks[0].allReduceSumAsync(values)).rejects.toThrow(/values to be idle/)
  values[0] = 100
  await Promise.all([first, ...ranks.slice(1).map((each) => each.allReduceSumAsync(Float64Array.of(1)))])
  expect([...values]).toEqual([3])
})

test('values that are given away meanwhile are an error of their rank alone', async () => {
  const ends = await all((collective) => {
    const values = Float64Array.of(1)
    const end = collective.allReduceSumAsync(values)
    if (collective.rank === 0) structuredClone(values, { transfer: [values.buffer] })
    return end
  })
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  expect(codes(await all((collective) => collective.allReduceSumAsync(new Float64Array(2))))).toEqual([
    'none',
    'none',
    'none',
  ])
})

test('close fails what waits and what is queued, here and on the other ranks, and may be called twice', async () => {
  const ends = all(async (collective) => {
    const both = [1, 2].map((length) => collective.allReduceSumAsync(new Float64Array(length)))
    return (await Promise.allSettled(both)).map((end) => codes([end])[0])
  })
  // Rank 0's engine alone has been reached by all headers.
  ranks[0].close()
  ranks[0].close()
  const [first, ...others] = (await ends).map((end) => (end as PromiseFulfilledResult<string[]>).value)
  expect(first).toEqual(['ERR_COLLECTIVE_CLOSED', 'ERR_COLLECTIVE_CLOSED'])
  for (const each of others) expect(each).toEqual(['ERR_COLLECTIVE_PEER_LOST', 'ERR_COLLECTIVE_CLOSED'])
})

test('an engine that fails is closed, so that no other rank waits for this one', async () => {
  let closes = 0
  const failing: Engine = {
    rank: 0,
    size: 2,
    allReduceSum() {
      throw new CollectiveError('ERR_COLLECTIVE_TIMEOUT', 'late')
    },
    async allReduceSumAsync() {},
    close: () => closes++,
  }
  const collective = guarded(failing)
  expect(() => collective.allReduceSum(new Float64Array(1))).toThrow('late')
  expect(() => collective.allReduceSum(new Float64Array(1))).toThrow(/an earlier error has ended \(late\)/)
  collective.close()
  expect(closes).toBe(1)
})

function givenAway(): Float64Array {
  const values = new Float64Array(2)
  structuredClone(values, { transfer: [values.buffer] })
  return values
}

describe.each([1, 3])('with %i ranks', (size) => {
  const collective = () => guarded(localEngines(size)[0])

  test.each<[unknown, unknown, RegExp]>([
    [new Float32Array(2), 'key', /values to be a Float64Array .* a Float32Array of length 2/],
    [[1, 2], 'key', /values to be a Float64Array/],
    [givenAway(), 'key', /values .* memory is gone/],
    [new Float64Array(2), 3, /key to be a string .* 3/],
  ])('%o with the key %o is refused, and harms nothing', async (values, key, message) => {
    const one = collective()
    const call = [values, key] as [Float64Array, string]
    expect(() => one.allReduceSum(...call)).toThrow(message)
    await expect(one.allReduceSumAsync(...call)).rejects.toThrow(message)
    one.close()
    expect(() => one.allReduceSum(new Float64Array(1))).toThrow(/received one that was closed/)
  })
})

test('solo leaves values as they are', async () => {
  const collective = solo()
  const values = Float64Array.of(Number.NaN, -0, 3)
  collective.allReduceSum(values)
  await collective.allReduceSumAsync(values)
  expect([...values]).toEqual([Number.NaN, -0, 3])
  expect([collective.rank, collective.size]).toEqual([0, 1])
})
