import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Finds a file of a package that is not installed with this one: beside it, or where the command is called. */
export function resolveOptional(name: string): string {
  const paths = [dirname(fileURLToPath(import.meta.url)), process.cwd()]
  return createRequire(import.meta.url).resolve(name, { paths })
}
