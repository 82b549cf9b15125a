/** A folder that is the package to what lies in it. */
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }

const repository = join(import.meta.dirname, '../..')

/** Gives a folder the name and version of the package, what it requires, and the addon, if there is one. */
export function linkPackage(folder: string): void {
  describePackage(folder, packageJson)
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
  const prebuilds = join(repository, 'prebuilds')
  if (existsSync(prebuilds)) cpSync(prebuilds, join(folder, 'prebuilds'), { recursive: true })
  // For the engines of collectives.
  mkdirSync(join(folder, 'native'))
  symlinkSync(join(repository, 'native/collectives'), join(folder, 'native/collectives'))
}

/** Makes a folder a package. */
export function describePackage(folder: string, description: { name: string; version: string }): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(description))
}
