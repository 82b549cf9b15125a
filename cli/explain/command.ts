import { explain } from './explain.ts'
import type { ExplainArguments } from './options.ts'

/**
 * Runs the experiment and says on stdout what came of each claim. Ctrl-C ends it with exit code 130
 * and writes no page.
 *
 * @param command what it was called by, to be printed on the page
 */
export async function runExperiment(options: ExplainArguments, command: string): Promise<void> {
  const interruption = new AbortController()
  process.once('SIGINT', () => interruption.abort())
  try {
    for (const { question, claims } of await explain({ ...options, command, signal: interruption.signal })) {
      process.stdout.write(`${question}\n`)
      for (const { claim, measured, holds } of claims) {
        process.stdout.write(
          `  ${holds === null ? '?  ' : holds ? 'yes' : 'no '} ${claim} ${measured.replaceAll('\n', ' ')}\n`,
        )
      }
    }
    process.stdout.write(`Page: ${options.out}\n`)
  } catch (error) {
    if (!interruption.signal.aborted) throw error
    process.stderr.write('Interrupted: no page written.\n')
    process.exitCode = 130
  }
}
