import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { version } from '../../../package.json'
import { explanations, findingLines } from '../../inspect/summarize.ts'
import { html, Markup } from '../../page/markup.ts'
import { factList, pageOf } from '../../page/page.ts'
import { figure } from '../../page/picture.ts'
import { table } from '../../page/table.ts'
import { chartsOf } from './charts.ts'
import { type Inspected, kindsOf, nameOf, noBatchNorm } from './listing.ts'

/** So many batch norms are all shown unfolded; of more, only those with findings. */
const unfolded = 6

/** `batchnorm inspect FILE --html OUT`: one HTML file that needs nothing else. */
export function inspectionPage(path: string, found: readonly Inspected[], eps: number): string {
  const sick = found.filter(({ findings }) => findings.size > 0)
  const channels = found.reduce((sum, { numFeatures }) => sum + numFeatures, 0)
  const verdict = sick.length === 0 ? 'nothing is wrong with them' : `${sick.length} have findings`
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
  const kinds = kindsOf(found)
  const meanings = kinds.map((finding) => [finding, explanations[finding]] as const)
  return html`<section>
<h2>Batch norms</h2>
${table(['name', 'channels', 'type', 'batches', 'findings'], rows)}
</section>
${kinds.length > 0 ? html`<section><h2>What the findings mean</h2>${factList(meanings)}</section>` : html``}`
}

function badges({ findings }: Inspected): Markup {
  if (findings.size === 0) return html`<span class="badge ok">ok</span>`
  const all = [...findings.keys()].map((finding) => html`<span class="badge">${finding}</span> `)
  return html`<span>${all}</span>`
}

function section(each: Inspected, index: number, eps: number, count: number): Markup {
  const { findings, numFeatures, type, numBatchesTracked } = each
  const isOpen = findings.size > 0 || count <= unfolded
  const kinds = [...findings.keys()]
  const words = findingLines(each).map((line, at) => html`<li>${line}. ${explanations[kinds[at]]}.</li>\n`)
  const figures = chartsOf(each, eps).map(({ title, svg, caption }) => figure(title, svg, caption))
  return html`<details${new Markup(isOpen ? ' open' : '')}>
<summary><h2>${breakable(nameOf(each))}</h2> ${badges(each)}</summary>
<p id="${anchor(index)}">Channels: ${numFeatures}. Type: ${type}. Batches: ${numBatchesTracked ?? 'not stored'}.</p>
${findings.size > 0 ? html`<ul>${words}</ul>` : html``}
<div class="triple">
${figures}</div>
</details>
`
}

/** A name that may go on in the next line after a dot. */
function breakable(name: string): Markup {
  return html`${name.split(/(?<=[._])/).map((part) => html`${part}<wbr>`)}`
}

function anchor(index: number): string {
  return `batch-norm-${index + 1}`
}
