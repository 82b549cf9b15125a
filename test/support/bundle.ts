/** Programs that start often: one file with the library in it starts in a fraction of the time that tsx takes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsdown'
import { programIn } from '../../tsdown.config.ts'
import { linkPackage } from './linked-package.ts'

/** Bundles a TypeScript file; the path of the bundle, which is there until this process ends. */
export async function bundled(file: URL): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'batchnorm-bundle-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  linkPackage(folder)
  await build({ ...programIn(folder), config: false, entry: { program: fileURLToPath(file) } })
  return join(folder, 'program.mjs')
}
