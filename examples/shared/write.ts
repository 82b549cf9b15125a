import { renameSync, rmSync, writeFileSync } from 'node:fs'

/**
 * Writes a whole file or none: to a temporary file beside it, which then takes its name. Both are
 * synchronous, so that no signal handler of this process runs in between.
 */
export function writeWhole(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, text)
    renameSync(temporary, file)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}
