/** Digits that change step by step: what `watch` sees of it, and what `adapt` and `recalibrate` bring back. */
import { setImmediate } from 'node:timers/promises'
import { accuracyOf, type Network, run } from '../../cli/explain/network.ts'
import { type Examples, rowsOf } from '../../cli/training/examples.ts'
import { adapt, recalibrate, type Tensor, watch } from '../../lib/index.ts'
import { dimmed, type Look, looking, rotated } from './looks.ts'
import { batchesOf, type Dealt, firstOf } from './settings.ts'

/** One kind of change, from none at all on. */
export interface Series {
  readonly name: 'rotation' | 'brightness'
  readonly title: string
  readonly unit: string
  readonly amounts: readonly number[]
  readonly lookOf: (amount: number) => Look
}

export const SERIES: readonly Series[] = [
  {
    name: 'rotation',
    title: 'Digits turned clockwise',
    unit: '°',
    amounts: [0, 5, 10, 15, 20, 25, 30, 35, 40],
    lookOf: rotated,
  },
  {
    name: 'brightness',
    title: 'Digits dimmed',
    unit: ' %',
    amounts: [100, 85, 70, 55, 40, 30, 20, 15, 10],
    lookOf: (amount) => dimmed(amount / 100),
  },
]

/** How many samples the source counts for, and how many of the target there are. */
export const PRIOR = 16
export const SAMPLES = [16, 64, 256] as const

export interface Step {
  readonly amount: number
  /** The shares of the test digits told right: by the running statistics of the training, adapted by `SAMPLES`, recalibrated. */
  readonly source: number
  readonly adapted: readonly number[]
  readonly recalibrated: number
  /** Whether `watch` had seen a drift when the step's traffic ended. */
  readonly hasDrifted: boolean
  /** The share of the channels of all batch norms that had drifted. */
  readonly channels: number
}

/** What came of a series with one seed. */
export interface SeriesOutcome {
  readonly steps: readonly Step[]
  /** Whether some batch norm told `drift`, and each that did told `recovery` when the digits were as before. */
  readonly hasRecovered: boolean
  /** How often `undo()` was called, and how often all logits of the test digits had their bits again. */
  readonly undone: number
  readonly toTheBit: number
}

/** Gives a trained network the statistics of its digits under its last weights: the moving ones lag behind. */
export async function settle(network: Network, training: Examples): Promise<void> {
  await recalibrate(network.batchNorms, batchesOf(training), (batch) => run(network, rowsOf(batch)))
}

/** A series with the outcome of each seed. */
export interface SeriesOfSeeds {
  readonly series: Series
  readonly outcomes: readonly SeriesOutcome[]
}

export async function driftOf(
  network: Network,
  { traffic, test }: Dealt,
  series: Series,
): Promise<SeriesOutcome> {
  const looks = series.amounts.map(series.lookOf)
  const { seen, hasRecovered } = await watched(
    network,
    looks.map((look) => looking(traffic, look)),
  )
  const outcomes: Restored[] = []
  for (const look of looks)
    outcomes.push(await restored(network, looking(traffic, look), looking(test, look)))
  const toTheBit = outcomes.reduce((sum, outcome) => sum + outcome.toTheBit, 0)
  return {
    steps: series.amounts.map((amount, index) => ({ amount, ...outcomes[index].accuracies, ...seen[index] })),
    hasRecovered,
    undone: looks.length * SAMPLES.length,
    toTheBit,
  }
}

/** A window ends with each step, and in the end the digits are once more as before. */
async function watched(network: Network, steps: readonly Examples[]) {
  const [bn1, bn2] = network.batchNorms
  using watching = watch({ bn1, bn2 }, { every: 1, window: steps[0].count })
  const drifting = new Set<string>()
  let hasDrifted = false
  watching.on('drift', ({ name }) => {
    drifting.add(name)
    hasDrifted = true
  })
  watching.on('recovery', ({ name }) => drifting.delete(name))
  const seen: Pick<Step, 'hasDrifted' | 'channels'>[] = []
  for (const step of [...steps, steps[0]]) {
    for (const batch of batchesOf(step)) run(network, rowsOf(batch))
    // Events come after the forward.
    await setImmediate()
    const reports = watching.report()
    const channels = reports.reduce((sum, report) => sum + report.channels, 0)
    const drifted = reports.reduce((sum, { drift }) => sum + (drift?.drifted.length ?? 0), 0)
    seen.push({ hasDrifted: drifting.size > 0, channels: drifted / channels })
  }
  return { seen, hasRecovered: hasDrifted && drifting.size === 0 }
}

type Restored = Awaited<ReturnType<typeof restored>>

/** The accuracies on `test`, by the source's statistics and by those that some of `traffic` has changed. */
async function restored(network: Network, traffic: Examples, test: Examples) {
  const modules = network.batchNorms
  const images = rowsOf(test)
  const send = (batch: Examples) => run(network, rowsOf(batch))
  const right = (logits: Tensor) => accuracyOf(logits, test.labels)

  const before = run(network, images)
  const adapted: number[] = []
  let toTheBit = 0
  for (const count of SAMPLES) {
    const adaptation = await adapt(modules, [firstOf(traffic, count)], send, { prior: PRIOR })
    adapted.push(right(run(network, images)))
    adaptation.undo()
    if (haveSameBits(before, run(network, images))) toTheBit++
  }

  const states = modules.map((module) => module.stateDict())
  await recalibrate(modules, batchesOf(traffic), send)
  const recalibrated = right(run(network, images))
  for (const [index, module] of modules.entries()) module.loadStateDict(states[index])
  return { accuracies: { source: right(before), adapted, recalibrated }, toTheBit }
}

function haveSameBits(before: Tensor, after: Tensor): boolean {
  return Buffer.from(before.data.buffer, before.data.byteOffset, before.data.byteLength).equals(
    Buffer.from(after.data.buffer, after.data.byteOffset, after.data.byteLength),
  )
}
