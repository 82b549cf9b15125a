import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** With what `.ci/with-sanitizer` sets, so that processes of a test have the addon that the test has. */
const names = ['PATH', 'BATCHNORM_PREBUILD', 'LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS']
export const inherited = Object.fromEntries(names.map((name) => [name, process.env[name]]))

/** Runs a file of test/processes/ to its end. */
export function run(
  file: string,
  words: readonly string[],
  environment = {},
  flags: readonly string[] = [],
): Promise<End> {
  const path = fileURLToPath(new URL(`../processes/${file}`, import.meta.url))
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...flags, '--import', 'tsx', path, ...words],
      { env: { ...inherited, ...environment } },
      (_, stdout, stderr) => resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
    )
  })
}
