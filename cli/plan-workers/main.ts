/** `npm run plan-workers -- --channels 64,128,256`; with `-- --help` it tells the options. */
import { writeText } from '../../lib/checkpoints/write.ts'
import { failureOf } from '../failure.ts'
import { quoted } from '../training/arguments.ts'
import type { Network } from './cost.ts'
import { measureHere } from './launch.ts'
import { type EngineName, readOptions } from './options.ts'
import { planPage } from './page.ts'
import { reportOf } from './report.ts'
import { textOf } from './text.ts'

const args = process.argv.slice(2)
const options = readOptions(args)
const report = reportOf(options, options.measure && (await measured(options.measure)))
process.stdout.write(`${textOf(report)}\n`)
writeText(options.out, planPage(report, ['npm run plan-workers --', ...args.map(quoted)].join(' ')))
process.stdout.write(`Page: ${options.out}\n`)

/** Ends the process with one line where an engine is missing. */
async function measured(engine: EngineName): Promise<Network> {
  try {
    return await measureHere(engine)
  } catch (error) {
    const { message, exitCode } = failureOf(error)
    process.stderr.write(`error: ${message}\n`)
    process.exit(exitCode)
  }
}
