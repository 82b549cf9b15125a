/**
 * The job: trains the digits classifier with batch norm, then the same one without, and writes a
 * report; alone or as one of several ranks, or starts those. `npm run train -- --help` tells the options.
 */
import { quoted } from '../../cli/training/arguments.ts'
import { useBackend } from '../../lib/index.ts'
import { errorLine, runJob } from './job.ts'
import { readOptions } from './options.ts'
import { endAfter, endWithParent, joinRanks, RENDEZVOUS } from './rank.ts'
import { startWorkers } from './workers.ts'

const args = process.argv.slice(2)
const options = readOptions(args)
const command = ['npm run train', ...(args.length > 0 ? ['--', ...args.map(quoted)] : [])].join(' ')

const { batchNorm, workers, checkpoint } = options
if (batchNorm === 'native' || batchNorm === 'typescript') {
  try {
    useBackend(batchNorm)
  } catch (error) {
    process.stderr.write(errorLine(`--batch-norm ${batchNorm}: ${(error as Error).message}`))
    process.exit(2)
  }
}

const interruption = new AbortController()
process.on('SIGINT', () => interruption.abort())
const { signal } = interruption
const isWorker = process.env[RENDEZVOUS] !== undefined
if (isWorker) endWithParent()

if (workers !== undefined && workers > 1 && !isWorker) {
  const { ranks, ended } = startWorkers(workers, args, { checkpoint })
  signal.addEventListener('abort', () => {
    for (const rank of ranks) rank.kill('SIGINT')
  })
  const { code, error } = await ended
  if (error !== undefined && !signal.aborted) process.stderr.write(errorLine(error))
  process.exitCode = signal.aborted ? 130 : code
} else {
  try {
    const collective = await joinRanks(options)
    const { stdout, stderr } = process
    process.exitCode = await runJob(options, command, { stdout, stderr, signal, collective })
    collective.close()
  } catch (error) {
    await endAfter(error)
  }
}
