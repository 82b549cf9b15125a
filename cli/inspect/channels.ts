import type { BatchNormKey } from '../../lib/checkpoints/batch-norms.ts'
import { html, type Markup } from '../page/markup.ts'
import { plainTable } from '../page/table.ts'
import type { Inspected } from './listing.ts'
import { short } from './numbers.ts'

/** Rows of a table at most: the page of a large model has to open. */
const shown = 128

const columns: readonly [key: BatchNormKey, title: string][] = [
  ['weight', 'gamma'],
  ['bias', 'beta'],
  ['running_mean', 'running mean'],
  ['running_var', 'running variance'],
]

/** The numbers of each channel, those with the most findings first, folded up. */
export function channelTable({ numFeatures, state, findings }: Inspected): Markup {
  const findingsOf = (channel: number) =>
    [...findings].filter(([, channels]) => channels.includes(channel)).map(([finding]) => finding)
  const channels = Array.from({ length: numFeatures }, (_, channel) => ({
    channel,
    names: findingsOf(channel),
  }))
  const present = columns.filter(([key]) => state[key] !== undefined)
  const rows = channels
    .toSorted((a, b) => b.names.length - a.names.length)
    .slice(0, shown)
    .map(({ channel, names }) => [
      String(channel),
      ...present.map(([key]) => short(Number(state[key]?.[channel]))),
      names.join(', '),
    ])
  const left = numFeatures - rows.length
  return html`<details class="channels">
<summary>The channels in numbers</summary>
<p>Those with findings come first.${left > 0 ? ` ${left} more are left out.` : ''}</p>
${plainTable(['channel', ...present.map(([, title]) => title), 'findings'], rows)}
</details>
`
}
