/** Whatever call of the system fails while a file is written: the old file stays, and nothing beside it. */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { assertWritable, writeText } from '../lib/checkpoints/write.ts'

/** The system as the code under test meets it. */
const system = vi.hoisted(() => ({
  calls: [] as string[],
  /** The code of the error that a call ends with; with no function here, calls go through unseen. */
  fault: undefined as ((name: string, index: number) => string | undefined | false) | undefined,
  random: undefined as Buffer | undefined,
}))

vi.mock('node:fs', async (original) => {
  type Call = (...given: unknown[]) => unknown
  const real = await original<Record<string, Call>>()
  const watched = (name: string): Call => {
    return (...given) => {
      if (system.fault === undefined) return real[name](...given)
      const code = system.fault(name, system.calls.push(name) - 1)
      // No write takes all bytes at once; and what is closed with an error is closed.
      if (name === 'writeSync') given[3] = Math.min(given[3] as number, 40)
      const result = !code || name === 'closeSync' ? real[name](...given) : undefined
      if (code) throw Object.assign(new Error(`${code}, ${name}`), { code })
      return result
    }
  }
  const names = Object.keys(real).filter((name) => name.endsWith('Sync'))
  return { ...real, ...Object.fromEntries(names.map((name) => [name, watched(name)])) }
})

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>()
  return { ...real, randomBytes: (size: number) => system.random ?? real.randomBytes(size) }
})

function during(fault: NonNullable<typeof system.fault>, work: () => void): Error | undefined {
  Object.assign(system, { calls: [], fault })
  try {
    work()
    return undefined
  } catch (error) {
    return error as Error
  } finally {
    system.fault = undefined
  }
}

const isRoot = process.getuid?.() === 0
const group = isRoot ? 12345 : (process.getgid?.() ?? 0)
const folder = mkdtempSync(join(tmpdir(), 'batchnorm-faults-'))
const path = join(folder, 'file')
const text = 'the new file, '.repeat(10)
const umask = process.umask(0o022)

function makeOld(mode: number): void {
  writeFileSync(path, 'old')
  if (isRoot) chownSync(path, 12345, group)
  chmodSync(path, mode)
}

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
})
afterAll(() => {
  process.umask(umask)
  rmSync(folder, { recursive: true, force: true })
})

describe.skipIf(process.platform === 'win32')('a file that is written over', () => {
  describe.each(['ENOSPC', 'EACCES', 'EIO'])('%s', (code) => {
    test.each(['once', 'from then on'])('at any call, %s: the error comes out, the old file stays', (how) => {
      const reached: string[] = []
      for (let at = 0; ; at++) {
        makeOld(0o664)
        const fails = (index: number) => (how === 'once' ? index === at : index >= at)
        const error = during(
          (_, index) => fails(index) && code,
          () => writeText(path, text),
        )
        if (system.calls.length <= at) break
        const call = system.calls[at]
        // Once the new file has its name, it is written.
        const isWritten = reached.includes('renameSync')
        reached.push(call)
        expect(error?.message, `at ${at}`).toBe(isWritten ? undefined : `${code}, ${call}`)
        expect(readFileSync(path, 'utf8')).toBe(isWritten ? text : 'old')
        expect(statSync(path).mode & 0o777).toBe(0o664)
        if (how === 'once') expect(readdirSync(folder)).toEqual(['file'])
      }
      const writes = Array(4).fill('writeSync')
      const end = ['fsyncSync', 'closeSync', 'renameSync', 'openSync', 'fsyncSync', 'closeSync']
      const changes = isRoot ? ['fchownSync', 'fchmodSync'] : ['fchmodSync']
      const isRead = (name: string) => /stat/.test(name)
      expect(reached.filter((name) => !isRead(name))).toEqual(['openSync', ...changes, ...writes, ...end])
    })
  })

  test.each([
    ['600', '600'],
    ['640', '600'],
    ['644', '644'],
    ['664', '644'],
  ])('of mode %s lets nobody in where owner, mode and fsync are refused: %s', (before, after) => {
    for (const code of ['EPERM', 'ENOTSUP', 'ERR_ACCESS_DENIED']) {
      makeOld(Number.parseInt(before, 8))
      const refused = during(
        (name) => /^f(chown|chmod|sync)Sync$/.test(name) && code,
        () => writeText(path, text),
      )
      expect(refused).toBeUndefined()
      expect(readFileSync(path, 'utf8')).toBe(text)
      expect((statSync(path).mode & 0o777).toString(8)).toBe(after)
    }
  })

  test.runIf(isRoot)('keeps its group where only its owner is refused, and the mode with it', () => {
    makeOld(0o660)
    let refusals = 0
    during(
      (name) => name === 'fchownSync' && refusals++ === 0 && 'EPERM',
      () => writeText(path, text),
    )
    const { uid, gid, mode } = statSync(path)
    expect([uid, gid, mode & 0o777]).toEqual([0, group, 0o660])
  })
})

test.each(['closeSync', 'openSync'])('what is tried beforehand leaves nothing when %s fails', (call) => {
  expect(
    during(
      (name) => name === call && 'EIO',
      () => assertWritable(path),
    )?.message,
  ).toBe(`EIO, ${call}`)
  expect(readdirSync(folder)).toEqual([])
})

describe('what already has the temporary name stays as it is, and the error says so:', () => {
  const temporary = 'batchnorm-0000000000000000.tmp'
  const victim = join(folder, 'victim')
  test.each<[string, () => void]>([
    ['a link to a file', () => symlinkSync(victim, join(folder, temporary))],
    ['a link to nothing', () => symlinkSync(join(folder, 'nothing'), join(folder, temporary))],
    ['a file', () => writeFileSync(join(folder, temporary), 'theirs')],
  ])('%s', (_, plant) => {
    writeFileSync(victim, 'theirs')
    writeFileSync(path, 'old')
    plant()
    const before = lstatSync(join(folder, temporary))
    system.random = Buffer.alloc(8)
    try {
      for (const work of [() => writeText(path, text), () => assertWritable(path)])
        expect(work).toThrow(/^EEXIST/)
    } finally {
      system.random = undefined
    }
    expect(lstatSync(join(folder, temporary))).toEqual(before)
    expect(readdirSync(folder).sort()).toEqual([temporary, 'file', 'victim'])
    expect([readFileSync(victim, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['theirs', 'old'])
  })
})
