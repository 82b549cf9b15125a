import { html, type Markup } from '../../cli/page/markup.ts'
import { table } from '../../cli/page/table.ts'
import { percent } from '../../cli/training/format.ts'
import {
  differenceText,
  pairedDifference,
  relationText,
  spreadText,
  wilsonInterval,
} from '../../cli/training/statistics.ts'
import { accuracyAfter, epochsOf, nameOf, type Run, rightOf } from './run.ts'

/** What the accuracies show, and what they do not: by the digits of one test, or by several seeds. */
export function evidenceSection(trainings: readonly (readonly Run[])[]): Markup {
  const [[first, ...others]] = trainings
  return html`<section>
<h2>How sure the accuracies are</h2>
${others.length === 0 ? ofOneSeed(trainings.map(([run]) => run)) : ofSeveral(trainings, epochsOf(first))}
</section>`
}

function ofOneSeed(runs: readonly Run[]): Markup {
  const rows = runs.map((run) => {
    const [right, count] = [rightOf(run), run.test.count]
    return [
      nameOf(run),
      `${right} of ${count}`,
      percent(right / count),
      wilsonInterval(right, count).map(percent).join(' to '),
      percent(run.trainingAccuracies[run.trainingAccuracies.length - 1]),
    ]
  })
  return html`${table(
    ['Network', 'test digits told right', 'test accuracy', 'its 95 % interval (Wilson)', 'training accuracy'],
    rows,
  )}
<p>${runs.length === 2 ? onlyOneOfThem(runs) : html``}One seed cannot show which network is better, nor by how much. The
intervals only say how far an accuracy may be off because the test has no more digits; another seed draws other digits
to learn, another order and other initial weights, and moves it besides. <code>--seeds 5</code> trains with five and
says what they show together.</p>`
}

function onlyOneOfThem([one, other]: readonly Run[]): Markup {
  const only = (right: Run, wrong: Run) =>
    right.told.filter((told, digit) => {
      const label = right.test.labels[digit]
      return told === label && wrong.told[digit] !== label
    }).length
  return html`${only(one, other)} of the test digits are told right ${nameOf(one)} only, ${only(other, one)}
${nameOf(other)} only. `
}

function ofSeveral(trainings: readonly (readonly Run[])[], epochs: number): Markup {
  const times = epochs === 1 ? [1] : [1, epochs]
  const columns = trainings.flatMap((runs) =>
    times.map((epoch) => ({
      title: `${nameOf(runs[0])}, ${epoch === 1 ? 'first epoch' : `epoch ${epoch}`}`,
      accuracies: runs.map((run) => accuracyAfter(run, epoch)),
    })),
  )
  const rows = [
    ...trainings[0].map(({ seed }, index) => [
      `seed ${seed}`,
      ...columns.map(({ accuracies }) => percent(accuracies[index])),
    ]),
    ['mean ± standard deviation', ...columns.map(({ accuracies }) => spreadText(accuracies))],
  ]
  return html`${table(['Test accuracy', ...columns.map(({ title }) => title)], rows)}
${trainings.length === 2 ? differences(trainings, times) : html``}`
}

function differences([one, other]: readonly (readonly Run[])[], times: readonly number[]): Markup {
  const rows = times.map((epoch) => {
    const [after, before] = [one, other].map((runs) => runs.map((run) => accuracyAfter(run, epoch)))
    const difference = pairedDifference(before, after)
    return [`epoch ${epoch}`, differenceText(difference), relationText(difference)]
  })
  return html`<p>The difference that batch norm makes, seed by seed from the same digits, order and initial weights, with
Student’s 95 % interval of its mean over the ${one.length} seeds:</p>
${table(['After', 'with minus without', 'what the seeds show'], rows)}`
}
