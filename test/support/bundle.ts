/** Programs that start often: one file with the library in it starts in a fraction of the time that tsx takes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsdown'
import { command, programIn } from '../../tsdown.config.ts'
import { linkPackage } from './linked-package.ts'

const folders: string[] = []
process.on('exit', removeBundles)

/** Bundles a TypeScript file; the path of the bundle, which is there until this process ends. */
export async function bundled(file: URL): Promise<string> {
  const folder = packageFolder()
  await build({ ...programIn(folder), config: false, entry: { program: fileURLToPath(file) } })
  return join(folder, 'program.mjs')
}

/** The command as the package has it; its path. */
export async function bundledCommand(): Promise<string> {
  const outDir = join(packageFolder(), 'dist/cli')
  await build({ ...command, config: false, outDir, logLevel: 'error' })
  return join(outDir, 'main.js')
}

function packageFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'batchnorm-bundle-'))
  folders.push(folder)
  linkPackage(folder)
  return folder
}

/** For processes that are killed at their end, as those of vitest. */
export function removeBundles(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
}
