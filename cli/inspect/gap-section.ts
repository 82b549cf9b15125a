import { verdictLine } from '../../lib/analysis/gap/lines.ts'
import { html, type Markup } from '../page/markup.ts'
import { figure } from '../page/picture.ts'
import { gapChartsOf } from './gap-charts.ts'
import { findingsOf, type Inspected, verdictsOf, withoutData } from './listing.ts'
import { short } from './numbers.ts'

/** One for each verdict that is no finding as well, and one where data were given, but not for this. */
export function verdictBadges(each: Inspected): Markup[] {
  if (each.gap === null) return [html`<span class="badge">no data</span> `]
  const others = verdictsOf(each).filter(
    ({ name }) => !findingsOf(each).some((finding) => finding.name === name),
  )
  return others.map(({ name }) => html`<span class="badge">${name}</span> `)
}

/** Why train and eval differ on the data: in words and in pictures; nothing where no data were given. */
export function gapSection(each: Inspected): Markup {
  const { gap } = each
  if (gap === undefined) return html``
  if (gap === null) return html`<h3 class="gap">Train and eval</h3><p>${withoutData(each)}</p>`
  const words = gap.verdicts.map(
    (verdict) =>
      html`<li><strong>${verdictLine(verdict, gap)}.</strong> ${verdict.sentence} Remedy: ${verdict.remedy}.</li>\n`,
  )
  const figures = gapChartsOf(gap).map(({ title, svg, caption }) => figure(title, svg, caption))
  return html`<h3 class="gap">Train and eval</h3>
<p>Gap: ${short(gap.gap)} standard deviations of the training output, ${short(gap.gapAfterRecalibration)} after recalibrate, over
${gap.batches} ${gap.batches === 1 ? 'batch' : 'batches'} of ${short(gap.valuesPerBatch)} values a channel.${gap.verdicts.length === 0 ? ' No verdicts.' : ''}</p>
${words.length > 0 ? html`<ul>${words}</ul>` : html``}
<div class="charts">
${figures}</div>
`
}
