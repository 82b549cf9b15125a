import type { Claim } from '../../cli/explain/section.ts'
import { drawDigit } from '../../cli/page/digit.ts'
import { html, type Markup } from '../../cli/page/markup.ts'
import { picture } from '../../cli/page/picture.ts'
import { table } from '../../cli/page/table.ts'
import { changeText, decided, eachText, inEverySeed, meanOf, points } from './claims.ts'
import {
  PRIOR,
  SAMPLES,
  SERIES,
  type Series,
  type SeriesOfSeeds,
  type SeriesOutcome,
  type Step,
} from './drift.ts'
import { accuracyChart, channelChart } from './drift-charts.ts'
import type { Story } from './story.ts'
import type { SeedOutcome } from './study.ts'

/** What a drift may have cost when it is seen, as a share. */
const LOSS_WHEN_SEEN = 0.05
/** A loss that is worth bringing back. */
const LEAST_LOSS = 0.01
const MOST_SAMPLES = SAMPLES.length - 1

/** @param example - a digit, to be shown as it changes */
export function driftStory(seeds: readonly SeedOutcome[], example: Float32Array, traffic: number): Story {
  const all = SERIES.map((series, index) => ({ series, outcomes: seeds.map((seed) => seed.series[index]) }))
  return {
    name: 'drift',
    question: 'Is drift seen before labels show it, and can it be undone?',
    answer: all.map(answerOf).join(' '),
    method: html`A 784-64-32-10 network with two batch norms learned plain digits, and <code>recalibrate</code> gave it the
statistics of them under its last weights. Then what it is sent changes step by step. <code>watch</code> looks at
${traffic} digits a step, without labels. The same digits, or the first ${SAMPLES.join(', ')} of them, give
<code>recalibrate</code> and <code>adapt</code> (with <code>prior: ${PRIOR}</code>) other statistics; the weights stay. Accuracies are of other
digits, with labels.`,
    claims: [...claimsOfAll(all), ...all.flatMap(claimsOfSeries)],
    details: () => html`${all.map((each) => seriesDetails(each, example))}`,
  }
}

/** The values of one figure, seed by seed. */
function valuesOf(
  outcomes: readonly SeriesOutcome[],
  step: number,
  figure: (step: Step) => number,
): number[] {
  return outcomes.map(({ steps }) => figure(steps.at(step) as Step))
}

const sourceOf = ({ source }: Step) => source
const adaptedBy = (samples: number) => (step: Step) => step.adapted[samples]
const recalibrated = (step: Step) => step.recalibrated

/** The share of what is lost that comes back; `null` where next to nothing is lost. */
export function broughtBack(
  outcome: SeriesOutcome,
  step: number,
  figure: (step: Step) => number,
): number | null {
  const [first, now] = [outcome.steps[0], outcome.steps.at(step) as Step]
  const lost = first.source - now.source
  return lost <= LEAST_LOSS ? null : (figure(now) - now.source) / lost
}

/** `71 %`, or in words that there is nothing. */
export function broughtBackText(share: number | null): string {
  if (share === null) return '–'
  return share <= 0 ? 'nothing' : `${Math.round(share * 100)} %`
}

function answerOf({ series, outcomes }: SeriesOfSeeds): string {
  const last = series.amounts.length - 1
  const lost = meanOf(outcomes.map(({ steps }) => steps[0].source - steps[last].source))
  const back = outcomes.map((outcome) => broughtBack(outcome, last, adaptedBy(MOST_SAMPLES)))
  return (
    `${series.title}, to ${series.amounts[last]}${series.unit}: ${points(lost)} points lost, of which ${SAMPLES[MOST_SAMPLES]} ` +
    `unlabelled digits bring back ${eachText(back, broughtBackText)}.`
  )
}

function claimsOfAll(all: readonly SeriesOfSeeds[]): Claim[] {
  const everySeries = (holds: (outcome: SeriesOutcome) => boolean) =>
    inEverySeed(all[0].outcomes.map((_, seed) => all.every(({ outcomes }) => holds(outcomes[seed]))))
  const unchanged = all[0].outcomes
  const before = valuesOf(unchanged, 0, sourceOf)
  const sum = (figure: (outcome: SeriesOutcome) => number) =>
    all.flatMap(({ outcomes }) => outcomes).reduce((total, outcome) => total + figure(outcome), 0)
  return [
    {
      claim: 'Other digits that look like the learned ones are no drift.',
      measured: `Channels that drifted, by seed: ${eachText(unchanged, ({ steps }) => share(steps[0].channels))}.`,
      holds: everySeries(({ steps }) => !steps[0].hasDrifted),
    },
    {
      claim: 'When the digits look as before again, each batch norm that drifted tells that it recovered.',
      measured: `So ${sum(({ hasRecovered }) => Number(hasRecovered))} times of ${sum(() => 1)}, for each series and seed.`,
      holds: everySeries(({ hasRecovered }) => hasRecovered),
    },
    {
      claim: 'adaptation.undo() gives all logits back, to the bit.',
      measured: `So ${sum(({ toTheBit }) => toTheBit)} times of ${sum(({ undone }) => undone)}.`,
      holds: everySeries(({ toTheBit, undone }) => toTheBit === undone),
    },
    ...SAMPLES.map((count, samples) => {
      const after = valuesOf(unchanged, 0, adaptedBy(samples))
      return {
        claim: `Where nothing has changed, adapting by ${count} digits costs no more than 1 point.`,
        measured: `${changeText(before, after)}.`,
        holds: decided('no more', after, before),
      }
    }),
  ]
}

