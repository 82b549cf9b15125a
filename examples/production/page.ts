import { readFileSync } from 'node:fs'
import { html } from '../../cli/page/markup.ts'
import { factList, pageOf } from '../../cli/page/page.ts'
import { PIXELS } from '../../cli/training/digits.ts'
import { MARGIN_TEXT } from '../../cli/training/statistics.ts'
import { domainStory } from './domain-story.ts'
import { driftStory } from './drift-story.ts'
import { poolingStory } from './pooling-story.ts'
import { ARCHITECTURE, countsOf, dealt, type Settings, scheduleOf } from './settings.ts'
import { type Story, storyOf } from './story.ts'
import type { SeedOutcome } from './study.ts'

/** A digit that shows a turn. */
const DIGIT_SHOWN = 4

/** What made the page, so that it can be made again. */
export interface Origin {
  readonly command: string
  readonly settings: Settings
  /** Name and value of what else there is to know: versions, backend, processor, seconds. */
  readonly environment: readonly (readonly [name: string, value: string])[]
}

export function storiesOf(seeds: readonly SeedOutcome[], settings: Settings): Story[] {
  const { traffic } = countsOf(settings)
  const { inputs, labels } = dealt(settings, seeds[0].seed).test
  const first = labels.indexOf(DIGIT_SHOWN)
  const example = inputs.slice(first * PIXELS, (first + 1) * PIXELS)
  return [driftStory(seeds, example, traffic), poolingStory(seeds, example), domainStory(seeds, traffic)]
}

/** The stories as one HTML page that needs nothing else. */
export function productionPage(
  stories: readonly Story[],
  { command, settings, environment }: Origin,
): string {
  const { seeds } = settings
  const { training, traffic, test } = countsOf(settings)
  const { epochs, batchSize, learningRate } = scheduleOf(settings)
  const style = ['../../cli/explain/explain.css', 'production.css'].map((file) =>
    readFileSync(new URL(file, import.meta.url), 'utf8'),
  )
  return pageOf({
    overline: 'batchnorm in production',
    title: 'When the data is not what it was',
    introduction: html`Three stories about batch norm after the training, measured on handwritten digits. Each claim is decided
by the figures of this run: where they do not bear it out, or the seeds do not agree, the table says so.`,
    style: style.join('\n'),
    main: html`<nav aria-label="Stories">
${stories.map(
  ({ name, question, answer }, index) => html`<a class="card" href="#${name}">
<h2><span class="number">${index + 1}</span> ${question}</h2>
<p>${answer}</p>
</a>
`,
)}</nav>
${stories.map((story, index) => storyOf(story, index + 1))}
<section>
<h2>How it was made</h2>
<pre class="card"><code>${command}</code></pre>
${factList([
  [seeds.length === 1 ? 'seed' : 'seeds', seeds.join(', ')],
  ['digits', `${training} to learn, ${traffic} without labels, ${test} to test`],
  ['network', `${ARCHITECTURE.sizes.join('-')}, batch norm and ReLU`],
  ['schedule', `${epochs} epochs, batches of ${batchSize}, Adam at ${learningRate}`],
  ...environment,
])}
<p>The same settings give the same figures, on both backends of the library. Figures with slashes are those of the seeds,
in their order, a single one is that of each; a ± is one standard deviation over them.</p>
<p>A difference of accuracies is that of the same seed, so of the same digits; its interval is Student’s at 95 %, over the
seeds. There are more told right only if the whole interval is beyond ${MARGIN_TEXT}, and not if none of it is; otherwise, and with one
seed, it is not decided. What is so or not with each seed is borne out if it is so with all of them, and not decided if they differ.</p>
</section>`,
  })
}
