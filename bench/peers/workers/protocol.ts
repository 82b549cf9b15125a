/**
 * The line protocol of `../worker.ts` for a program in TypeScript: reads requests from standard input
 * and answers each with one line on standard output. The requests are told in `protocol.h`.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Extent } from '../../../lib/backend/backend.ts'
import type { Inputs as Arrays } from '../inputs.ts'

/** The large result, in the order of (outer, channels, inner), then the small ones. */
export type Results = readonly Float32Array[]

/** One call, ready to be timed as often as wanted. */
export type Call = () => unknown

export interface Peer {
  /** Whose speed is measured: a name and a version. */
  readonly title: string
  load(inputs: Inputs): void | Promise<void>
  call(operation: string, threads: number): Call | Promise<Call>
  /** What one call gives. */
  results(operation: string, threads: number): Results | Promise<Results>
}

/** What every peer gets. */
export interface Inputs extends Arrays {
  readonly extent: Extent
  /** `[outer, channels]`, or `[outer, channels, inner]`. */
  readonly shape: readonly number[]
}

/** Answers requests until the input ends. */
export async function serve(peer: Peer): Promise<void> {
  process.stdout.write(`${peer.title}\n`)
  for await (const line of createInterface({ input: process.stdin })) {
    const [request, ...words] = line.split(' ')
    let answer: string
    try {
      answer = await answerTo(peer, request, words)
    } catch (error) {
      answer = `error ${String(error).replaceAll('\n', ' ')}`
    }
    process.stdout.write(`${answer}\n`)
  }
}

async function answerTo(peer: Peer, request: string, words: readonly string[]): Promise<string> {
  if (request === 'load') {
    const [folder, ...sizes] = words
    const [outer, channels, inner] = sizes.map(Number)
    await peer.load(readInputs(folder, { outer, channels, inner }))
    return 'ok'
  }
  const [operation, ...numbers] = words
  const [threads, ...counts] = numbers.map(Number)
  if (request === 'time') {
    const [calls, samples] = counts
    return (await times(await peer.call(operation, threads), calls, samples)).join(' ')
  }
  if (request === 'values') {
    const [first, ...others] = await peer.results(operation, threads)
    const [stride] = counts
    const picked = Array.from(
      { length: Math.ceil(first.length / stride) },
      (_, sample) => first[sample * stride],
    )
    return [...picked, ...others.flatMap((part) => Array.from(part))].join(' ')
  }
  throw new Error(`unknown request ${request}`)
}

async function times(call: Call, calls: number, samples: number): Promise<number[]> {
  // One sample in four more, first, to fill the caches again and to wake the threads.
  for (let sample = 0; sample < samples / 4; sample++) await microseconds(call, calls)
  const measured: number[] = []
  for (let sample = 0; sample < samples; sample++) measured.push(await microseconds(call, calls))
  return measured
}

async function microseconds(call: Call, calls: number): Promise<number> {
  const begin = performance.now()
  for (let index = 0; index < calls; index++) {
    const result = call()
    if (result instanceof Promise) await result
  }
  return ((performance.now() - begin) * 1000) / calls
}

function readInputs(folder: string, extent: Extent): Inputs {
  const { outer, channels, inner } = extent
  const size = outer * channels * inner
  return {
    extent,
    shape: inner === 1 ? [outer, channels] : [outer, channels, inner],
    x: readFloats(folder, 'x', size),
    gradOutput: readFloats(folder, 'gradOutput', size),
    weight: readFloats(folder, 'weight', channels),
    bias: readFloats(folder, 'bias', channels),
    runningMean: readFloats(folder, 'runningMean', channels),
    runningVariance: readFloats(folder, 'runningVariance', channels),
  }
}

function readFloats(folder: string, name: string, count: number): Float32Array {
  const floats = new Float32Array(count)
  const file = openSync(join(folder, `${name}.f32`), 'r')
  const read = readSync(file, floats)
  closeSync(file)
  if (read !== floats.byteLength) throw new Error(`cannot read ${name} of ${folder}`)
  return floats
}
