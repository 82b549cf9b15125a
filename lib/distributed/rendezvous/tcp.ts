import type { Buffer } from 'node:buffer'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { CollectiveError } from '../collective-error.ts'
import {
  announcement,
  type Exchange,
  isComplete,
  missingRanks,
  oldJob,
  ranksWithout,
  valueIn,
} from './exchange.ts'

/** A line from a rank to rank 0. */
interface Request {
  readonly jobId: string
  readonly rank: number
  readonly said: string
}

/** The line back. */
interface Answer {
  readonly said?: readonly string[]
  readonly error?: { readonly code: CollectiveError['code']; readonly message: string }
}

/** At rank 0, which collects the values and hands them out. */
export function exchangeByTcp(host: string, port: number, exchange: Exchange): Promise<Buffer[]> {
  return exchange.rank === 0 ? collect(port, exchange) : ask(host, port, exchange)
}

/** Listens on all addresses: the others' name for this machine may be none that it knows. */
async function collect(port: number, exchange: Exchange): Promise<Buffer[]> {
  const { size, deadline } = exchange
  const said = [announcement(exchange)]
  const sockets = new Map<number, Socket>()
  const connections = new Set<Socket>()
  const server = createServer()
  let timer: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      if (size === 1) return resolve()
      const late = () =>
        reject(
          missingRanks(
            exchange,
            ranksWithout(size, (rank) => rank in said),
          ),
        )
      timer = setTimeout(late, deadline.left)
      server.on('error', (cause) => reject(notListening(port, cause)))
      server.on('connection', async (socket) => {
        connections.add(socket)
        const request = await requestOf(socket)
        const refusal = request && refusalOf(request, exchange, (rank) => rank in said)
        if (!request || refusal) return answer(socket, { error: refusal })
        said[request.rank] = request.said
        sockets.set(request.rank, socket)
        // It may try again, or another process in its place.
        socket.on('close', () => delete said[request.rank])
        if (isComplete(said, size)) resolve()
      })
      server.listen(port)
    })
    const values = said.map((text, rank) => valueIn(text, exchange, rank))
    for (const socket of sockets.values()) answer(socket, { said })
    return values
  } catch (error) {
    if (error instanceof CollectiveError) for (const socket of sockets.values()) answer(socket, { error })
    throw error
  } finally {
    clearTimeout(timer)
    server.close()
    // Whoever has said nothing would keep this process alive.
    for (const socket of connections) socket.destroySoon()
  }
}

/** Asks rank 0, again and again until it is there. */
async function ask(host: string, port: number, exchange: Exchange): Promise<Buffer[]> {
  const { rank, jobId, deadline } = exchange
  const request: Request = { jobId, rank, said: announcement(exchange) }
  let isThere = false
  do {
    const socket = connect(port, host)
    socket.on('connect', () => {
      isThere = true
      socket.write(`${JSON.stringify(request)}\n`)
    })
    // Rank 0, which may have begun later, tells who is missing.
    const late = new AbortController()
    sleep(deadline.left + graceMs, undefined, { signal: late.signal }).then(
      () => socket.destroy(),
      () => {},
    )
    const line = await firstLine(socket)
    late.abort()
    socket.destroy()
    if (line === undefined) continue
    const { said, error } = JSON.parse(line) as Answer
    if (error) throw new CollectiveError(error.code, error.message)
    if (said) return said.map((text, other) => valueIn(text, exchange, other))
  } while (await deadline.pause())
  const where = `${host}:${port}`
  throw missingRanks(
    exchange,
    isThere ? [] : [0],
    isThere ? `: rank 0 at ${where} waits for others` : `: nobody answers at ${where}`,
  )
}

const graceMs = 1000

/** The first line that comes; undefined if none does. */
async function firstLine(socket: Socket): Promise<string | undefined> {
  socket.on('error', () => {})
  try {
    for await (const line of createInterface({ input: socket })) return line
  } catch {
    // As if it had ended.
  }
  return undefined
}

/** What a rank asks; undefined of anybody else, who may be trying all ports. */
async function requestOf(socket: Socket): Promise<Request | undefined> {
  const line = await firstLine(socket)
  // Its end is seen by reading.
  socket.resume()
  try {
    const request = JSON.parse(line ?? '') as Request
    return Number.isSafeInteger(request.rank) && typeof request.said === 'string' ? request : undefined
  } catch {
    return undefined
  }
}

/** An error for one that does not belong here; the others go on waiting. */
function refusalOf(
  { rank, jobId }: Request,
  exchange: Exchange,
  isThere: (rank: number) => boolean,
): CollectiveError | undefined {
  if (jobId !== exchange.jobId) {
    const message = `Expected jobId to be '${exchange.jobId}', as that of rank 0, but rank ${rank} has '${jobId}'`
    return new CollectiveError('ERR_COLLECTIVE_MISMATCH', message)
  }
  return isThere(rank) ? oldJob({ ...exchange, rank }) : undefined
}

function answer(
  socket: Socket,
  { said, error }: { said?: readonly string[]; error?: CollectiveError },
): void {
  const line: Answer = { said, error: error && { code: error.code, message: error.message } }
  socket.end(`${JSON.stringify(line)}\n`)
}

function notListening(port: number, cause: Error): CollectiveError {
  const message = `Expected rank 0 to listen on port ${port} but received: ${cause.message} (take another port)`
  return new CollectiveError('ERR_COLLECTIVE_UNAVAILABLE', message, { cause })
}
