/** `npm run explain`; with `-- --help` it tells the options. */
import { explain } from './explain.ts'
import { readOptions } from './options.ts'

const options = readOptions(process.argv.slice(2))
const interruption = new AbortController()
process.once('SIGINT', () => interruption.abort())

try {
  for (const { question, claims } of await explain({ ...options, signal: interruption.signal })) {
    process.stdout.write(`${question}\n`)
    for (const { claim, measured, holds } of claims) {
      process.stdout.write(`  ${holds ? 'yes' : 'no '} ${claim} ${measured.replaceAll('\n', ' ')}\n`)
    }
  }
  process.stdout.write(`Page: ${options.out}\n`)
} catch (error) {
  if (!interruption.signal.aborted) throw error
  process.stderr.write('Interrupted: no page written.\n')
  process.exitCode = 130
}
