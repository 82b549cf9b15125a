import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a file of test/processes/ to its end. */
export function run(
  file: string,
  words: readonly string[],
  environment = {},
  flags: readonly string[] = [],
): Promise<End> {
  const path = fileURLToPath(new URL(`../processes/${file}`, import.meta.url))
  const { PATH = '' } = process.env
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, '--import', 'tsx', path, ...words],
      { env: { PATH, ...environment } },
      (_, stdout, stderr) => resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
    )
  })
}
