import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const packages = join(import.meta.dirname, '../../node_modules/@rollup')

/** Puts an addon of another package, Rollup's, where a package has its own. */
export function addForeignAddon(root: string): void {
  const name = readdirSync(packages).find((each) => each.startsWith('rollup-'))
  const addon = createRequire(import.meta.url).resolve(`@rollup/${name}`)
  const prebuilds = join(root, `prebuilds/${process.platform}-${process.arch}`)
  mkdirSync(prebuilds, { recursive: true })
  copyFileSync(addon, join(prebuilds, 'batchnorm.node'))
}
