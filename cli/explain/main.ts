/** `npm run explain`; with `-- --help` it tells the options. */
import { runExperiment } from './command.ts'
import { readOptions } from './options.ts'

await runExperiment(readOptions(process.argv.slice(2)), 'npm run explain --')
