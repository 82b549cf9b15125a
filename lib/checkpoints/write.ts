import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { threadId } from 'node:worker_threads'

/** The most that one call of the system is asked for; Node.js takes less than 2 GiB. */
export const callBytes = 2 ** 30

/**
 * Writes a whole file or none: into a temporary file beside it, which then takes its name. Whoever has
 * the old file open keeps it. It is all synchronous, so that no signal handler runs in between.
 */
export function writeWhole(path: string, parts: Iterable<Uint8Array>): void {
  const temporary = temporaryBeside(path)
  const descriptor = openSync(temporary, 'w')
  try {
    try {
      for (const part of parts) writeAll(descriptor, part)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** The same with text, in UTF-8. */
export function writeText(path: string, text: string): void {
  writeWhole(path, [new TextEncoder().encode(text)])
}

/**
 * Whether `writeWhole` can write there is known only by trying, and this tries it, without the file.
 *
 * @throws the error of the system if it cannot
 */
export function assertWritable(path: string): void {
  const temporary = temporaryBeside(path)
  closeSync(openSync(temporary, 'w'))
  rmSync(temporary)
}

function temporaryBeside(path: string): string {
  return `${path}.${process.pid}-${threadId}.tmp`
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, Math.min(bytes.length - done, callBytes))
  }
}
