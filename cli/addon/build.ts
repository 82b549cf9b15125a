import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileInPackage, hasMusl, loadAddon } from '../../lib/backend/addon.ts'
import { fileOfModule, loadModule, packagesOf } from '../../lib/distributed/native-engine.ts'
import { Failure, orFail } from '../failure.ts'
import { findHeaders, findNodeGyp, missingTools, needs } from './toolchain.ts'

interface BuildOptions {
  /** Tools that are missing are no failure: `npm ci` in a clone goes on without an addon. */
  readonly optional: boolean
  /** The module of `gloo()` instead of the addon. */
  readonly gloo: boolean
  /** The module of `mpi()` instead of the addon. */
  readonly mpi: boolean
}

/** `batchnorm build`: compiles from the sources in the package, and puts it where the library looks. */
export function build({ optional, gloo, mpi }: BuildOptions): string {
  const engines = [...(gloo ? (['gloo'] as const) : []), ...(mpi ? (['mpi'] as const) : [])]
  return engines.length > 0 ? engines.map(buildEngine).join('\n') : buildAddon(optional)
}

function buildAddon(optional: boolean): string {
  const missing = missingTools()
  if (missing.length > 0) {
    const message = `Expected ${needs} but received no ${missing.join(', no ')}`
    if (!optional) throw new Failure(message)
    return `No addon is compiled, so the TypeScript backend serves: ${message}`
  }
  const target = fileInPackage(hasMusl() ? '.musl' : '')
  const native = join(resolve(target, '../../..'), 'native')
  compile(native, 'the addon')
  orFail(() => place(join(native, 'build/Release/batchnorm.node'), target))
  const { file } = orFail(loadAddon)
  return `Compiled ${file}`
}

/** Loaded, to see that its library is the one that it was compiled for. */
function buildEngine(name: 'gloo' | 'mpi'): string {
  const missing = missingTools()
  if (missing.length > 0) throw new Failure(`Expected ${needs} but received no ${missing.join(', no ')}`)
  const file = fileOfModule(name)
  compile(resolve(file, '../../..'), `the module of ${name}(); on Debian: apt install ${packagesOf[name]};`)
  orFail(() => loadModule(name))
  return `Compiled ${file}`
}

/** What is compiled already is not compiled again. All that node-gyp says goes to stderr. */
function compile(folder: string, what: string): void {
  const nodeGyp = findNodeGyp(folder)
  if (nodeGyp === undefined) {
    throw new Failure('Expected npm or node-gyp to be there but received neither (npm install node-gyp)')
  }
  const { npm_config_nodedir, JOBS = 'max' } = process.env
  const headers = npm_config_nodedir ?? findHeaders()
  const args = [
    'configure',
    'build',
    '--release',
    `--jobs=${JOBS}`,
    ...(headers ? [`--nodedir=${headers}`] : []),
  ]
  const { status, error } = spawnSync(process.execPath, [nodeGyp, ...args], {
    cwd: folder,
    stdio: ['ignore', process.stderr, process.stderr],
  })
  if (status !== 0) {
    throw new Failure(
      `Expected node-gyp to compile ${what} but received ${error?.message ?? `exit code ${status}`} ` +
        `(its messages are above; it needs ${needs}, and Node's headers, which it downloads where Node has none)`,
    )
  }
}

/** By its name at once: a process that runs with the old one keeps it. */
function place(built: string, target: string): void {
  const temporary = `${target}.${process.pid}.tmp`
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(built, temporary)
  renameSync(temporary, target)
}
