/** Where the native addon comes from, and the proof that it is this package's own. */
import { statSync } from 'node:fs'
// By its namespace: webpack would follow a `createRequire` that is imported by name.
import * as module from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, URL } from 'node:url'
import { identity } from '../../native/identity.mjs'
import { quoted } from '../checks/errors.ts'
import { environmentVariable } from './environment.ts'

/** An addon that is this package's own, and the file that it came from. */
export interface FoundAddon {
  readonly addon: unknown
  readonly file: string
}

/** A C library that addons are linked with: how their files are tagged, and the packages that have one alone. */
interface Libc {
  readonly tag: string
  readonly suffix: string
}

const platform = `${process.platform}-${process.arch}`
const isLinux = process.platform === 'linux'
const usual: Libc = { tag: '', suffix: isLinux ? '-gnu' : '' }
const musl: Libc = { tag: '.musl', suffix: '-musl' }

/**
 * Loads the addon: the one in the package, where `npm ci` in a clone and `npx batchnorm build` put theirs too, or that
 * of the package for this platform. It names the package and the sources that it was built of, because any folder may
 * hold another package's addon, or an old one.
 *
 * @throws Error if there is none, or none of this package, version and sources
 */
export function loadAddon(): FoundAddon {
  const folder = environmentVariable('BATCHNORM_PREBUILD')
  let failure: unknown
  for (const file of filesFor(folder)) {
    try {
      return { addon: checked(ownRequire()(file), file), file }
    } catch (error) {
      failure ??= error
    }
  }
  if (isDenied(failure)) throw failure
  throw folder || liesInPackage() ? (failure ?? noAddon(folder)) : bundled(failure)
}

/** The addons that are there, best first. `BATCHNORM_PREBUILD` names a folder, and then they are nowhere else. */
function filesFor(folder: string | undefined): string[] {
  const ofLibc = ({ tag, suffix }: Libc) =>
    folder
      ? thoseThere(() => join(folder, 'prebuilds', platform, `batchnorm${tag}.node`))
      : thoseThere(
          () => fileInPackage(tag),
          () => ownRequire().resolve(`@batchnorm/${platform}${suffix}`),
        )
  const built = folder ? thoseThere(() => join(folder, 'build/Release/batchnorm.node')) : []
  const [forUsual, forMusl] = [usual, ...(isLinux ? [musl] : [])].map(ofLibc)
  return [...built, ...inOrder(forUsual, forMusl ?? [])]
}

/**
 * Both may be there, as npm below 11.11 forgets which C library a package is for. The wrong one comes last; the report
 * takes Node a while, so it is asked only where it decides.
 */
function inOrder(forUsual: string[], forMusl: string[]): string[] {
  const decides = forUsual.length > 0 && forMusl.length > 0
  return decides && hasMusl() ? [...forMusl, ...forUsual] : [...forUsual, ...forMusl]
}

/** Node's report says which glibc it runs with, if it is one. */
export function hasMusl(): boolean {
  const header = isLinux ? reportHeader() : undefined
  return header !== undefined && header.glibcVersionRuntime === undefined
}

/** Deno may not have been allowed to make one. */
function reportHeader(): { glibcVersionRuntime?: string } | undefined {
  try {
    return (process.report?.getReport?.() as { header?: object } | undefined)?.header
  } catch {
    return undefined
  }
}

/**
 * The URL is in one piece for tools that read from it which files a program needs, as @vercel/nft and webpack do.
 * tsdown.config.ts knows how deep a built file lies.
 */
export function fileInPackage(tag: string): string {
  return fileURLToPath(
    new URL(`../../prebuilds/${process.platform}-${process.arch}/batchnorm${tag}.node`, import.meta.url),
  )
}

/** Those of some files that exist. What cannot be found does not: a bundle may know no place of its own. */
function thoseThere(...finds: (() => string)[]): string[] {
  return finds.flatMap((find) => {
    try {
      return [find()].filter(mayBeThere)
    } catch {
      return []
    }
  })
}

/** What nobody may look at is tried: the error of loading it says what is not allowed. */
function mayBeThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    return true
  }
}

function ownRequire(): NodeJS.Require {
  return module.createRequire(import.meta.url)
}

function checked(addon: unknown, file: string): unknown {
  const expected = identity()
  const actual = (addon as { package?: unknown } | null)?.package
  if (actual === expected) return addon
  // Else it would be refused for good, though it may only have failed to fill its exports.
  delete ownRequire().cache[file]
  throw new Error(
    `Expected ${file} to be the addon of ${quoted(expected)} but received that of ` +
      `${typeof actual === 'string' ? quoted(actual) : 'another package'} ` +
      "(build it again with 'npx batchnorm build'; is BATCHNORM_PREBUILD set?)",
  )
}

function noAddon(folder: string | undefined): Error {
  const where = folder
    ? ` in ${folder} (where BATCHNORM_PREBUILD points)`
    : " ('npx batchnorm build' compiles one)"
  return new Error(`No native build was found for ${platform}${where}`)
}

/** By Deno, whose error names the switch that allows it. */
function isDenied(failure: unknown): boolean {
  return failure instanceof Error && failure.name === 'NotCapable'
}

function bundled(cause: unknown): Error {
  const remedy = 'mark batchnorm as external in the bundler: it does not take an addon along'
  return new Error(`No native build was found for ${platform} beside a bundle (${remedy})`, { cause })
}

/** Whether this file does, or is part of a bundle. */
function liesInPackage(): boolean {
  try {
    return ownRequire()('../../package.json').name === 'batchnorm'
  } catch {
    return false
  }
}
