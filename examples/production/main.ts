/** `npm run production`: measures, and writes a page; with `-- --help` it tells the options. */
import { quoted } from '../../cli/training/arguments.ts'
import { readOptions } from './options.ts'
import { runProduction } from './production.ts'

const args = process.argv.slice(2)
const command = ['npm run production', ...(args.length > 0 ? ['--', ...args.map(quoted)] : [])].join(' ')
const interruption = new AbortController()
process.once('SIGINT', () => interruption.abort())
process.exitCode = await runProduction(readOptions(args), command, interruption.signal)
