import { html } from '../../page/markup.ts'
import { picture } from '../../page/picture.ts'
import { table } from '../../page/table.ts'
import { scientific } from '../../training/format.ts'
import { differenceText, holdsFor, MARGIN_TEXT, relationText, spreadText } from '../../training/statistics.ts'
import { changeText, isTheSame, rewritingCells, rewritingHeader } from '../rewriting.ts'
import type { Claim, Section } from '../section.ts'
import { accuracyChart, changeChart } from './charts.ts'
import type { Comparison, GammaAnswer } from './experiment.ts'

export function gammaSection(answer: GammaAnswer): Section {
  const { relu, tanh, absorbed, folded, movedPastTanh, refusal } = answer
  return {
    name: 'gamma',
    question: 'Does gamma matter before a ReLU?',
    answer:
      'Not if a linear layer follows: relu(γx\u00a0+\u00a0β) = γ\u00a0·\u00a0relu(x\u00a0+\u00a0β/γ) for every γ > 0, so that the next layer ' +
      'can do the scaling as well. There is no such equation for tanh; whether training misses gamma there is measured.',
    claims: claimsOf(answer),
    details: html`${table(
      [
        'Test accuracy, ± standard deviation',
        'with gamma',
        'scale: false',
        'difference, and its 95 % interval',
      ],
      [comparisonRow('before ReLU', relu), comparisonRow('before tanh', tanh)],
    )}
<div class="pair">
${picture(
  'Test accuracy (%) with gamma and without',
  (width) => accuracyChart(answer, width),
  'Thin: one seed, with the same initial weights and digits on both sides. Thick: the mean.',
)}
${picture(
  'Moving gamma in a trained network',
  (width) => changeChart(answer, width),
  `The largest logit is ${scientific(absorbed.largestLogit)}; float32 keeps some 7 digits of it.`,
)}
</div>
${table(rewritingHeader, [
  rewritingCells('ReLU: gamma absorbed', absorbed),
  rewritingCells('ReLU: and batch norm folded', folded),
  rewritingCells('tanh: gamma moved all the same', movedPastTanh),
])}
<p>Asked to move gamma past tanh, <code>absorbScale</code> refuses: <q>${refusal}</q></p>`,
  }
}

function comparisonRow(title: string, { withGamma, withoutGamma, difference }: Comparison): string[] {
  return [title, spreadText(withGamma), spreadText(withoutGamma), differenceText(difference)]
}

function claimsOf({ relu, tanh, absorbed, folded, movedPastTanh }: GammaAnswer): Claim[] {
  return [
    sameAccuracy('Before ReLU', relu),
    {
      claim:
        'absorbScale takes gamma out of the trained network, and no logit changes by a 100,000th of the largest.',
      measured: `The largest change is ${changeText(absorbed)}; ${told(absorbed.toldDifferently)}.`,
      holds: isTheSame(absorbed),
    },
    {
      claim: 'foldIntoPrevious takes out the rest of the batch norm, and that is still so.',
      measured: `The largest change is ${changeText(folded)}; ${told(folded.toldDifferently)}.`,
      holds: isTheSame(folded),
    },
    {
      claim: 'Before tanh, gamma cannot be moved into the next layer.',
      measured:
        `Moved all the same, it changes logits by up to ${changeText(movedPastTanh)}; ` +
        `${told(movedPastTanh.toldDifferently)}.`,
      holds: !isTheSame(movedPastTanh),
    },
    sameAccuracy('Before tanh too, where gamma cannot be moved', tanh),
  ]
}

function sameAccuracy(where: string, { withGamma, difference }: Comparison): Claim {
  return {
    claim: `${where}, training with scale: false reaches the same accuracy, to ${MARGIN_TEXT}.`,
    measured: `${differenceText(difference)} over ${withGamma.length} seeds. ${capitalized(relationText(difference))}.`,
    holds: holdsFor('same', difference),
  }
}

function capitalized(text: string): string {
  return text[0].toUpperCase() + text.slice(1)
}

function told(differently: number): string {
  if (differently === 0) return 'every test digit is told as before'
  return `${differently} test digit${differently === 1 ? ' is' : 's are'} told differently`
}
