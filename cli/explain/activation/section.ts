import { html } from '../../page/markup.ts'
import { figure, picture } from '../../page/picture.ts'
import { plainTable, table } from '../../page/table.ts'
import { percent, scientific } from '../../training/format.ts'
import { differenceText, holdsFor, MARGIN_TEXT, spreadText } from '../../training/statistics.ts'
import { changeText, isTheSame, rewritingCells, rewritingHeader } from '../rewriting.ts'
import { ROUNDING } from '../rounding.ts'
import type { Claim, Section } from '../section.ts'
import { PARTS, regionChart, saturationChart } from './charts.ts'
import type { ActivationAnswer, Standing } from './experiment.ts'

const NETWORKS = [
  { network: 'logistic', title: 'Logistic regression', short: 'Logistic regression' },
  { network: 'stack', title: 'Linear and batch norm, without activations', short: 'Without activations' },
  { network: 'relu', title: 'The same with ReLU', short: 'With ReLU' },
] as const

export function activationSection(answer: ActivationAnswer): Section {
  const { digits, spirals, regions, spiralPoints, training, evaluation, tanh, refusal } = answer
  return {
    name: 'activation',
    question: 'Can batch norm replace the activation?',
    answer:
      'No. In eval mode it scales and shifts by constants, so that linear layers and batch norms, however many, are ' +
      'one linear layer. What it does do is to bring values to where an activation bends.',
    claims: claimsOf(answer),
    details: html`${table(
      [
        'Network',
        'digits: test accuracy, ± standard deviation',
        'spirals: test accuracy, ± standard deviation',
        'spirals: last loss',
      ],
      NETWORKS.map(({ network, title }) => [
        title,
        spreadText(digits.accuracies[network]),
        spreadText(spirals.accuracies[network]),
        rangeText(spirals.losses[network]),
      ]),
    )}
<div class="triple">
${NETWORKS.map(({ short }, index) =>
  figure(
    short,
    regionChart(regions[index], short, spiralPoints),
    `${percent(regions[index].accuracy)} of the test points are told right.`,
  ),
)}
</div>
${table(rewritingHeader, [
  rewritingCells('digits: the stack as one Linear', digits.collapsed),
  rewritingCells('spirals: the stack as one Linear', spirals.collapsed),
])}
<div class="pair">
${picture(
  'What tanh is given',
  (width) => saturationChart(tanh, width),
  html`${PARTS.map(({ part }) => html`<span class="key ${part}">${part}</span> `)}<br>The values around
the first batch norm of the tanh network, by the slope of tanh: linear from 0.9 on, saturated below 0.1, dead below 0.01.`,
)}
<figure class="card">
<h3>Is batch norm affine?</h3>
${plainTable(
  ['linearity', 'in training', 'in eval'],
  [
    ['off from affine', ...[training, evaluation].map(({ deviation }) => scientific(deviation))],
    ['one sample moves another', ...[training, evaluation].map(({ coupling }) => scientific(coupling))],
  ],
)}
<figcaption>Relative to the largest output. With a ReLU in between, <code>collapse</code> refuses:
<q>${refusal}</q></figcaption>
</figure>
</div>`,
  }
}

function claimsOf({
  digits,
  spirals,
  training,
  evaluation,
  affineError,
  largestOutput,
  tanh,
}: ActivationAnswer): Claim[] {
  return [
    noMoreThanLogistic('digits', digits),
    noMoreThanLogistic('spirals', spirals),
    {
      claim:
        'collapse turns the trained stack into one Linear; no logit changes by a 100,000th of the largest.',
      measured:
        `The largest change: digits ${changeText(digits.collapsed)}, spirals ${changeText(spirals.collapsed)}; ` +
        `told differently: ${digits.collapsed.toldDifferently} and ${spirals.collapsed.toldDifferently} test examples.`,
      holds: isTheSame(digits.collapsed) && isTheSame(spirals.collapsed),
    },
    {
      claim: `The same stack with ReLU learns more, by over ${MARGIN_TEXT}, on both.`,
      measured: `digits ${differenceText(digits.reluOverStack)}, spirals ${differenceText(spirals.reluOverStack)}.`,
      holds: holdsOnBoth(digits, spirals),
    },
    {
      claim: 'In eval mode batch norm is affine: y = scale · x + shift, with the numbers of toAffine.',
      measured:
        `linearity: ${scientific(evaluation.deviation)} from affine, and one sample moves another by ` +
        `${scientific(evaluation.coupling)}; toAffine is off by at most ${scientific(affineError)} of ` +
        `${scientific(largestOutput)}.`,
      holds: evaluation.coupling === 0 && affineError < ROUNDING * largestOutput,
    },
    {
      claim: 'In training it is not: samples of a batch move one another.',
      measured:
        `linearity: ${scientific(training.deviation)} from affine; replacing one sample of 1,000 moves another by ` +
        `${scientific(training.coupling)} of the largest output.`,
      holds: training.coupling > ROUNDING && training.deviation > ROUNDING,
    },
    {
      claim: 'Batch norm keeps tanh out of saturation.',
      measured:
        `Saturated or dead before it: ${percent(tanh.before.saturated + tanh.before.dead)} of the values; ` +
        `normalized: ${percent(tanh.after.saturated + tanh.after.dead)}.`,
      holds: tanh.after.saturated + tanh.after.dead < tanh.before.saturated + tanh.before.dead,
    },
  ]
}

function noMoreThanLogistic(task: string, { stackOverLogistic }: Standing): Claim {
  return {
    claim: `Without activations, the stack reaches no more than logistic regression on the ${task}, to ${MARGIN_TEXT}.`,
    measured: `${differenceText(stackOverLogistic)} in test accuracy.`,
    holds: holdsFor('no more', stackOverLogistic),
  }
}

function holdsOnBoth(...standings: Standing[]): boolean | null {
  const each = standings.map(({ reluOverStack }) => holdsFor('more', reluOverStack))
  if (each.includes(false)) return false
  return each.includes(null) ? null : true
}

function rangeText(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toPrecision(3))
  return `${least} to ${most}`
}
