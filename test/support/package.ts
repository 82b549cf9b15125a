/** The package as it is installed. */
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'tsdown'
import packageJson from '../../package.json' with { type: 'json' }
import { library } from '../../tsdown.config.ts'

const repository = join(import.meta.dirname, '../..')

/** Makes a folder of the package: the library as it is built, without types, and the addon, if there is one. */
export async function makePackage(folder: string): Promise<void> {
  await build({ ...library, dts: false, config: false, outDir: join(folder, 'dist'), logLevel: 'error' })
  describePackage(folder, packageJson)
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
  const prebuilds = join(repository, 'prebuilds')
  if (existsSync(prebuilds)) cpSync(prebuilds, join(folder, 'prebuilds'), { recursive: true })
}

/** Makes a folder a package. */
export function describePackage(folder: string, description: { name: string; version: string }): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify(description))
}
