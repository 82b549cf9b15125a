import type { Buffer } from 'node:buffer'
import { CollectiveError } from '../collective-error.ts'
import {
  announcement,
  type Exchange,
  missingRanks,
  oldJob,
  pauseMs,
  ranksWithout,
  valueIn,
} from './exchange.ts'

/** A job that is over is forgotten after a day. */
const secondsKept = 86_400

/** In a hash of a Redis server, which the ranks fill. */
export async function exchangeByRedis(url: string, exchange: Exchange): Promise<Buffer[]> {
  const { rank, size, jobId, deadline } = exchange
  const key = `batchnorm:${jobId}`
  const client = await connected(url, exchange)
  try {
    if (!(await client.hSetNX(key, String(rank), announcement(exchange)))) throw oldJob(exchange)
    await client.expire(key, secondsKept)
    do {
      // Counted first: the values of many ranks are long.
      if ((await client.hLen(key)) < size) continue
      const all = await client.hGetAll(key)
      return Array.from({ length: size }, (_, other) => valueIn(all[other] ?? refuse(key), exchange, other))
    } while (await deadline.pause())
    const there = await client.hGetAll(key)
    for (const [other, text] of Object.entries(there)) valueIn(text, exchange, Number(other))
    const missing = ranksWithout(size, (other) => String(other) in there)
    throw missingRanks(exchange, missing, `, in ${key}`)
  } catch (error) {
    throw error instanceof CollectiveError ? error : failed(error as Error)
  } finally {
    client.destroy()
  }
}

function failed(cause: Error): CollectiveError {
  const message = `Expected Redis to serve the rendezvous but received: ${cause.message}`
  return new CollectiveError('ERR_COLLECTIVE_UNAVAILABLE', message, { cause })
}

function refuse(key: string): never {
  throw new CollectiveError(
    'ERR_COLLECTIVE_MISMATCH',
    `Expected the ranks of one job in ${key} but received others`,
  )
}

/** Each attempt is a client of its own: one that has failed does not connect any more. */
async function connected(url: string, { deadline }: Exchange) {
  const { createClient } = await redis()
  let failure: unknown
  do {
    const connectTimeout = Math.ceil(Math.min(longestAttemptMs, Math.max(deadline.left, pauseMs)))
    const client = createClient({ url, socket: { connectTimeout, reconnectStrategy: false } })
    // Each call fails by itself; without a listener it would be an uncaught exception, too.
    client.on('error', () => {})
    try {
      return await client.connect()
    } catch (error) {
      failure = error
      client.destroy()
    }
  } while (await deadline.pause())
  const { message } = failure as Error
  throw new CollectiveError(
    'ERR_COLLECTIVE_TIMEOUT',
    `Expected Redis to answer at ${new URL(url).host} within ${deadline.timeoutMs} ms but received: ${message}`,
    { cause: failure },
  )
}

const longestAttemptMs = 2000

async function redis(): Promise<typeof import('redis')> {
  try {
    return await import('redis')
  } catch (cause) {
    const message = "Expected the package 'redis' to be installed but it does not load (npm install redis)"
    throw new CollectiveError('ERR_COLLECTIVE_UNAVAILABLE', message, { cause })
  }
}
