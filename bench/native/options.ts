import { Command, InvalidArgumentError, Option } from 'commander'
import { collectShape } from '../../cli/measure/shapes.ts'
import { allTypes, type Choice, otherOperations, usualOperations } from './cases.ts'

export interface Options extends Choice {
  /** How long the rounds of a shape and a type go on. */
  readonly seconds: number
  readonly instructionSet?: string
  /** Another build of the program, to be held against. */
  readonly against?: string
  /** MiB; `undefined`: what the processor tells. */
  readonly cache?: number
  readonly save: boolean
}

export function readOptions(args: readonly string[]): Options {
  const options = new Command('npm run bench:native --')
    .description('Measures the kernels from C++, in floors: what reading and writing the arrays alone takes.')
    .option('--filter <text>', "only what contains this, such as '(4096, 256) float32' or 'backward'", '')
    .option('--shape <shape...>', 'instead of the usual ones, such as 4096,256 32,64,1024', collectShape)
    .addOption(
      new Option('--types <type...>', 'on all shapes (default: float32 on all, others on few)').choices(
        allTypes,
      ),
    )
    .addOption(
      new Option('--operations <operation...>', 'default: the first five').choices([
        ...usualOperations,
        ...otherOperations,
      ]),
    )
    .option('--threads <count...>', 'numbers of threads', collectCount, undefined)
    .option('--seconds <number>', 'of a shape and a type', Number, 1.5)
    .option('--instruction-set <name>', 'such as avx2 (default: the best)')
    .option('--against <program>', 'another build of bench_native: both are run by turns and compared')
    .option(
      '--cache <MiB>',
      'the last-level cache that this process has (default: what the processor tells)',
      Number,
    )
    .addOption(
      new Option('--save', "keep the figures in this processor's results file")
        .default(false)
        .conflicts(['filter', 'shape', 'types', 'operations', 'threads', 'instructionSet', 'against']),
    )
    .allowExcessArguments(false)
    .parse(args, { from: 'user' })
    .opts<Partial<Options> & Options>()
  return { ...options, threads: options.threads ?? [1, 2] }
}

function collectCount(text: string, previous: readonly number[] = []): number[] {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return [...previous, value].sort((a, b) => a - b)
  throw new InvalidArgumentError('Expected a positive integer.')
}
