import { Command } from 'commander'

export interface Options {
  /** Only cases whose name contains this. */
  readonly filter: string
  /** Where to write all figures; `undefined`: nowhere. */
  readonly json?: string
}

export function readOptions(args: readonly string[]): Options {
  return new Command('npm run bench --')
    .description(
      'Measures the library from JavaScript. BATCHNORM_NUM_THREADS and BATCHNORM_INSTRUCTION_SET choose how it runs.',
    )
    .option('--filter <text>', "only cases whose name contains this, such as 'backward' or '(32, 64)'", '')
    .option('--json <file>', 'where to write all figures')
    .allowExcessArguments(false)
    .parse(args, { from: 'user' })
    .opts<Options>()
}
