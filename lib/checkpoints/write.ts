import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, format, isAbsolute, parse } from 'node:path'
import { TextEncoder } from 'node:util'
import { invalidValue } from '../checks/errors.ts'

/** The most that one call of the system is asked for; Node.js takes less than 2 GiB. */
export const callBytes = 2 ** 30

/**
 * Writes a whole file or none: into a temporary file beside it, which then takes its name, with the owner and
 * mode of the file that was there. Whoever has the old file open keeps it. After a loss of power it is the old
 * file or the new one. It is all synchronous, so that no signal handler runs in between.
 *
 * @throws the error of the system, and everything is as it was
 */
export function writeWhole(path: string, parts: Iterable<Uint8Array>): void {
  const { target, replaced } = placeOf(path)
  const { temporary, descriptor } = openTemporary(target, replaced)
  let isOpen = true
  try {
    if (replaced !== undefined) giveOwnerAndMode(descriptor, replaced)
    for (const part of parts) writeAll(descriptor, part)
    attempt(() => fsyncSync(descriptor))
    isOpen = false
    closeSync(descriptor)
    renameSync(temporary, target)
  } catch (error) {
    if (isOpen) quietly(() => closeSync(descriptor))
    quietly(() => unlinkSync(temporary))
    throw error
  }
  // The new file is in place and whole, so that an error now would say what is not so.
  quietly(() => syncFolder(dirname(target)))
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
  const { target, replaced } = placeOf(path)
  const { temporary, descriptor } = openTemporary(target, replaced)
  try {
    closeSync(descriptor)
  } finally {
    unlinkSync(temporary)
  }
}

/** Which file it is in the end, and what is there now. */
function placeOf(path: string): { target: string; replaced: Stats | undefined } {
  const replaced = statSync(path, { throwIfNoEntry: false })
  // In place of a device, such as /dev/null, there would be a file.
  if (replaced !== undefined && !replaced.isFile()) {
    throw invalidValue('path', 'that of a file, or of nothing yet,', path)
  }
  return { target: followed(path), replaced }
}

/** What symbolic links point at in the end, be it there or not: that is written, and the links stay. */
function followed(path: string): string {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return path
  const link = readlinkSync(path)
  return followed(isAbsolute(link) ? link : beside(path, link))
}

/** Not shortened, as `join` does it: `..` behind a link to a folder leads elsewhere. */
function beside(path: string, name: string): string {
  return format({ ...parse(path), base: name })
}

/**
 * The name is short, so that it fits wherever the target's own name does, and random, so that nobody else has
 * it; `x`: a file or link that has it anyway is an error.
 */
function openTemporary(target: string, replaced: Stats | undefined) {
  const temporary = beside(target, `batchnorm-${randomBytes(8).toString('hex')}.tmp`)
  const mode = replaced === undefined ? 0o666 : withoutGroup(replaced.mode)
  return { temporary, descriptor: openSync(temporary, 'wx', mode) }
}

/** Before there is anything to read in the file. A group that cannot be given must not be let in as another. */
function giveOwnerAndMode(descriptor: number, { uid, gid, mode }: Stats): void {
  const made = fstatSync(descriptor)
  if (made.uid !== uid || made.gid !== gid) {
    attempt(() => fchownSync(descriptor, uid, gid)) || attempt(() => fchownSync(descriptor, made.uid, gid))
  }
  const now = fstatSync(descriptor)
  const wanted = now.gid === gid ? mode & permissions : withoutGroup(mode)
  if ((now.mode & permissions) !== wanted) attempt(() => fchmodSync(descriptor, wanted))
}

const permissions = 0o777

/** Of the group's permissions only those that all others have too. */
function withoutGroup(mode: number): number {
  return mode & (0o707 | ((mode & 0o007) << 3))
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, Math.min(bytes.length - done, callBytes))
  }
}

/** The folder has the file's new name on the disk only then. Windows has no such call. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** What a user, a file system or the permission model of Node.js may not do, though they can write. */
const refusals = ['EPERM', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'ERR_ACCESS_DENIED']

/** Whether it could be done. */
function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (refusals.includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** For what is done after the outcome is certain. */
function quietly(work: () => void): void {
  try {
    work()
  } catch {}
}
