/** `npm run release`, in a repository of its own, where building is a word in a file. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

const script = join(import.meta.dirname, '../.ci/release.mjs')
const notes = '### Added\n\n- A thing.'
const origin = mkdtempSync(join(tmpdir(), 'batchnorm-release-'))
let folder = origin

const at = (name: string) => join(folder, name)
const version = (name: string) => JSON.parse(readFileSync(at(name), 'utf8')).version
const git = (...words: string[]) => execFileSync('git', words, { cwd: folder, encoding: 'utf8' }).trim()

beforeAll(() => {
  // Ignored, as what is built is.
  const scripts = { build: 'echo library >> built', 'build:native': 'echo addon >> built' }
  const description = { name: 'scratch', version: '0.9.0', scripts }
  writeFileSync(at('package.json'), `${JSON.stringify(description, null, 2)}\n`)
  const packages = { '': { name: 'scratch', version: '0.9.0' } }
  const lock = { name: 'scratch', version: '0.9.0', lockfileVersion: 3, requires: true, packages }
  writeFileSync(at('package-lock.json'), JSON.stringify(lock, null, 2))
  writeFileSync(
    at('CHANGELOG.md'),
    `# Changelog\n\n## [Unreleased]\n\n${notes}\n\n## [0.9.0] - 2026-01-01\n\n- Old.\n`,
  )
  writeFileSync(at('.gitignore'), 'built\n')
  git('init', '--quiet', '--initial-branch', 'main')
  git('config', 'user.name', 'Somebody')
  git('config', 'user.email', 'somebody@example.com')
  commit()
})
afterAll(() => rmSync(origin, { recursive: true }))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'batchnorm-release-'))
  cpSync(origin, folder, { recursive: true })
})
afterEach(() => rmSync(folder, { recursive: true }))

function commit(): void {
  git('add', '--all')
  git('commit', '--quiet', '--message', 'A change')
}

function release(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...words], {
    cwd: folder,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

test('bumps, dates the section, builds anew, commits and tags, and prints the notes', () => {
  const { status, stdout, stderr } = release('0.10.0')
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(stdout).toBe(`${notes}\n\nThis is v0.10.0. To publish it: git push --atomic origin main v0.10.0\n`)
  expect([version('package.json'), version('package-lock.json')]).toEqual(['0.10.0', '0.10.0'])
  expect(JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages[''].version).toBe('0.10.0')
  const today = new Date().toISOString().slice(0, 10)
  expect(readFileSync(at('CHANGELOG.md'), 'utf8')).toBe(
    `# Changelog\n\n## [Unreleased]\n\n## [0.10.0] - ${today}\n\n${notes}\n\n## [0.9.0] - 2026-01-01\n\n- Old.\n`,
  )
  expect(readFileSync(at('built'), 'utf8')).toBe('library\naddon\n')
  expect(git('status', '--porcelain')).toBe('')
  expect(git('describe')).toBe('v0.10.0')
  expect(git('diff', '--name-only', 'HEAD~').split('\n')).toEqual([
    'CHANGELOG.md',
    'package-lock.json',
    'package.json',
  ])
})

test.each<[string, () => void, string[], RegExp]>([
  ['no version', () => {}, [], /one version X.Y.Z but received ''/],
  ['a version of another form', () => {}, ['v0.10.0'], /received 'v0.10.0'/],
  ['two versions', () => {}, ['0.10.0', '0.11.0'], /received '0.10.0 0.11.0'/],
  ['the version that is', () => {}, ['0.9.0'], /after 0.9.0 but received 0.9.0/],
  ['an older version', () => {}, ['0.8.10'], /after 0.9.0/],
  [
    'another branch',
    () => git('checkout', '--quiet', '-b', 'other'),
    ['0.10.0'],
    /branch main but it is other/,
  ],
  [
    'a file that is not committed',
    () => writeFileSync(at('new'), ''),
    ['0.10.0'],
    /not committed but.*\n\?\? new/,
  ],
  ['a tag that is there', () => git('tag', 'v0.10.0'), ['0.10.0'], /no tag v0.10.0/],
  [
    'nothing to tell',
    () => {
      writeFileSync(at('CHANGELOG.md'), '## [Unreleased]\n\n## [0.9.0] - 2026-01-01\n\n- Old.\n')
      commit()
    },
    ['0.10.0'],
    /below Unreleased/,
  ],
  [
    'a build that fails',
    () => {
      const text = readFileSync(at('package.json'), 'utf8').replace('echo addon', 'exit 1; echo addon')
      writeFileSync(at('package.json'), text)
      commit()
    },
    ['0.10.0'],
    /build:native \(what is built may be of either version/,
  ],
])('%s: an error, and all is as it was', (_, prepare, words, message) => {
  prepare()
  const state = () => [
    git('log', '-1', '--format=%H %D'),
    git('status', '--porcelain'),
    version('package.json'),
  ]
  const before = state()
  const { status, stdout, stderr } = release(...words)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(message)
  expect(state()).toEqual(before)
  expect(existsSync(at('built'))).toBe(/build:native/.test(message.source))
})
