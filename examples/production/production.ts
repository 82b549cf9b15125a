import { environment } from '../../cli/training/environment.ts'
import { createProgressDisplay } from '../../cli/training/progress.ts'
import { startTensorFlow } from '../../cli/training/tensorflow.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import type { Options } from './options.ts'
import { productionPage, storiesOf } from './page.ts'
import { conduct, stepsOfStudy } from './study.ts'

/**
 * Conducts the study, says on stdout what came of each claim, and writes the page.
 *
 * @returns the exit code: 130 after an interruption, which writes no page
 */
export async function runProduction(options: Options, command: string, signal: AbortSignal): Promise<number> {
  const { out, ...settings } = options
  const started = performance.now()
  try {
    await startTensorFlow()
    const display = createProgressDisplay(process.stderr, stepsOfStudy(settings))
    const seeds = await conduct(settings, display, signal).finally(display.stop)
    const stories = storiesOf(seeds, settings)
    for (const { question, claims } of stories) {
      process.stdout.write(`${question}\n`)
      for (const { claim, measured, holds } of claims) {
        const verdict = holds === null ? '?  ' : holds ? 'yes' : 'no '
        process.stdout.write(`  ${verdict} ${claim} ${measured.replaceAll('\n', ' ')}\n`)
      }
    }
    const seconds: [string, string] = ['time', `${((performance.now() - started) / 1000).toFixed(0)} s`]
    const origin = { command, settings, environment: [...environment(), seconds] }
    writeText(out, productionPage(stories, origin))
    process.stdout.write(`Page: ${out}\n`)
    return 0
  } catch (error) {
    if (!signal.aborted) throw error
    process.stderr.write('Interrupted: no page written.\n')
    return 130
  }
}
