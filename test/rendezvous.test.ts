/** How ranks find each other, and what launchers tell them. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { gloo } from '../lib/distributed/index.ts'
import { placeOf } from '../lib/distributed/launcher.ts'
import { Deadline } from '../lib/distributed/rendezvous/exchange.ts'
import { checkedJobId, type Rendezvous, rendezvousAt } from '../lib/distributed/rendezvous/rendezvous.ts'
import { temporaryFolder } from './support/rank-processes.ts'

const hasRedis = spawnSync('redis-server', ['--version']).status === 0
if (!hasRedis) console.warn('NOT TESTED: rendezvous by Redis. apt-get install redis-server')

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

let redis: ReturnType<typeof spawn> | undefined
const places: Record<string, string> = { file: `file:${temporaryFolder()}` }

beforeAll(async () => {
  places.tcp = `tcp://localhost:${await freePort()}`
  if (!hasRedis) return
  const port = await freePort()
  places.redis = `redis://127.0.0.1:${port}`
  redis = spawn('redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1'], {
    stdio: 'ignore',
  })
})
afterAll(() => redis?.kill('SIGKILL'))

let jobs = 0
const newJob = () => `job-${jobs++}`

/** Some ranks of a job bring their values. */
function meet(
  place: string,
  ranks: readonly number[],
  { jobId = newJob(), size = 3, timeoutMs = 60_000, sizeOf = (_: number) => size } = {},
) {
  const rendezvous: Rendezvous = rendezvousAt(places[place])
  const values = ranks.map((rank) =>
    rendezvous({
      rank,
      size: sizeOf(rank),
      jobId,
      value: Buffer.from([rank, 0, 255]),
      deadline: new Deadline(timeoutMs),
    }),
  )
  return Promise.allSettled(values)
}

const errors = (ends: PromiseSettledResult<unknown>[]) =>
  ends.map((end) => (end.status === 'rejected' ? `${end.reason.code}: ${end.reason.message}` : 'none'))

describe.each(hasRedis ? ['file', 'tcp', 'redis'] : ['file', 'tcp'])('by %s', (place) => {
  test('each rank gets the values of all', async () => {
    const all = [0, 1, 2].map((rank) => Buffer.from([rank, 0, 255]))
    for (const end of await meet(place, [2, 0, 1])) expect(end).toEqual({ status: 'fulfilled', value: all })
  })

  test('ranks that do not come are named', async () => {
    const [one] = errors(await meet(place, [0, 2], { timeoutMs: 1000 }))
    expect(one).toMatch(/^ERR_COLLECTIVE_TIMEOUT.* all 3 ranks .* 1000 ms but rank 1 is missing/)
    const ends = errors(await meet(place, [0], { timeoutMs: 1000, size: 40 }))
    expect(ends[0]).toMatch(/39 are missing, ranks 1, 2, .*, 16, \.\.\. /)
  })

  test('a rank of another size is an error on all that see it', async () => {
    const ends = errors(await meet(place, [0, 1], { size: 2, sizeOf: (rank) => 2 + rank, timeoutMs: 1000 }))
    expect(ends[0]).toMatch(/^ERR_COLLECTIVE_MISMATCH.* rank 0 has size 2, and rank 1 has size 3/)
    expect(ends[1]).toMatch(/^ERR_COLLECTIVE_MISMATCH/)
  })
})

test.each(hasRedis ? ['file', 'redis'] : ['file'])('by %s, an old jobId is refused', async (place) => {
  const jobId = newJob()
  expect(errors(await meet(place, [0, 1, 2], { jobId }))).toEqual(['none', 'none', 'none'])
  for (const end of errors(await meet(place, [0, 1, 2], { jobId }))) {
    expect(end).toMatch(/^ERR_COLLECTIVE_MISMATCH.*'job-\d+'.*take another jobId/)
  }
})

