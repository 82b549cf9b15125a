import { readFileSync } from 'node:fs'
import { html } from '../page/markup.ts'
import { factList, pageOf } from '../page/page.ts'
import { MARGIN_TEXT } from '../training/statistics.ts'
import { type Section, sectionOf } from './section.ts'
import { TASKS, type Task } from './study.ts'

/** What made the page, so that it can be made again. */
export interface Origin {
  readonly command: string
  readonly seed: number
  /** How many seeds, from `seed` on. */
  readonly seeds: number
  /** Name and value of what else there is to know: versions, backend, processor. */
  readonly environment: readonly (readonly [name: string, value: string])[]
}

/** The answers as one HTML page that needs nothing else. */
export function explanationOf(
  sections: readonly Section[],
  { command, seed, seeds, environment }: Origin,
): string {
  return pageOf({
    overline: 'batchnorm, the experiment',
    title: 'Three questions about batch norm',
    introduction: html`Each is answered with a claim, with what was measured on 10,000 handwritten digits and on two
spirals, and with the lines of code that show it. Nothing on this page is taken for granted: where a measurement does
not bear a claim out, or so few seeds do not decide it, the table says so.`,
    style: readFileSync(new URL('explain.css', import.meta.url), 'utf8'),
    main: html`<nav aria-label="Questions">
${sections.map(
  ({ name, question, answer }, index) => html`<a class="card" href="#${name}">
<h2><span class="number">${index + 1}</span> ${question}</h2>
<p>${answer}</p>
</a>
`,
)}</nav>
${sections.map((section, index) => sectionOf(section, index + 1))}
<section>
<h2>How it was made</h2>
<pre class="card"><code>${command} --seed ${seed}</code></pre>
${factList([
  ['seeds', `${seed} to ${seed + seeds - 1}`],
  ['digits', scheduleText(TASKS.digits)],
  ['spirals', scheduleText(TASKS.spirals)],
  ...environment,
])}
<p>The same seed gives the same figures, on both backends of the library.</p>
<p>A difference of accuracies is that of two networks with the same seed, so with the same digits, order and initial
weights; its interval is Student’s at 95 %, over the seeds. Two accuracies are called the same only if the whole interval
lies within ${MARGIN_TEXT} of 0, and different only if none of it does. Anything else is not decided. A ± is one standard
deviation over the seeds.</p>
</section>`,
  })
}

function scheduleText({ architectures, counts, schedule }: Task<'relu'>): string {
  const { epochs, batchSize, learningRate } = schedule
  return (
    `${architectures.relu.sizes.join('-')}, ${counts.training} to learn and ${counts.test} to test; ` +
    `${epochs} epochs, batches of ${batchSize}, Adam at ${learningRate}`
  )
}
