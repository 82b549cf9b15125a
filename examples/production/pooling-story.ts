import type { Claim } from '../../cli/explain/section.ts'
import { drawDigit } from '../../cli/page/digit.ts'
import { html } from '../../cli/page/markup.ts'
import { picture } from '../../cli/page/picture.ts'
import { table } from '../../cli/page/table.ts'
import { percent, scientific } from '../../cli/training/format.ts'
import { changeText, decided, eachText, inEverySeed, meanOf, meanText } from './claims.ts'
import { pairChart, ratios, varianceChart } from './client-charts.ts'
import { CLIENTS, NEWCOMER } from './clients.ts'
import type { PoolingOutcome, Variances } from './pooling.ts'
import type { Story } from './story.ts'
import type { SeedOutcome } from './study.ts'

/** Clients send float32, which keeps some 7 digits. */
const ROUNDING = 1e-6

export function poolingStory(seeds: readonly SeedOutcome[], example: Float32Array): Story {
  const outcomes = seeds.map(({ pooling }) => pooling)
  const pairs = CLIENTS.map(({ name }, client) => ({
    client: name,
    before: outcomes.map(({ averaged }) => averaged[client]),
    after: outcomes.map(({ pooled }) => pooled[client]),
  }))
  const [{ layers, refusal }] = outcomes
  return {
    name: 'pooling',
    question: 'What do running statistics of several clients make together?',
    answer:
      `Averaged, a channel’s variance is down to ${eachText(outcomes, ({ layers }) => percent(leastOf(layers)))} of the union’s, ` +
      `and ${meanText(outcomes.map(({ averaged }) => meanOf(averaged)))} are told right; pooled, ` +
      `${meanText(outcomes.map(({ pooled }) => meanOf(pooled)))}.`,
    method: html`Three clients train one network, each batch with digits of all of them; of six digits the first has three,
the second two, the third one. Then each sends the running statistics of its own digits, a round for each batch norm,
and they are made one: by <code>pool</code>, which has the variance between the clients’ means in it, or by the average, as
of any other weight.`,
    claims: claimsOf(outcomes),
    details: () => html`<ul class="card digits">
${[...CLIENTS, NEWCOMER].map(({ name, title, look }) => html`<li>${drawDigit(look(example), `A digit of ${name}`, `It has ${title}.`)}<b>${name}</b>: ${title}</li>\n`)}</ul>
<div class="pair">
${layers.map((variances, layer) => {
  const title = `Running variances, batch norm ${layer + 1}`
  return picture(
    title,
    (width) => varianceChart(variances, title, width),
    html`<span class="key adapted">pooled</span><span class="key source">averaged (triangles)</span><br>A point for each of ${variances.union.length} channels,
seed ${seeds[0].seed}. On the line: the variance of the union of all digits.`,
  )
})}
</div>
<div class="pair">
${picture(
  'Test accuracy (%) of the one network',
  (width) =>
    pairChart(pairs, ['mean', 'pool'], 'Test accuracy with averaged and with pooled statistics', width),
  'By client, with the mean of the running statistics and with the pooled ones: test digits that look as its own. Thin: one seed. Thick: the mean of the seeds.',
)}
<figure class="card">
<h3>A client that lies</h3>
<p><q>${refusal}</q></p>
<figcaption>What <code>pool</code> throws when a client sends a negative variance; its place among the clients is the last.
Nothing has been pooled then.</figcaption>
</figure>
</div>
${table(
  ['Test accuracy, by seed', 'averaged', 'pooled'],
  pairs.map(({ client, before, after }) => [client, eachText(before, percent), eachText(after, percent)]),
)}`,
  }
}

function claimsOf(outcomes: readonly PoolingOutcome[]): Claim[] {
  const errors = outcomes.map(({ layers }) =>
    Math.max(
      ...layers.flatMap(({ pooled, union }) => ratios(pooled, union).map((ratio) => Math.abs(ratio - 1))),
    ),
  )
  const below = outcomes.map(({ layers }) => {
    const all = layers.flatMap(({ averaged, union }) => ratios(averaged, union))
    return all.filter((ratio) => ratio < 1 - ROUNDING).length / all.length
  })
  const [averaged, pooled] = (['averaged', 'pooled'] as const).map((way) =>
    outcomes.map((outcome) => meanOf(outcome[way])),
  )
  return [
    {
      claim: 'Pooled, each variance is that of the union of all digits, to the rounding of float32.',
      measured: `The largest relative difference, by seed: ${eachText(errors, scientific)}.`,
      holds: inEverySeed(errors.map((error) => error < ROUNDING)),
    },
    {
      claim: 'Averaged, the variance of every channel is too small.',
      measured:
        `Too small in ${eachText(below, percent)} of the channels; the least is ` +
        `${eachText(outcomes, ({ layers }) => percent(leastOf(layers)))} of the union’s.`,
      holds: inEverySeed(below.map((share) => share === 1)),
    },
    {
      claim: 'Pooled statistics tell more digits right, in the mean of the clients.',
      measured: `${changeText(averaged, pooled)}.`,
      holds: decided('more', averaged, pooled),
    },
  ]
}

/** The least of averaged over union. */
function leastOf(layers: readonly Variances[]): number {
  return Math.min(...layers.flatMap(({ averaged, union }) => ratios(averaged, union)))
}
