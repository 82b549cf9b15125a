/** `npm run plan-workers -- --channels 64,128,256`; with `-- --help` it tells the options. */
import { writeText } from '../../lib/checkpoints/write.ts'
import { quoted } from '../training/arguments.ts'
import { readOptions } from './options.ts'
import { planPage } from './page.ts'
import { reportOf } from './report.ts'
import { textOf } from './text.ts'

const args = process.argv.slice(2)
const options = readOptions(args)
const report = reportOf(options)
process.stdout.write(`${textOf(report)}\n`)
writeText(options.out, planPage(report, ['npm run plan-workers --', ...args.map(quoted)].join(' ')))
process.stdout.write(`Page: ${options.out}\n`)
