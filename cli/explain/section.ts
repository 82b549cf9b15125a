import { readFileSync } from 'node:fs'
import { html, type Markup } from '../page/markup.ts'
import { table } from '../page/table.ts'

/** What is said, what was measured, and whether the measurement bears it out. */
export interface Claim {
  readonly claim: string
  /** In one line, or in several. */
  readonly measured: string
  /** `null` where so few seeds do not decide it. */
  readonly holds: boolean | null
}

/** A question with its answer. */
export interface Section {
  /** The name of the folder that the answer is made in. */
  readonly name: 'gamma' | 'activation' | 'scale'
  readonly question: string
  readonly answer: string
  readonly claims: readonly Claim[]
  readonly details: Markup
}

export function sectionOf({ name, question, claims, details }: Section, number: number): Markup {
  return html`<section id="${name}">
<h2><span class="number">${number}</span> ${question}</h2>
${claimTable(claims)}
${details}
<figure class="card">
<h3>The code that shows it</h3>
<pre><code>${sourceOf(name)}</code></pre>
<figcaption>These are the lines that the figures above were made with.</figcaption>
</figure>
</section>
`
}

export function claimTable(claims: readonly Claim[]): Markup {
  return html`<div class="claims">
${table(
  ['Claim', 'Measured', 'Borne out?'],
  claims.map(({ claim, measured, holds }) => [claim, measured, verdict(holds)]),
)}
</div>`
}

function verdict(holds: Claim['holds']): Markup {
  if (holds === null) return html`<span class="verdict undecided">not decided</span>`
  return holds ? html`<span class="verdict yes">yes</span>` : html`<span class="verdict no">not here</span>`
}

/** The snippet as a user of the package would write it. */
function sourceOf(name: Section['name']): string {
  const source = readFileSync(new URL(`${name}/snippet.ts`, import.meta.url), 'utf8')
  return source.replaceAll('../../../lib/index.ts', 'batchnorm').trimEnd()
}
