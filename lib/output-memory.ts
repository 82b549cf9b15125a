/**
 * Memory of large outputs, used again. A fresh array costs more than the work that fills it, because
 * the system maps and zeroes its pages at the first touch: 120 ms for 64 MB, against 3 ms to fill it
 * again. So the native backend keeps the memory of outputs that were disposed of or collected for the
 * next output of the same size, up to a limit; beyond the limit, and with the TypeScript backend,
 * outputs are ordinary arrays.
 */
import type { Values } from './backend/backend.ts'
import { runningNative } from './backend/load.ts'
import type { FloatArray, FloatType } from './data-type.ts'
import { assertWritable } from './in-flight.ts'
import { nonNegative } from './validate.ts'

/** Smaller arrays come from memory that malloc has at hand: 64 KiB. */
const smallestBytes = 64 * 1024

export interface OutputMemory {
  /** Bytes of outputs that are alive. */
  readonly used: number
  /** Bytes that wait for the next output. */
  readonly waiting: number
  /** The most that both may come to. */
  readonly limit: number
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  bfloat16: Uint16Array,
  float16: Uint16Array,
} as const satisfies Record<FloatType, unknown>

/** An array for a result, with arbitrary content: it is written in whole. */
export function outputArray<Type extends FloatType = 'float32'>(length: number, type?: Type): FloatArray<Type>
export function outputArray(length: number, type: FloatType = 'float32'): Values {
  const OutputArray = arrays[type]
  const bytes = length * OutputArray.BYTES_PER_ELEMENT
  const buffer = bytes < smallestBytes ? undefined : runningNative()?.takeOutput(bytes)
  return buffer === undefined ? new OutputArray(length) : new OutputArray(buffer)
}

/** Gives the memory of an output back, if it is of this kind; its arrays have no elements then. */
export function disposeOutput(array: ArrayBufferView & { readonly length: number }): void {
  if (array.byteLength < smallestBytes) return
  // The whole buffer goes, whatever part of it this array shows.
  assertWritable('this tensor', new Uint8Array(array.buffer))
  runningNative()?.returnOutput(array.buffer)
}

/** How much memory of outputs this process keeps. */
export function outputMemory(): OutputMemory {
  const [used, waiting, limit] = runningNative()?.outputMemory() ?? [0, 0, 0]
  return { used, waiting, limit }
}

/**
 * Sets the limit, in bytes, for the whole process; 0 turns the reuse off. At first it is 256 MiB.
 *
 * @throws TypeError or RangeError for what is not a number of bytes
 */
export function setOutputMemoryLimit(bytes: number): void {
  nonNegative('bytes', bytes)
  runningNative()?.setOutputMemoryLimit(Math.min(bytes, Number.MAX_SAFE_INTEGER))
}
