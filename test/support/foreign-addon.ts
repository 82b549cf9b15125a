import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const packages = join(import.meta.dirname, '../../node_modules/@rollup')

/** Puts an addon of another package, Rollup's, where those lie that npm has built. */
export function addForeignAddon(root: string): void {
  const name = readdirSync(packages).find((each) => each.startsWith('rollup-'))
  const addon = createRequire(import.meta.url).resolve(`@rollup/${name}`)
  const release = join(root, 'build/Release')
  mkdirSync(release, { recursive: true })
  copyFileSync(addon, join(release, 'foreign.node'))
}
