import { html, type Markup } from '../page/markup.ts'
import { factList, pageOf } from '../page/page.ts'
import { picture } from '../page/picture.ts'
import { table } from '../page/table.ts'
import { timeChart } from './chart.ts'
import { shown } from './plan.ts'
import type { Report } from './report.ts'
import { cellsAlone, cellsOf, titles, titlesAlone } from './table.ts'

/** The report as one HTML page that needs nothing else. */
export function planPage(report: Report, command: string): string {
  const { plans, facts, sentences } = report
  return pageOf({
    overline: 'batchnorm plan-workers',
    title: 'What synchronizing costs',
    introduction: html`Batch norms that share their statistics wait for each other twice a step: in the forward and in the
backward. This is what that adds to a step of training, from the latency alpha of a message and the time beta that each
of its bytes takes. Nothing here was timed but what alpha and beta say they were.`,
    style: '',
    main: html`${picture('A step against the number of ranks', (width) => timeChart(plans, width), caption())}
<section>
<h2>Figures</h2>
${table(titles, shown(plans).map(cellsOf))}
${sentences.map((sentence) => html`<p>${sentence}</p>\n`)}
</section>
${aloneSection(report)}
<section>
<h2>How it was made</h2>
<pre class="card"><code>${command}</code></pre>
${factList(facts)}
<p>Tree: ceil(log2 P) (alpha + bytes beta) a collective. Ring: 2 (P − 1) (alpha + bytes / P beta). Thakur, Rabenseifner and
Gropp, Optimization of Collective Communication Operations in MPICH, 2005. The averaging of gradients is not in it.</p>
</section>`,
  })
}

function caption(): Markup {
  return html`Sums alone, dashed: 2 ceil(log2 P) (alpha + 16 C beta) a layer, a tree with two numbers a channel in each
message. The tree and the ring carry what the library sends: the moments of every rank in a slot of its own, so that the
bits do not depend on the engine, or sums where those would be too many; and before each a header, by which every rank
sees that all are in the same operation.`
}

function aloneSection({ options: { batch }, plans }: Report): Markup {
  if (batch === undefined) return html``
  const rows = shown(plans).map((plan) => [String(plan.ranks), ...cellsAlone(plan, batch)])
  return html`<section>
<h2>Without synchronizing</h2>
<p>Of ${batch} values a channel each rank has its part. The variance of that part alone is off by so much, one standard
error for values that are distributed normally.</p>
${table(['ranks', ...titlesAlone], rows)}
</section>`
}
