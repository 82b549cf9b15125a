#!/usr/bin/env node
/** The command `batchnorm`. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { Shape } from '../lib/tensor/shape.ts'
import { version } from '../package.json'
import { build } from './addon/build.ts'
import { doctor } from './addon/doctor.ts'
import { explain } from './explain/index.ts'
import { describeExplain } from './explain/options.ts'
import { Failure } from './failure.ts'
import type { Pair } from './fold.ts'
import { foldAny } from './fold-any.ts'
import { inspect } from './inspect/inspect.ts'
import { collectShape } from './measure/shapes.ts'
import { oneLine, printableLines } from './printable.ts'

const program = new Command('batchnorm')
  .description(
    'Batch norms of checkpoints, inspected and folded away; and how batch norm runs here, and how fast.',
  )
  .version(version)
  .showSuggestionAfterError(false) // an error is one line
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(printableLines(text)) })

program
  .command('inspect')
  .description('List the batch norms of a safetensors file, and what is wrong with each.')
  .argument('<file>', 'a safetensors file, or the index of one in shards')
  .option('--eps <number>', 'of the batch norms, which a file does not tell', nonNegative, 1e-5)
  .option(
    '--data <file>',
    'inputs of the batch norms, <batch norm>.input: say why train and eval differ on them',
  )
  .option('--momentum <number>', 'of the batch norms, or null; for --data (default: 0.1)', momentum)
  .addOption(new Option('--json', 'as JSON').default(false).conflicts('html'))
  .option('--html <file>', 'write a page with pictures')
  .option('--force', 'write over a file that is there', false)
  .action(async (path, options) => say(await inspect(path, options)))

program
  .command('fold')
  .description('Fold batch norms into the layers before them, and write the file without them.')
  .argument('<model>', 'a safetensors file, or the index of one in shards, or an .onnx file')
  .option('--into <layer=batchnorm>', 'a pair of prefixes, such as fc1=bn1; again for each pair', pairs)
  .requiredOption('-o, --output <file>', 'where to write')
  .option('--transposed <layer>', 'a layer that is a transposed convolution; again for each', collect)
  .addOption(
    new Option('--none-transposed', 'no layer is one, which the shape of a weight may leave open').conflicts(
      'transposed',
    ),
  )
  .option(
    '--eps <number>',
    'of the batch norms, which a safetensors file does not tell (default: 1e-5)',
    nonNegative,
  )
  .option('--force', 'write over a file that is there', false)
  .addHelpText('after', '\nAn .onnx file tells layers and eps itself: it takes --output and --force alone.')
  .action(async (path, options) => say(await foldAny(path, options)))

program
  .command('bench')
  .description('Measure forward in training, backward and eval on this machine, on both backends.')
  .option('--shape <N,C[,L]>', 'such as 4096,256; again for each shape (default: four)', collectShape)
  .option('--threads <count>', 'of the native backend (default: as many as it finds good)', threadCount)
  .option('--json', 'as JSON', false)
  .action(async ({ shape = usualShapes, ...options }) => {
    // Only here: nothing else needs what measures.
    const { bench } = await import('./bench/bench.ts')
    say(await bench({ shape, ...options }))
  })

program
  .command('build')
  .description(
    'Compile the native addon, or engines of batchnorm/distributed, from the sources in the package.',
  )
  .addOption(
    new Option('--optional', 'say so and succeed where there is no compiler')
      .default(false)
      .conflicts(['gloo', 'mpi']),
  )
  .option('--gloo', 'the engine gloo() instead', false)
  .option('--mpi', 'the engine mpi() instead; both may be given', false)
  .action((options) => say(build(options)))

program
  .command('doctor')
  .description('Tell which backend runs here and how, and what to do where it is not the native one.')
  .action(() => say(doctor()))

describeExplain(program.command('explain')).action(explain)

/** What a call costs; the cache; memory; the other layout. */
const usualShapes: readonly Shape[] = [
  [32, 64],
  [256, 512],
  [4096, 256],
  [32, 64, 1024],
]

// Whoever reads may stop reading: `batchnorm inspect model.safetensors | head -1`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

/** The one way out: names in a file are anybody's. */
function say(text: string): void {
  process.stdout.write(`${printableLines(text)}\n`)
}

function nonNegative(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value
  throw new InvalidArgumentError('Expected a number of at least 0.')
}

function momentum(text: string): number | null {
  if (text === 'null') return null
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 1) return value
  throw new InvalidArgumentError('Expected a number from 0 to 1, or null.')
}

function threadCount(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= 1024) return value
  throw new InvalidArgumentError('Expected an integer from 1 to 1024.')
}

function collect(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text]
}

function pairs(text: string, previous: readonly Pair[] = []): Pair[] {
  const parts = text.split('=')
  if (parts.length !== 2 || parts[0] === '') {
    throw new InvalidArgumentError('Expected LAYER=BATCHNORM, such as fc1=bn1.')
  }
  return [...previous, { layer: parts[0], batchNorm: parts[1] }]
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2
  } else if (error instanceof Failure) {
    process.stderr.write(`error: ${oneLine(error.message)}\n`)
    process.exitCode = error.exitCode
  } else {
    throw error
  }
}
