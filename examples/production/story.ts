import { type Claim, claimTable } from '../../cli/explain/section.ts'
import { html, type Markup } from '../../cli/page/markup.ts'

/** A part of the page: what is asked, what came of it in short, what was done, and what was measured. */
export interface Story {
  readonly name: 'drift' | 'pooling' | 'domains'
  readonly question: string
  /** Made of the figures. */
  readonly answer: string
  readonly method: Markup
  readonly claims: readonly Claim[]
  /** Tables and pictures, which take their time. */
  readonly details: () => Markup
}

export function storyOf({ name, question, method, claims, details }: Story, number: number): Markup {
  return html`<section id="${name}">
<h2><span class="number">${number}</span> ${question}</h2>
<p>${method}</p>
${claimTable(claims)}
${details()}
</section>
`
}
