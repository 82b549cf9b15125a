// npm run release -- X.Y.Z
//
// Makes a version of what is on main: the number in package.json and package-lock.json, from where all else has it; the
// changelog's Unreleased section, dated; what is built with the number in it; a commit and the tag vX.Y.Z. Prints the
// section, for the release notes, and what to do next. Nothing is pushed or published.
//
// Everything is checked before anything changes, and if a step fails after that, all is as it was, but what is built.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const heading = '## [Unreleased]\n'
const files = ['package.json', 'package-lock.json', 'CHANGELOG.md']

try {
  release(process.argv.slice(2))
} catch (error) {
  console.error(`error: ${error.message}`)
  process.exitCode = 1
}

function release([version = '', ...more]) {
  const tag = `v${version}`
  const changelog = readFileSync('CHANGELOG.md', 'utf8')
  const section = unreleased(changelog)
  assertReleasable(version, more, tag, section)

  const before = git('rev-parse', 'HEAD')
  try {
    run('npm', 'version', version, '--no-git-tag-version', '--ignore-scripts')
    const today = new Date().toISOString().slice(0, 10)
    writeFileSync('CHANGELOG.md', changelog.replace(heading, `${heading}\n## [${version}] - ${today}\n`))
    run('npm', 'run', 'build')
    // The addon names the version that it is of, and serves no other.
    run('npm', 'run', 'build:native')
    git('commit', '--message', tag, '--', ...files)
    git('tag', '--annotate', tag, '--message', tag)
  } catch (error) {
    git('reset', '--soft', before)
    git('checkout', before, '--', ...files)
    const builds = 'what is built may be of either version: npm run build && npm run build:native'
    throw new Error(`${error.message} (${builds})`)
  }
  console.log(`${section}\n\nThis is ${tag}. To publish it: git push --atomic origin main ${tag}`)
}

function assertReleasable(version, more, tag, section) {
  if (more.length > 0 || !/^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}$/.test(version)) {
    throw new Error(`Expected one version X.Y.Z but received '${[version, ...more].join(' ')}'`)
  }
  const { version: current } = JSON.parse(readFileSync('package.json', 'utf8'))
  if (!isAfter(version, current))
    throw new Error(`Expected a version after ${current} but received ${version}`)
  const branch = git('rev-parse', '--abbrev-ref', 'HEAD')
  if (branch !== 'main') throw new Error(`Expected the branch main but it is ${branch}`)
  const changed = git('status', '--porcelain')
  if (changed !== '') throw new Error(`Expected nothing that is not committed but there is:\n${changed}`)
  if (git('tag', '--list', tag) !== '') throw new Error(`Expected no tag ${tag} but there is one`)
  if (section === '')
    throw new Error('Expected something below Unreleased in CHANGELOG.md but there is nothing')
}

/** What stands below the heading, up to the next version. */
function unreleased(changelog) {
  const [, after] = changelog.split(heading)
  if (after === undefined) throw new Error(`Expected CHANGELOG.md to have '${heading.trim()}' but it has not`)
  return after.split(/^## /m)[0].trim()
}

function isAfter(version, current) {
  const [numbers, others] = [version, current].map((each) => each.split('.').map(Number))
  const at = numbers.findIndex((number, index) => number !== others[index])
  return at >= 0 && numbers[at] > others[at]
}

function git(...words) {
  return execFileSync('git', words, { encoding: 'utf8' }).trim()
}

/** What it prints goes to stderr: stdout is for the notes. */
function run(...words) {
  const [command, ...rest] = words
  execFileSync(command, rest, { stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
}
