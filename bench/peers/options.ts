import { Command, InvalidArgumentError } from 'commander'
import { collectShape, type Shape } from '../../lib/measure/shapes.ts'

export interface Options {
  readonly quick: boolean
  readonly shapes: readonly Shape[]
  readonly threads: readonly number[]
  readonly rounds: number
  /** Bytes; `undefined`: what the system tells. */
  readonly cache?: number
  /** Where to write; the picture goes beside it. `undefined`: nowhere. */
  readonly json?: string
}

const quickShapes: readonly Shape[] = [
  [32, 64],
  [256, 512],
  [4096, 256],
  [32, 64, 1024],
]

/** The last is for the cost an element of very large tensors. */
const allShapes: readonly Shape[] = [
  ...quickShapes,
  [128, 1000],
  [1024, 512],
  [32, 512, 49],
  [100000, 10],
  [8, 32, 4096],
  [4096, 1024],
  [65536, 64],
  [64, 128, 784],
  [256, 256, 14 * 14],
  [65536, 256],
  [16384, 2048],
  [65536, 2048],
]

const fullReport = 'bench/peers/results.json'

export function readOptions(args: readonly string[]): Options {
  const given = new Command('npm run bench:peers --')
    .description('Measures this library and its peers side by side, round by round, and judges the targets.')
    .option('--quick', 'few shapes and rounds: about half a minute', false)
    .option('--shapes <shape...>', 'such as 4096,256 32,64,1024', collectShape)
    .option('--threads <count...>', 'numbers of threads', collectCount)
    .option('--rounds <count>', 'turns of each contestant (default: 7, quick 3)', positiveInteger)
    .option(
      '--cache <MiB>',
      'the last-level cache that this machine has (default: what the system tells)',
      positiveInteger,
    )
    .option(
      '--json <file>',
      `where to write results, and a picture beside them (default: ${fullReport}, if all is measured)`,
    )
    .allowExcessArguments(false)
    .parse(args, { from: 'user' })
    .opts<Partial<Options> & { quick: boolean }>()
  const { quick } = given
  const partial = quick || [given.shapes, given.threads, given.rounds].some((each) => each !== undefined)
  return {
    quick,
    shapes: given.shapes ?? (quick ? quickShapes : allShapes),
    threads: [...(given.threads ?? [1, 2])].sort((a, b) => a - b),
    rounds: given.rounds ?? (quick ? 3 : 7),
    ...(given.cache !== undefined && { cache: given.cache * 2 ** 20 }),
    json: given.json ?? (partial ? undefined : fullReport),
  }
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('Expected a positive integer.')
}

function collectCount(text: string, previous?: readonly number[]): number[] {
  return [...(previous ?? []), positiveInteger(text)]
}
