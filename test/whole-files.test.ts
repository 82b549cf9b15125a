/** What is written is whole, is where links lead, and has the owner and mode of what was there. */
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { fold } from '../cli/fold.ts'
import { inspect } from '../cli/inspect/inspect.ts'
import { assertWritable } from '../lib/checkpoints/write.ts'
import { BatchNorm1d, loadSafetensors, saveSafetensors, tensor } from '../lib/index.ts'
import { startWorker } from './processes/start-worker.ts'

const folder = mkdtempSync(join(tmpdir(), 'batchnorm-whole-'))
const at = (name: string) => join(folder, name)
const tensors = { 'fc.weight': tensor([[1, 2]]) }
const isWindows = process.platform === 'win32'
const umask = process.umask()

beforeEach(() => {
  rmSync(folder, { recursive: true })
  mkdirSync(folder)
})
afterAll(() => {
  process.umask(umask)
  rmSync(folder, { recursive: true })
})

const isSaved = (path: string) => {
  using file = loadSafetensors(path)
  return file.tensors.has('fc.weight')
}

describe.skipIf(isWindows)('owner and mode', () => {
  const writers: Record<string, (path: string) => unknown> = {
    saveSafetensors: (path) => saveSafetensors(path, tensors),
    'fold --force': (output) => {
      const into = [{ layer: 'fc', batchNorm: 'bn' }]
      fold(at('model'), { into, output, eps: 1e-5, force: true })
    },
    'inspect --html --force': (html) => inspect(at('model'), { html, eps: 1e-5, json: false, force: true }),
  }

  describe.each(Object.keys(writers))('%s', (name) => {
    test.each(['000', '400', '600', '640', '664', '777'])(
      'keeps those of the file: mode %s',
      async (mode) => {
        const bn = Object.entries(new BatchNorm1d(1).stateDict())
        saveSafetensors(at('model'), {
          ...tensors,
          ...Object.fromEntries(bn.map(([key, each]) => [`bn.${key}`, each])),
        })
        for (const mask of [0o022, 0o077, 0o000]) {
          writeFileSync(at('file'), 'old')
          if (process.getuid?.() === 0) chownSync(at('file'), 12345, 54321)
          chmodSync(at('file'), Number.parseInt(mode, 8))
          const before = statSync(at('file'))
          process.umask(mask)
          await writers[name](at('file'))
          const { uid, gid, mode: after, ino } = statSync(at('file'))
          expect([uid, gid, after]).toEqual([before.uid, before.gid, before.mode])
          expect(ino).not.toBe(before.ino)
          chmodSync(at('file'), 0o600)
          rmSync(at('file'))
        }
        expect(readdirSync(folder)).toEqual(['model'])
      },
    )
  })

  test('of a new file are those of any new file', () => {
    for (const mask of [0o022, 0o077, 0o000]) {
      process.umask(mask)
      saveSafetensors(at(`new ${mask}`), tensors)
      expect(statSync(at(`new ${mask}`)).mode & 0o777).toBe(0o666 & ~mask)
    }
  })
})

describe.skipIf(isWindows)('a symbolic link stays, and what it leads to in the end is written:', () => {
  test.each<[string, Record<string, string>]>([
    ['by an absolute path', { link: at('a/b/file') }],
    ['by a relative path', { link: 'a/b/file' }],
    ['over other links', { link: 'a/second', 'a/second': 'third', 'a/third': 'b/file' }],
    ['over a folder that is a link', { folder: 'a/b', link: 'folder/file' }],
    ['over the folder above one that is a link', { folder: 'a/b/c', link: 'folder/../file' }],
  ])('%s', (_, links) => {
    for (const isThere of [false, true]) {
      rmSync(folder, { recursive: true })
      mkdirSync(at('a/b/c'), { recursive: true })
      for (const [name, to] of Object.entries(links)) symlinkSync(to, at(name))
      if (isThere) writeFileSync(at('a/b/file'), 'old', { mode: 0o600 })
      saveSafetensors(at('link'), tensors)
      expect(isSaved(at('a/b/file'))).toBe(true)
      for (const [name, to] of Object.entries(links)) expect(readlinkSync(at(name))).toBe(to)
      expect(readdirSync(folder, { recursive: true }).filter((name) => /\.tmp$/.test(`${name}`))).toEqual([])
    }
  })

  test('links in a circle are an error of the system', () => {
    symlinkSync('one', at('two'))
    symlinkSync('two', at('one'))
    expect(() => saveSafetensors(at('one'), tensors)).toThrow(/^ELOOP/)
    expect(readdirSync(folder)).toEqual(['one', 'two'])
  })
})

