/** What the page is made of: every training and every measurement, for each seed. */
import { setImmediate } from 'node:timers/promises'
import { learn, stepsOf } from '../../cli/explain/training.ts'
import type { ProgressDisplay } from '../../cli/training/progress.ts'
import { domainEach, oneForAll, trainOnAll } from './clients.ts'
import { type DomainOutcome, domainsOf } from './domains.ts'
import { driftOf, SERIES, type SeriesOutcome, settle } from './drift.ts'
import { type PoolingOutcome, poolingOf } from './pooling.ts'
import { ARCHITECTURE, countsOf, type Dealt, dealt, type Settings, scheduleOf } from './settings.ts'

/** What came of one seed. */
export interface SeedOutcome {
  readonly seed: number
  /** In the order of `SERIES`. */
  readonly series: readonly SeriesOutcome[]
  readonly pooling: PoolingOutcome
  readonly domains: DomainOutcome
}

/** The trainings of a seed, and what is measured with them. */
const TRAININGS = 3
const MEASUREMENTS = SERIES.length + 2

export function stepsOfStudy(settings: Settings): number {
  const training = stepsOf(countsOf(settings).training, scheduleOf(settings))
  return settings.seeds.length * (TRAININGS * training + MEASUREMENTS)
}

/** The same settings give the same outcomes, on both backends. Throws the signal's reason once it is aborted. */
export async function conduct(
  settings: Settings,
  display: ProgressDisplay,
  signal?: AbortSignal,
): Promise<SeedOutcome[]> {
  const outcomes: SeedOutcome[] = []
  for (const seed of settings.seeds) outcomes.push(await ofSeed(settings, seed, display, signal))
  return outcomes
}

async function ofSeed(
  settings: Settings,
  seed: number,
  display: ProgressDisplay,
  signal?: AbortSignal,
): Promise<SeedOutcome> {
  const digits: Dealt = dealt(settings, seed)
  const schedule = scheduleOf(settings)
  const show = (text: string, isMilestone: boolean) => {
    signal?.throwIfAborted()
    display.step(`seed ${seed} | ${text}`, isMilestone)
  }
  const training = (name: string) => {
    let left = stepsOf(digits.training.count, schedule)
    return (loss: number) => show(`${name} | loss ${loss.toFixed(4)}`, --left === 0)
  }
  const measured = async <Outcome>(name: string, work: Promise<Outcome>) => {
    const outcome = await work
    show(`measured: ${name}`, true)
    // Lets Ctrl-C in.
    await setImmediate()
    return outcome
  }

  const { network } = await learn(ARCHITECTURE, digits, schedule, seed, training('plain digits'))
  await settle(network, digits.training)
  const series: SeriesOutcome[] = []
  for (const each of SERIES) series.push(await measured(each.name, driftOf(network, digits, each)))

  const one = await trainOnAll(digits.training, oneForAll, settings, seed, training('one for all'))
  const each = await trainOnAll(digits.training, domainEach, settings, seed, training('a domain each'))
  // Leaves the pooled statistics to `one`, which are those that it is tested with.
  const pooling = await measured('pooling', poolingOf({ ...one.network, batchNorms: one.modules }, digits))
  const domains = await measured('domains', domainsOf(one, each, digits))
  for (const { model } of [one, each]) model.dispose()
  return { seed, series, pooling, domains }
}
