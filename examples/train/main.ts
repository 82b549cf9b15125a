/**
 * The job: trains the digits classifier with batch norm, then the same one without, and writes a
 * report. `npm run train -- --help` tells the options.
 */
import { quoted } from '../../cli/training/arguments.ts'
import { useBackend } from '../../lib/index.ts'
import { errorLine, runJob } from './job.ts'
import { readOptions } from './options.ts'

const args = process.argv.slice(2)
const options = readOptions(args)
const command = ['npm run train', ...(args.length > 0 ? ['--', ...args.map(quoted)] : [])].join(' ')

const { batchNorm } = options
if (batchNorm === 'native' || batchNorm === 'typescript') {
  try {
    useBackend(batchNorm)
  } catch (error) {
    process.stderr.write(errorLine(`--batch-norm ${batchNorm}: ${(error as Error).message}`))
    process.exit(2)
  }
}

const interruption = new AbortController()
process.once('SIGINT', () => interruption.abort())
const { stdout, stderr } = process
process.exitCode = await runJob(options, command, { stdout, stderr, signal: interruption.signal })