describe.skipIf(isWindows)('what is no file is not made one:', () => {
  test.each<[string, string, () => unknown]>([
    ['a folder', at('folder'), () => mkdirSync(at('folder'))],
    ['a pipe', at('pipe'), () => execFileSync('mkfifo', [at('pipe')])],
    [
      'a link to a pipe',
      at('link'),
      () => {
        execFileSync('mkfifo', [at('pipe')])
        symlinkSync('pipe', at('link'))
      },
    ],
  ])('%s', (_, path, make) => {
    make()
    const before = [statSync(path).ino, readdirSync(folder)]
    for (const work of [() => saveSafetensors(path, tensors), () => assertWritable(path)]) {
      expect(work).toThrow(/^Expected path to be that of a file, or of nothing yet, but received '/)
    }
    expect([statSync(path).ino, readdirSync(folder)]).toEqual(before)
  })
})

test.each(['', 'nothing/', 'nothing/file'])('%j names no place, which is an error of the system', (name) => {
  const path = name && at(name)
  const before = readdirSync('.')
  expect(() => saveSafetensors(path, tensors)).toThrow(/^(ENOENT|ENOTDIR)/)
  expect([readdirSync(folder), readdirSync('.')]).toEqual([[], before])
})

test.each(['a', 'é', '層', '🔥'])('names of %j as long as the file system has them are written', (letter) => {
  for (const length of [253, 254, 255]) {
    // In bytes; on Windows in units of UTF-16.
    const size = isWindows ? letter.length : Buffer.byteLength(letter)
    const name = letter.repeat(length / size) + 'x'.repeat(length % size)
    saveSafetensors(at(name), tensors)
    saveSafetensors(at(name), tensors)
    expect(isSaved(at(name))).toBe(true)
    expect(readdirSync(folder)).toEqual([name])
    rmSync(at(name))
  }
})

describe('processes and threads', () => {
  const program = fileURLToPath(new URL('processes/saving.ts', import.meta.url))
  const run = (...words: string[]) => fork(program, words, { execArgv: ['--import', 'tsx'] })
  const path = at('file')

  test('that all have the same number save to one path at once, and whoever reads meets a whole file', async () => {
    const lengths = [300_000, 200_000, 100_000, 10]
    const save = (length: number) => {
      saveSafetensors(path, { values: tensor(new Float32Array(length).fill(length), [length]) })
    }
    save(lengths[0])
    const [one, two, ...others] = lengths.map((length) => [path, '40', String(length)])
    const processes = [run(...one), run(...two)]
    const threads = others.map((words) => startWorker('saving.ts', words))
    await Promise.all([...processes, ...threads].map((writer) => once(writer, 'message')))
    let areEnded = false
    const ended = Promise.all([...processes, ...threads].map((writer) => once(writer, 'exit'))).finally(
      () => {
        areEnded = true
      },
    )
    for (const each of processes) each.send('go')
    for (const each of threads) each.postMessage('go')
    const seen = new Set<number>()
    while (!areEnded) {
      using file = loadSafetensors(path)
      const { data } = file.get('values')
      expect(data.every((value) => value === data.length)).toBe(true)
      seen.add(data.length)
      await setImmediate()
    }
    expect((await ended).map(([code]) => code)).toEqual([0, 0, 0, 0])
    expect(seen.size).toBeGreaterThan(1)
    expect(readdirSync(folder)).toEqual(['file'])
  })

  test.skipIf(isWindows)(
    'that are killed while they write leave the old file, and one that says whose it is',
    async () => {
      writeFileSync(path, 'old')
      const [, signal] = await once(run(path, 'killed'), 'exit')
      expect(signal).toBe('SIGKILL')
      expect(readFileSync(path, 'utf8')).toBe('old')
      expect(readdirSync(folder)).toEqual([expect.stringMatching(/^batchnorm-[0-9a-f]{16}\.tmp$/), 'file'])
    },
  )
})
