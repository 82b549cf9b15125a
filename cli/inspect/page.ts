import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { version } from '../../package.json'
import { html, Markup } from '../page/markup.ts'
import { factList, pageOf } from '../page/page.ts'
import { figure } from '../page/picture.ts'
import { table } from '../page/table.ts'
import { channelTable } from './channels.ts'
import { chartsOf } from './charts.ts'
import { gapSection, verdictBadges } from './gap-section.ts'
import { findingsOf, type Inspected, meaningsOf, nameOf, noBatchNorm, verdictsOf } from './listing.ts'

/** What a file does not tell. */
interface Assumed {
  readonly eps: number
  readonly data?: string
  readonly momentum?: number | null
}

/** So many batch norms are all shown unfolded; of more, only those with findings. */
const unfolded = 6

/** `batchnorm inspect FILE --html OUT`: one HTML file that needs nothing else. */
export function inspectionPage(path: string, found: readonly Inspected[], assumed: Assumed): string {
  const { eps, data, momentum = 0.1 } = assumed
  const sick = found.filter((each) => findingsOf(each).length > 0)
  const channels = found.reduce((sum, { numFeatures }) => sum + numFeatures, 0)
  const judged = found.filter((each) => verdictsOf(each).length > 0)
  const wrong = [
    ...(sick.length > 0 ? [`${sick.length} have findings`] : []),
    ...(judged.length > 0 ? [`${judged.length} have verdicts on why train and eval differ`] : []),
  ]
  const verdict = wrong.length === 0 ? 'nothing is wrong with them' : wrong.join(', ')
  return pageOf({
    overline: 'batchnorm inspect',
    title: basename(path),
    introduction:
      found.length === 0
        ? html`${noBatchNorm}`
        : html`Batch norms: ${found.length}, with ${channels} channels in all; ${verdict}.`,
    style: readFileSync(new URL('inspect.css', import.meta.url), 'utf8'),
    main: html`${found.length > 0 ? overview(found) : html``}
${found.map((each, index) => section(each, index, eps, found.length))}
<section>
<h2>How it was made</h2>
${factList([
  ['file', path],
  ['eps of the batch norms, assumed', String(eps)],
  ...(data === undefined
    ? []
    : [['data', data] as const, ['momentum of the batch norms, assumed', String(momentum)] as const]),
  ['batchnorm', version],
])}
</section>`,
  })
}

function overview(found: readonly Inspected[]): Markup {
  const rows = found.map((each, index) => [
    html`<a href="#${anchor(index)}">${breakable(nameOf(each))}</a>`,
    String(each.numFeatures),
    each.type,
    String(each.numBatchesTracked ?? 'not stored'),
    badges(each),
  ])
  const meanings = meaningsOf(found)
  return html`<section>
<h2>Batch norms</h2>
${table(['name', 'channels', 'type', 'batches', 'findings'], rows)}
</section>
${meanings.length > 0 ? html`<section><h2>What the findings mean</h2>${factList(meanings)}</section>` : html``}`
}

function badges(each: Inspected): Markup {
  const findings = findingsOf(each)
  const all = findings.map(({ name }) => html`<span class="badge">${name}</span> `)
  const verdicts = verdictBadges(each)
  if (all.length + verdicts.length === 0) return html`<span class="badge ok">ok</span>`
  return html`<span>${[...all, ...verdicts]}</span>`
}

function section(each: Inspected, index: number, eps: number, count: number): Markup {
  const { numFeatures, type, numBatchesTracked, misfits } = each
  const findings = findingsOf(each)
  const isOpen = findings.length + verdictsOf(each).length > 0 || count <= unfolded
  const words = findings.map(({ line, meaning }) => html`<li>${line}. ${meaning}.</li>\n`)
  const charts = misfits.length > 0 ? [] : chartsOf(each, eps)
  const figures = charts.map(({ title, svg, caption }) => figure(title, svg, caption))
  return html`<details${new Markup(isOpen ? ' open' : '')}>
<summary><h2>${breakable(nameOf(each))}</h2> ${badges(each)}</summary>
<p id="${anchor(index)}">Channels: ${numFeatures}. Type: ${type}. Batches: ${numBatchesTracked ?? 'not stored'}.</p>
${findings.length > 0 ? html`<ul>${words}</ul>` : html``}
<div class="charts">
${figures}</div>
${gapSection(each)}${misfits.length > 0 ? html`` : channelTable(each)}</details>
`
}

/** A name that may go on in the next line after a dot. */
function breakable(name: string): Markup {
  return html`${name.split(/(?<=[._])/).map((part) => html`${part}<wbr>`)}`
}

function anchor(index: number): string {
  return `batch-norm-${index + 1}`
}
