/** The experiment: what people ask about batch norm, measured. */

import { writeText } from '../../lib/checkpoints/write.ts'
import { environment } from '../training/environment.ts'
import { createProgressDisplay } from '../training/progress.ts'
import { startTensorFlow } from '../training/tensorflow.ts'
import { answerActivation } from './activation/experiment.ts'
import { activationSection } from './activation/section.ts'
import { answerGamma } from './gamma/experiment.ts'
import { gammaSection } from './gamma/section.ts'
import { explanationOf } from './page.ts'
import { answerScale } from './scale/experiment.ts'
import { scaleSection } from './scale/section.ts'
import type { Section } from './section.ts'
import { conduct, stepsOfStudy, TASKS } from './study.ts'

export interface ExplainOptions {
  /** Of the splits, the orders and the initial weights; the same seed gives the same figures. Default 1. */
  seed?: number
  /** Where to write the page. Default `explain.html`. */
  out?: string
  /** What makes the page again, but for `--seed`; it is printed on the page. */
  command?: string
  /** Where to show how it goes. Default `process.stderr`. */
  output?: NodeJS.WriteStream
  /** Ends the training; nothing is written then. */
  signal?: AbortSignal
}

/** How often each network is trained, each time with a seed of its own. */
const SEEDS = 5

/**
 * Trains small networks on digits and on spirals, puts three questions to them, and writes the
 * answers as one HTML page that needs nothing else. Takes less than a minute on two cores.
 *
 * @returns the three answers
 * @throws the signal's reason when it is aborted; an error of the file system
 */
export async function explain({
  seed = 1,
  out = 'explain.html',
  command = 'npm run explain --',
  output = process.stderr,
  signal,
}: ExplainOptions = {}): Promise<Section[]> {
  await startTensorFlow()
  const seeds = Array.from({ length: SEEDS }, (_, index) => seed + index)
  const display = createProgressDisplay(output, stepsOfStudy(TASKS, seeds))
  const study = await conduct(TASKS, seeds, display, signal).finally(display.stop)
  const sections = [
    gammaSection(answerGamma(study)),
    activationSection(answerActivation(study)),
    scaleSection(answerScale(study)),
  ]
  writeText(out, explanationOf(sections, { command, seed, seeds: SEEDS, environment: environment() }))
  return sections
}
