/** Where the native addon comes from, and the proof that it is this package's own. */
import { readFileSync } from 'node:fs'
// By its namespace: webpack takes `createRequire` out where it is imported by name.
import * as nodeModule from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { quoted } from '../checks/errors.ts'

const name = 'batchnorm'

/**
 * Loads the addon: a prebuilt one, or the one that was built at installation. It names the package and the version
 * that it was built of: any folder may hold another package's addon, or an old one.
 *
 * @throws Error if there is none, or one of another package or version
 */
export function loadAddon(): unknown {
  const { root, version } = ownPackage()
  const require = nodeModule.createRequire(join(root, 'package.json'))
  const path: string = require('node-gyp-build').path(root)
  const addon = require(path)
  const [expected, actual] = [`${name}@${version}`, addon?.package]
  if (actual === expected) return addon
  throw new Error(
    `Expected ${path} to be the addon of '${expected}' but received that of ` +
      `${typeof actual === 'string' ? quoted(actual) : 'another package'} ` +
      `(build it again with 'npx node-gyp rebuild' in ${root}; is BATCHNORM_PREBUILD set?)`,
  )
}

/** The folder above this file whose package.json has this package's name. A bundle lies in another package, or in none. */
function ownPackage(): { root: string; version: string } {
  const here = ownFolder()
  for (let folder = here; folder !== undefined; folder = folderAbove(folder)) {
    const description = descriptionIn(folder)
    if (description?.name === name) return { root: folder, version: description.version }
  }
  throw new Error(
    `Expected to lie in the package ${name} but received a place outside of it: ${here ?? 'a bundle'} ` +
      `(mark ${name} as external in the bundler: an addon cannot be bundled)`,
  )
}

/** `undefined` in a bundle that knows no place: its `import.meta` is empty, or its `__filename` is not there. */
function ownFolder(): string | undefined {
  try {
    return dirname(fileURLToPath(import.meta.url))
  } catch {
    return undefined
  }
}

function folderAbove(folder: string): string | undefined {
  const above = dirname(folder)
  return above === folder ? undefined : above
}

/** What a package.json says; `undefined` for none, and for one of anybody's that cannot be read. */
function descriptionIn(folder: string): { name?: unknown; version: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  } catch {
    return undefined
  }
}
