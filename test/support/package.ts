/** The package as it is installed. */
import { join } from 'node:path'
import { build } from 'tsdown'
import { library } from '../../tsdown.config.ts'
import { linkPackage } from './linked-package.ts'

/** Makes a folder of the package: the library as it is built, without types, and the addon, if there is one. */
export async function makePackage(folder: string): Promise<void> {
  await build({ ...library, dts: false, config: false, outDir: join(folder, 'dist'), logLevel: 'error' })
  linkPackage(folder)
}
