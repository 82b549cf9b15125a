/** Every training that the three questions need, once each. */
import { CLASSES, loadDigits, PIXELS, splitDigits } from '../training/digits.ts'
import type { Split } from '../training/examples.ts'
import type { ProgressDisplay } from '../training/progress.ts'
import type { Architecture } from './network.ts'
import { spirals } from './spirals.ts'
import { learn, type Schedule, stepsOf, type Trained } from './training.ts'

/** Examples to learn, the networks that do, and how. */
export interface Task<Name extends string> {
  readonly name: string
  readonly architectures: Record<Name, Architecture>
  readonly counts: { readonly training: number; readonly test: number }
  readonly schedule: Schedule
}

/** What came of a task: each network once for each seed, and the examples of the first seed. */
export interface Outcome<Name extends string> {
  readonly split: Split
  readonly trained: Record<Name, Trained[]>
}

export type SpiralNetwork = 'logistic' | 'stack' | 'relu'
type DigitNetwork = SpiralNetwork | 'reluWithoutGamma' | 'tanh' | 'tanhWithoutGamma'

export interface Study {
  readonly seeds: readonly number[]
  readonly digits: Outcome<DigitNetwork>
  readonly spirals: Outcome<SpiralNetwork>
}

const digitSizes = [PIXELS, 64, 32, CLASSES]
const spiralSizes = [2, 32, 32, 2]

const digitTask: Task<DigitNetwork> = {
  name: 'digits',
  architectures: {
    logistic: { sizes: [PIXELS, CLASSES], batchNorm: 'none', activation: 'none' },
    stack: { sizes: digitSizes, batchNorm: 'with gamma', activation: 'none' },
    relu: { sizes: digitSizes, batchNorm: 'with gamma', activation: 'relu' },
    reluWithoutGamma: { sizes: digitSizes, batchNorm: 'without gamma', activation: 'relu' },
    tanh: { sizes: digitSizes, batchNorm: 'with gamma', activation: 'tanh' },
    tanhWithoutGamma: { sizes: digitSizes, batchNorm: 'without gamma', activation: 'tanh' },
  },
  counts: { training: 8000, test: 2000 },
  schedule: { epochs: 3, batchSize: 64, learningRate: 5e-3 },
}

const spiralTask: Task<SpiralNetwork> = {
  name: 'spirals',
  architectures: {
    logistic: { sizes: [2, 2], batchNorm: 'none', activation: 'none' },
    stack: { sizes: spiralSizes, batchNorm: 'with gamma', activation: 'none' },
    relu: { sizes: spiralSizes, batchNorm: 'with gamma', activation: 'relu' },
  },
  counts: { training: 400, test: 1000 },
  // Whole batches: nothing but the network decides how low the loss gets.
  schedule: { epochs: 200, batchSize: 400, learningRate: 0.02 },
}

/** What a study is of. */
export interface Tasks {
  readonly digits: Task<DigitNetwork>
  readonly spirals: Task<SpiralNetwork>
}

/** The study that the page is made of. */
export const TASKS: Tasks = { digits: digitTask, spirals: spiralTask }

/** How many steps of an optimizer a study takes. */
export function stepsOfStudy({ digits, spirals }: Tasks, seeds: readonly number[]): number {
  const steps = ({ architectures, counts, schedule }: Task<string>) =>
    Object.keys(architectures).length * stepsOf(counts.training, schedule)
  return seeds.length * (steps(digits) + steps(spirals))
}

/** Trains every network with every seed. Throws the signal's reason once it is aborted. */
export async function conduct(
  tasks: Tasks,
  seeds: readonly number[],
  display: ProgressDisplay,
  signal?: AbortSignal,
): Promise<Study> {
  const digits = loadDigits()
  const splitOf = (counts: Task<string>['counts'], seed: number) => splitDigits(digits, counts, seed)
  return {
    seeds,
    digits: await carryOut(tasks.digits, seeds, splitOf, display, signal),
    spirals: await carryOut(tasks.spirals, seeds, spirals, display, signal),
  }
}

async function carryOut<Name extends string>(
  { name, architectures, counts, schedule }: Task<Name>,
  seeds: readonly number[],
  splitOf: (counts: Task<Name>['counts'], seed: number) => Split,
  display: ProgressDisplay,
  signal?: AbortSignal,
): Promise<Outcome<Name>> {
  const names = Object.keys(architectures) as Name[]
  const trained = Object.fromEntries(
    names.map((network) => [network, []]),
  ) as unknown as Outcome<Name>['trained']
  const splits = seeds.map((seed) => splitOf(counts, seed))
  const steps = stepsOf(counts.training, schedule)
  for (const network of names) {
    for (const [index, seed] of seeds.entries()) {
      let step = 0
      const onStep = (loss: number) => {
        signal?.throwIfAborted()
        step++
        display.step(`${name} | ${network} | seed ${seed} | loss ${loss.toFixed(4)}`, step === steps)
      }
      trained[network].push(await learn(architectures[network], splits[index], schedule, seed, onStep))
    }
  }
  return { split: splits[0], trained }
}
