import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { Failure } from './failure.ts'

/** @throws Failure for a file that could not be written, or must not be: said before the work, not after it */
export function assertFree(path: string, force: boolean): void {
  const folder = dirname(path)
  if (!existsSync(folder)) throw new Failure(`Expected the folder ${folder} to exist but it does not`)
  if (!existsSync(path)) return
  if (!statSync(path).isFile()) throw new Failure(`Expected ${path} to be a file but it is none`)
  if (!force) throw new Failure(`Expected ${path} not to exist but it does (--force writes over it)`)
}
