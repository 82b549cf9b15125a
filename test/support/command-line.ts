/** Jobs and their command lines, as a user runs them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { vi } from 'vitest'

/** Starts a TypeScript file of the repository; `ended` tells its exit code and what it wrote. */
export function startJob(file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const main = join(import.meta.dirname, '../..', file)
  const job = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  job.stdout.on('data', (data) => {
    output.stdout += data
  })
  job.stderr.on('data', (data) => {
    output.stderr += data
  })
  const ended = once(job, 'close').then(([code]) => ({ code, ...output }))
  return { job, ended }
}

/** What reading options writes, and the exit code it asks for. */
export function refusalOf(
  readOptions: (args: readonly string[]) => unknown,
  args: readonly string[],
): { code: unknown; written: string } {
  let written = ''
  const write = (text: string | Uint8Array) => {
    written += text
    return true
  }
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw code
  })
  const writes = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation(write),
  )
  try {
    readOptions(args)
  } catch (code) {
    return { code, written }
  } finally {
    for (const spy of [exit, ...writes]) spy.mockRestore()
  }
  return { code: undefined, written }
}
