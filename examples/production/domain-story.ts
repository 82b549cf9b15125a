import type { Claim } from '../../cli/explain/section.ts'
import { html } from '../../cli/page/markup.ts'
import { picture } from '../../cli/page/picture.ts'
import { table } from '../../cli/page/table.ts'
import { percent } from '../../cli/training/format.ts'
import { changeText, decided, eachText, meanOf, meanText } from './claims.ts'
import { pairChart } from './client-charts.ts'
import { CLIENTS, NEWCOMER } from './clients.ts'
import type { DomainOutcome } from './domains.ts'
import type { Story } from './story.ts'
import type { SeedOutcome } from './study.ts'

export function domainStory(seeds: readonly SeedOutcome[], traffic: number): Story {
  const outcomes = seeds.map(({ domains }) => domains)
  const pairs = pairsOf(outcomes)
  const [{ refusal }] = outcomes
  const newcomer = outcomes.map((outcome) => outcome.newcomer)
  return {
    name: 'domains',
    question: 'One batch norm for all clients, or a domain for each?',
    answer:
      `In the mean of the clients ${meanText(outcomes.map(({ one }) => meanOf(one)))} are told right with one batch norm for all, ` +
      `${meanText(outcomes.map(({ each }) => meanOf(each)))} with a domain each.`,
    method: html`The same training twice, from the same initial weights and with the same digits in the same order: with one
<code>BatchNorm1d</code> for all in each place, and with one <code>DomainBatchNorm1d</code>, whose clients share scale and
shift. Then each has precise statistics of the training: the one those pooled above, each domain those of its client.`,
    claims: claimsOf(outcomes, traffic),
    details: () => html`<div class="pair">
${picture(
  'Test accuracy (%) by client',
  (width) =>
    pairChart(
      pairs,
      ['one', 'each'],
      'Test accuracy with one batch norm for all and with a domain each',
      width,
    ),
  `By client: test digits that look as its own. Thin: one seed. Thick: the mean. The newcomer’s domain has the statistics of ${traffic} of its digits.`,
)}
<figure class="card">
<h3>Without a fallback</h3>
<p><q>${refusal}</q></p>
<figcaption>What a forward throws for a domain that it does not know.</figcaption>
</figure>
</div>
${table(
  ['Test accuracy, by seed', 'one batch norm for all', 'a domain each'],
  [
    ...pairs.map(({ client, before, after }) => [
      client,
      eachText(before, percent),
      eachText(after, percent),
    ]),
    ...CLIENTS.map(({ name }, client) => [
      `${NEWCOMER.name}, fallback: '${name}'`,
      eachText(newcomer, ({ one }) => percent(one)),
      eachText(newcomer, ({ fallbacks }) => percent(fallbacks[client])),
    ]),
  ],
)}`,
  }
}

function pairsOf(outcomes: readonly DomainOutcome[]) {
  return [
    ...CLIENTS.map(({ name }, client) => ({
      client: name,
      before: outcomes.map(({ one }) => one[client]),
      after: outcomes.map(({ each }) => each[client]),
    })),
    {
      client: NEWCOMER.name,
      before: outcomes.map(({ newcomer }) => newcomer.one),
      after: outcomes.map(({ newcomer }) => newcomer.own),
    },
  ]
}

function claimsOf(outcomes: readonly DomainOutcome[], traffic: number): Claim[] {
  const clients = pairsOf(outcomes).slice(0, CLIENTS.length)
  const one = outcomes.map(({ newcomer }) => newcomer.one)
  const own = outcomes.map(({ newcomer }) => newcomer.own)
  const fallbacks = CLIENTS.map((_, client) => outcomes.map(({ newcomer }) => newcomer.fallbacks[client]))
  const best = outcomes.map(({ newcomer }) => Math.max(...newcomer.fallbacks))
  return [
    ...clients.map(({ client, before, after }) => ({
      claim: `${client}: a domain of its own tells more right than one batch norm for all.`,
      measured: `${changeText(before, after)}.`,
      holds: decided('more', before, after),
    })),
    ...fallbacks.map((shares, client) => ({
      claim: `An unknown client: fallback to ‘${CLIENTS[client].name}’ loses no more than 1 point against one batch norm for all.`,
      measured: `${changeText(one, shares)}.`,
      holds: decided('no more', shares, one),
    })),
    {
      claim: `An unknown client: a domain added with the statistics of ${traffic} of its digits, without labels, tells more right than one batch norm for all.`,
      measured: `${changeText(one, own)}.`,
      holds: decided('more', one, own),
    },
    {
      claim: 'And more than whichever fallback is best.',
      measured: `${changeText(best, own)}.`,
      holds: decided('more', best, own),
    },
  ]
}
