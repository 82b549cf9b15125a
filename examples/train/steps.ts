import { html, type Markup } from '../../cli/page/markup.ts'
import { table } from '../../cli/page/table.ts'
import { milliseconds } from '../../cli/training/format.ts'
import { hasBatchNorm, nameOf, type Run } from './run.ts'

/** Where the time of a step goes: parts that add up to it. */
export function stepSection(runs: readonly Run[]): Markup {
  const row = (title: string, part: (run: Run) => number) => [
    title,
    ...runs.map((run) => milliseconds(part(run))),
  ]
  const rows = [
    [
      'batch norm, forward and backward, and its copies out of and into tensors',
      ...runs.map((run) => (hasBatchNorm(run) ? milliseconds(run.stepTime.batchNorm) : '–')),
    ],
    [
      'Adam, given the gradients',
      ...runs.map(({ stepTime, variables }) => `${milliseconds(stepTime.update)} (${variables} variables)`),
    ],
    row(
      'the rest of TensorFlow.js: dense layers, ReLU, loss, and their gradients',
      ({ stepTime: { whole, batchNorm, update } }) => whole - batchNorm - update,
    ),
    row('a step', ({ stepTime }) => stepTime.whole),
  ]
  return html`<section>
<h2>Where the time goes</h2>
${table(['Part of a step', ...runs.map(nameOf)], rows)}
<p>Means over the middle half of the steps by their time. A network with batch norm costs more than its batch norm:
Adam has a gamma and a beta more to update for each, and TensorFlow.js more operations to record and to go back through,
among them the marks that measure this.</p>
</section>`
}