describe('by tcp', () => {
  test('whoever does not belong there is sent away, and the others meet', async () => {
    const { hostname, port } = new URL(places.tcp)
    const jobId = newJob()
    const early = meet('tcp', [0], { jobId })
    const strangers = await Promise.all(
      ['GET / HTTP/1.1\r\n\r\n', '\n', '{}\n', 'null\n', '{"rank":1}\n'].map(async (text) => {
        const socket = connect(Number(port), hostname)
        socket.on('error', () => {})
        socket.end(text)
        socket.resume()
        await once(socket, 'close')
        return 'closed'
      }),
    )
    expect(new Set(strangers)).toEqual(new Set(['closed']))
    const [other] = errors(await meet('tcp', [1], { jobId: newJob() }))
    expect(other).toMatch(/^ERR_COLLECTIVE_MISMATCH.* as that of rank 0, but rank 1 has/)
    const late = meet('tcp', [1, 2], { jobId })
    expect(errors([...(await early), ...(await late)])).toEqual(['none', 'none', 'none'])
  })

  test('rank 0 says so where the port is taken, and the others where nobody answers', async () => {
    const server = createServer().listen(Number(new URL(places.tcp).port))
    await once(server, 'listening')
    const [first] = errors(await meet('tcp', [0], { timeoutMs: 200 }))
    server.close()
    await once(server, 'close')
    expect(first).toMatch(/^ERR_COLLECTIVE_UNAVAILABLE.*EADDRINUSE.*take another port/)
    const [other] = errors(await meet('tcp', [1], { timeoutMs: 200 }))
    expect(other).toMatch(/^ERR_COLLECTIVE_TIMEOUT.*rank 0 is missing .*nobody answers at localhost:\d+/)
  })
})

describe('the environment', () => {
  afterEach(() => vi.unstubAllEnvs())
  const set = (variables: Record<string, string>) => {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  }

  test.each<[string, Record<string, string>]>([
    ["PyTorch's launchers", { RANK: '1', WORLD_SIZE: '3' }],
    ["OpenMPI's mpirun", { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '3' }],
    ["MPICH's mpirun", { PMI_RANK: '1', PMI_SIZE: '3' }],
    ['the first that is set', { RANK: '1', WORLD_SIZE: '3', PMI_RANK: '0', PMI_SIZE: '9' }],
  ])('of %s tells rank and size', (_, variables) => {
    set(variables)
    expect(placeOf({})).toEqual({ rank: 1, size: 3 })
    expect(placeOf({ rank: 2 })).toEqual({ rank: 2, size: 3 })
  })

  const job = { rank: 0, size: 2, jobId: 'job', rendezvous: 'file:/dir' }
  test.each<[object, Record<string, string>, RegExp]>([
    [{}, {}, /size to be an integer but received undefined \(or set WORLD_SIZE/],
    [{ size: 2 }, {}, /rank to be an integer but received undefined \(or set RANK/],
    [{ size: 2 }, { RANK: 'one' }, /variable RANK to be an integer but received 'one'/],
    [{ rank: 0 }, { WORLD_SIZE: '-1' }, /variable WORLD_SIZE to be an integer but received '-1'/],
    [{ size: 2 }, { RANK: '2' }, /rank to be an integer from 0 to 1, .* 2 \(it is RANK of the environment\)/],
    [{ rank: 0, size: 0 }, {}, /size to be an integer from 1 to 262144 but received 0/],
    [{ rank: '0', size: 2 }, {}, /rank to be an integer from 0 to 1, .* but received '0'/],
    [{ rank: 0, size: 2 }, {}, /rendezvous to be a URL, .*; MASTER_ADDR is not set/],
    [{ rank: 0, size: 2 }, { MASTER_ADDR: 'host' }, /MASTER_PORT is not set/],
    [{ ...job, rendezvous: 'dir' }, {}, /rendezvous to be a URL, such as .* but received 'dir'/],
    [{ ...job, rendezvous: 'http://host' }, {}, /rendezvous to be a URL, such as .* 'http:\/\/host'/],
    [{ ...job, rendezvous: 'tcp://host' }, {}, /rendezvous to be tcp:\/\/host:port but received/],
    [{ ...job, jobId: undefined }, {}, /jobId to be letters, .* but received undefined/],
    [{ ...job, jobId: '../etc' }, {}, /jobId to be letters, .* but received '..\/etc'/],
    [{ ...job, timeoutMs: 0 }, {}, /timeoutMs to be a positive integer but received 0/],
    [{ ...job, timeout: 3 }, {}, /options to be among .*timeoutMs but received 'timeout'/],
  ])('with %o and %o is an error that says what to set', async (options, variables, message) => {
    set(variables)
    await expect(gloo(options)).rejects.toThrow(message)
  })
})

test.each(['.', '..', 'a/b', '', ' '])('%o is no jobId', (jobId) => {
  expect(() => checkedJobId(jobId)).toThrow(/jobId/)
})
