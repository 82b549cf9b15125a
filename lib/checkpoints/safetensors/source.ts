/** Where the bytes of a safetensors file come from. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { invalidValue } from '../../checks/errors.ts'
import { callBytes } from '../write.ts'

export interface Source {
  /** How errors call it. */
  readonly name: string
  /** In bytes. */
  readonly size: number
  /**
   * A copy of `length` bytes, in memory of its own, so that any typed array can view it. No `Uint8Array`: that of
   * Node.js 20 ends at 4 GiB, and memory does not.
   */
  readonly read: (offset: number, length: number) => ArrayBuffer
  readonly close: () => void
}

/** Opens a file for reading. Throws as `fs.openSync` does. */
export function fileSource(path: string): Source {
  // Of a pipe, opening would wait for its other end; of files the flag says nothing, and Windows has none.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  const stats = fstatSync(descriptor)
  if (!stats.isFile()) {
    closeSync(descriptor)
    throw invalidValue('path', 'that of a file', path)
  }
  const { size } = stats
  let isOpen = true
  const read = (offset: number, length: number) => {
    if (!isOpen) {
      throw new TypeError(`Expected ${path} to be open but received a read after close() (load it again)`)
    }
    const buffer = new ArrayBuffer(length)
    let done = 0
    while (done < length) {
      const rest = new Uint8Array(buffer, done, Math.min(length - done, callBytes))
      const count = readSync(descriptor, rest, { position: offset + done })
      if (count === 0) throw invalidValue(path, `${size} bytes long, as it was when opened,`, offset + done)
      done += count
    }
    return buffer
  }
  const close = () => {
    if (isOpen) closeSync(descriptor)
    isOpen = false
  }
  return { name: path, size, read, close }
}

/** Bytes in memory, which must not change while they are read. */
export function memorySource(bytes: Uint8Array): Source {
  const read = (offset: number, length: number) =>
    new Uint8Array(bytes.subarray(offset, offset + length)).buffer
  return { name: 'the bytes', size: bytes.byteLength, read, close: () => {} }
}
