/**
 * Memory of outputs, used again. The first touch of memory that the system has just mapped costs more
 * than the work that fills it: for 64 MB 120 ms, against 3 ms to fill it again. So what `dispose()`
 * gives back waits here for the next output of its size, the last one first: it is still in the caches.
 *
 * Outputs are ordinary array buffers, whose owner is the engine and nobody else. What waits has been
 * transferred out of its tensor, so that no array is left that could reach it. What was merely dropped
 * the collector frees, and a buffer that is sent to another thread belongs to that one.
 */
import { Buffer, constants } from 'node:buffer'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import type { Values } from '../backend/backend.ts'
import { shared } from '../checks/copies.ts'
import { assertWritable } from '../checks/in-flight.ts'
import { nonNegative } from '../checks/scalars.ts'
import { type FloatArray, type FloatType, floatArrays } from './data-type.ts'

/** Smaller arrays come from memory that malloc has at hand: 64 KiB. */
const smallestBytes = 64 * 1024

/** The memory of outputs that were disposed of, which the next outputs take; in bytes. */
export interface OutputMemory {
  /** Bytes that wait for the next output. */
  readonly waiting: number
  /** The most that may wait. */
  readonly limit: number
}

const memory = shared('outputMemory', () => ({
  /** The buffers that were made for outputs: what a caller brought is not among them, and never disposed of. */
  lent: new WeakSet<ArrayBufferLike>(),
  /** By size. The size that came last is the last one, and so is the buffer of a size. */
  waiting: new Map<number, ArrayBuffer[]>(),
  waitingBytes: 0,
  limit: 256 * 1024 * 1024,
}))

/** From 32 MiB on glibc maps a buffer anew each time; smaller ones have pages that were touched before. */
const preparedBytes = 32 * 1024 * 1024

/** New buffers between two collections: 8 MiB, which the caches of a server's core hold. */
const collectionBytes = 8 * 1024 * 1024
let sinceCollection = 0
/** Never touched, so it takes addresses and no memory; `null` where there are none to spare. */
let ballast: ArrayBuffer | null | undefined

/** An array for a result, with arbitrary content: it is written in whole. */
export function outputArray<Type extends FloatType = 'float32'>(length: number, type?: Type): FloatArray<Type>
export function outputArray(length: number, type: FloatType = 'float32'): Values {
  const OutputArray = floatArrays[type]
  const bytes = length * OutputArray.BYTES_PER_ELEMENT
  if (bytes < smallestBytes) return new OutputArray(length)
  const buffer = takeWaiting(bytes) ?? newBuffer(bytes)
  memory.lent.add(buffer)
  return new OutputArray(buffer)
}

/** Gives the memory of an output back, if it is of this kind; its arrays have no elements then. */
export function disposeOutput({ buffer }: ArrayBufferView): void {
  if (!memory.lent.has(buffer) || buffer.byteLength === 0) return
  // The whole buffer goes, whatever part of it the array shows.
  assertWritable('this tensor', new DataView(buffer))
  const bytes = buffer.byteLength
  const own = transferred(buffer as ArrayBuffer)
  const ofSameSize = memory.waiting.get(bytes) ?? []
  ofSameSize.push(own)
  memory.waiting.delete(bytes)
  memory.waiting.set(bytes, ofSameSize)
  memory.waitingBytes += bytes
  keepLimit()
}

/** How much memory of outputs this thread keeps. */
export function outputMemory(): OutputMemory {
  return { waiting: memory.waitingBytes, limit: memory.limit }
}

/**
 * Sets the limit, in bytes, for this thread; 0 turns the reuse off. At first it is 256 MiB.
 *
 * @throws TypeError or RangeError for what is not a number of bytes
 */
export function setOutputMemoryLimit(bytes: number): void {
  memory.limit = nonNegative('bytes', bytes)
  keepLimit()
}

function takeWaiting(bytes: number): ArrayBuffer | undefined {
  const ofSameSize = memory.waiting.get(bytes)
  if (ofSameSize === undefined) return undefined
  const buffer = ofSameSize.pop()
  if (ofSameSize.length === 0) memory.waiting.delete(bytes)
  memory.waitingBytes -= bytes
  return buffer
}

/** Lets go of buffers of the size that has not come for longest, until the limit holds. */
function keepLimit(): void {
  for (const [bytes, ofSameSize] of memory.waiting) {
    while (memory.waitingBytes > memory.limit && ofSameSize.length > 0) {
      ofSameSize.pop()
      memory.waitingBytes -= bytes
    }
    if (ofSameSize.length > 0) return
    memory.waiting.delete(bytes)
  }
}

/**
 * Has the dropped outputs collected. V8 (of Node 20 and 22) collects its young objects when their buffers
 * come to 32 MiB: by then outputs have wandered through a whole third-level cache, and each is written to
 * memory and read back ((1000, 128) 47 us instead of 24). A buffer that is transferred is young again, so
 * this one leaves the outputs 8 MiB; a collection takes some 45 us. An engine with other rules takes no notice.
 */
function callForCollection(): void {
  if (ballast === undefined) ballast = bufferOrNull(32 * 1024 * 1024 - collectionBytes)
  else if (ballast !== null) ballast = transferred(ballast)
}

function bufferOrNull(bytes: number): ArrayBuffer | null {
  try {
    return new ArrayBuffer(bytes)
  } catch {
    return null
  }
}

/** What a new large buffer is shown to before its first touch; an addon that loads sets it. */
let prepareBuffer: (buffer: ArrayBuffer) => void = () => {}

export function setBufferPreparation(prepare: (buffer: ArrayBuffer) => void): void {
  prepareBuffer = prepare
}

/** Not filled with zeros, as far as Node can. */
function newBuffer(bytes: number): ArrayBuffer {
  sinceCollection += bytes
  if (sinceCollection > collectionBytes) {
    sinceCollection = bytes
    callForCollection()
  }
  if (bytes > constants.MAX_LENGTH) return new ArrayBuffer(bytes)
  const { buffer } = Buffer.allocUnsafeSlow(bytes)
  if (bytes >= preparedBytes) prepareBuffer(buffer)
  return buffer
}

/** The same memory in a new buffer; the given one is detached. 0.1 us from Node 21 on, and 1.2 before it. */
function transferred(buffer: ArrayBuffer & { transfer?(): ArrayBuffer }): ArrayBuffer {
  if (buffer.transfer) return buffer.transfer()
  return globalThis.structuredClone?.(buffer, { transfer: [buffer] }) ?? sentToItself(buffer)
}

/** In a realm without structuredClone, as test runners make them. */
function sentToItself(buffer: ArrayBuffer): ArrayBuffer {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(buffer, [buffer])
  const received = receiveMessageOnPort(port2)
  port1.close()
  return received?.message
}