function claimsOfSeries({ series, outcomes }: SeriesOfSeeds): Claim[] {
  const last = series.amounts.length - 1
  const source = valuesOf(outcomes, last, sourceOf)
  const at = `${series.title} (${series.amounts[last]}${series.unit})`
  const restores = (by: string, figure: (step: Step) => number): Claim => ({
    claim: `${at}: ${by} brings accuracy back.`,
    measured:
      `${changeText(source, valuesOf(outcomes, last, figure))}. Of what was lost, by seed: ` +
      `${eachText(outcomes, (outcome) => broughtBackText(broughtBack(outcome, last, figure)))}.`,
    holds: decided('more', source, valuesOf(outcomes, last, figure)),
  })
  return [
    {
      claim: `${series.title}: drift is seen when no more than ${LOSS_WHEN_SEEN * 100} points of accuracy are lost.`,
      measured: `${outcomes.map((outcome) => seenText(series, outcome)).join('\n')}`,
      holds: inEverySeed(outcomes.map(isSeenInTime)),
    },
    restores(`adapting by ${SAMPLES[0]} digits`, adaptedBy(0)),
    restores(`adapting by ${SAMPLES[MOST_SAMPLES]} digits`, adaptedBy(MOST_SAMPLES)),
    restores('recalibrating', recalibrated),
  ]
}

/** The first step at which drift was seen; `undefined`: it never was. */
function seenIn({ steps }: SeriesOutcome): Step | undefined {
  return steps.find(({ hasDrifted }) => hasDrifted)
}

function lostAt({ steps }: SeriesOutcome, { source }: Step): number {
  return steps[0].source - source
}

function isSeenInTime(outcome: SeriesOutcome): boolean {
  const seen = seenIn(outcome)
  return seen !== undefined && lostAt(outcome, seen) <= LOSS_WHEN_SEEN
}

function seenText({ unit }: Series, outcome: SeriesOutcome): string {
  const seen = seenIn(outcome)
  if (seen === undefined) return 'Never seen.'
  const before = outcome.steps[outcome.steps.indexOf(seen) - 1]
  const earlier =
    before === undefined
      ? ''
      : ` (a step before, ${before.amount}${unit}: ${points(lostAt(outcome, before))})`
  return `Seen at ${seen.amount}${unit}, ${points(lostAt(outcome, seen))} points lost${earlier}.`
}

function share(value: number): string {
  return `${Math.round(value * 100)} %`
}

function seriesDetails(each: SeriesOfSeeds, example: Float32Array): Markup {
  const { series, outcomes } = each
  const { name, title, unit, amounts, lookOf } = series
  const columns: [string, (step: Step) => number][] = [
    ...SAMPLES.map((count, samples): [string, (step: Step) => number] => [
      `adapt, ${count}`,
      adaptedBy(samples),
    ]),
    ['recalibrate', recalibrated],
  ]
  return html`<ul class="card digits">
${amounts.map((amount) => html`<li>${drawDigit(lookOf(amount)(example), `A digit at ${amount}${unit}`, `${title}, ${amount}${unit}.`)}${amount}${unit}</li>\n`)}</ul>
<div class="pair">
${picture(
  `${title}: accuracy`,
  (width) => accuracyChart(each, width),
  html`<span class="key source">statistics of the training</span><span class="key adapted">adapted by
${SAMPLES[MOST_SAMPLES]}</span><span class="key few">adapted by ${SAMPLES[0]}</span><span class="key recalibrated">recalibrated</span><br>Means
over the seeds; thin: each seed with the statistics of the training and adapted by ${SAMPLES[MOST_SAMPLES]}. Upright: where a seed’s drift is first seen.`,
)}
${picture(
  `${title}: what watch sees`,
  (width) => channelChart(each, width),
  'The share of the channels of both batch norms that have drifted: thin with each seed, thick the mean. It takes no label.',
)}
</div>
${table(
  [`${name}, by seed`, 'points lost', ...columns.map(([by]) => `brought back: ${by}`)],
  amounts.map((amount, step) => [
    `${amount}${unit}`,
    eachText(outcomes, (outcome) => points(lostAt(outcome, outcome.steps[step]))),
    ...columns.map(([, figure]) =>
      eachText(outcomes, (outcome) => broughtBackText(broughtBack(outcome, step, figure))),
    ),
  ]),
)}
`
}
