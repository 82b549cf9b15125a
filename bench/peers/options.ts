import { resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { collectShape } from '../../cli/measure/shapes.ts'
import type { Shape } from '../../lib/tensor/shape.ts'

export interface Options {
  readonly quick: boolean
  readonly shapes: readonly Shape[]
  readonly threads: readonly number[]
  readonly rounds: number
  /** A folder with Debian 13; `undefined`: there is none. */
  readonly debian13?: string
  readonly save: boolean
}

const quickShapes: readonly Shape[] = [
  [32, 64],
  [256, 512],
  [4096, 256],
  [32, 64, 1024],
]

const allShapes: readonly Shape[] = [
  ...quickShapes,
  [128, 1000],
  [1024, 512],
  [3000, 768],
  [20000, 512],
  [65536, 16],
  [100000, 10],
  [4096, 1024],
  [65536, 64],
  [65536, 256],
  [16384, 2048],
  [32, 512, 49],
  [16, 256, 14 * 14],
  [256, 256, 14 * 14],
  [16, 48, 500],
  [64, 128, 784],
  [128, 64, 900],
  [8, 32, 4096],
]

export function readOptions(args: readonly string[]): Options {
  const given = new Command('npm run bench:peers --')
    .description('Measures this library and its peers side by side, round by round, and judges the goals.')
    .option('--quick', 'few shapes and rounds: about a minute', false)
    .option('--shapes <shape...>', 'such as 4096,256 32,64,1024', collectShape)
    .option('--threads <count...>', 'numbers of threads', collectCount)
    .option('--rounds <count>', 'turns of each contestant (default: 5, quick 3)', positiveInteger)
    .addOption(
      new Option(
        '--debian-13 <folder>',
        'where debootstrap put Debian 13, whose PyTorch and oneDNN are run by chroot',
      ).env('BATCHNORM_DEBIAN_13'),
    )
    .addOption(
      new Option('--save', "keep the figures in this processor's results file, and make the picture of all")
        .default(false)
        .conflicts(['quick', 'shapes', 'threads']),
    )
    .allowExcessArguments(false)
    .parse(args, { from: 'user' })
    .opts<Partial<Options> & Pick<Options, 'quick' | 'save'>>()
  const { quick, save } = given
  return {
    quick,
    save,
    shapes: given.shapes ?? (quick ? quickShapes : allShapes),
    threads: [...(given.threads ?? [1, 2])].sort((a, b) => a - b),
    rounds: given.rounds ?? (quick ? 3 : 5),
    ...(given.debian13 !== undefined && { debian13: resolve(given.debian13) }),
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
