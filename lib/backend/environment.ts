import process from 'node:process'

/** Deno throws for what it has not been allowed to read (`--allow-env`): it is as if it were not set. */
export function environmentVariable(name: string): string | undefined {
  try {
    return process.env[name]
  } catch {
    return undefined
  }
}
