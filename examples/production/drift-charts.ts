import * as Plot from '@observablehq/plot'
import { draw } from '../../cli/page/picture.ts'
import { percent } from '../../cli/training/format.ts'
import { meanOf } from './claims.ts'
import { SAMPLES, type SeriesOfSeeds, type SeriesOutcome, type Step } from './drift.ts'

interface Curve {
  readonly name: string
  readonly figure: (step: Step) => number
  readonly line: Plot.LineOptions
  /** Whether each seed is drawn beside the mean. */
  readonly hasSeeds: boolean
}

const most = SAMPLES.length - 1

/** Dashes tell the curves apart where colours do not. */
const CURVES: readonly Curve[] = [
  {
    name: 'statistics of the training',
    figure: ({ source }) => source,
    line: { stroke: 'var(--orange)' },
    hasSeeds: true,
  },
  {
    name: `adapted by ${SAMPLES[0]}`,
    figure: ({ adapted }) => adapted[0],
    line: { stroke: 'var(--blue)', strokeDasharray: '2,3' },
    hasSeeds: false,
  },
  {
    name: `adapted by ${SAMPLES[most]}`,
    figure: ({ adapted }) => adapted[most],
    line: { stroke: 'var(--blue)' },
    hasSeeds: true,
  },
  {
    name: 'recalibrated',
    figure: ({ recalibrated }) => recalibrated,
    line: { stroke: 'var(--grey)', strokeDasharray: '7,4' },
    hasSeeds: false,
  },
]

/** The accuracy at each step, by whose statistics. */
export function accuracyChart(each: SeriesOfSeeds, width: number): string {
  const { series, outcomes } = each
  const ends = CURVES.map(
    ({ name, figure }) =>
      `${name} ${percent(meanOf(outcomes.map(({ steps }) => figure(steps.at(-1) as Step))))}`,
  )
  const seen = outcomes.flatMap(({ steps }) => steps.find(({ hasDrifted }) => hasDrifted)?.amount ?? [])
  return draw({
    width,
    ariaLabel: `Accuracy: ${series.title}`,
    ariaDescription: `Share of the test digits told right. At ${series.amounts.at(-1)}${series.unit}: ${ends.join(', ')}.`,
    ...axesOf(each, 'accuracy (%)'),
    marks: [
      Plot.ruleX(seen, { stroke: 'currentColor', strokeOpacity: 0.5, strokeDasharray: '1,3' }),
      ...CURVES.flatMap(({ figure, line, hasSeeds }) => [
        ...(hasSeeds ? seedLines(outcomes, figure, line) : []),
        Plot.line(meanLine(outcomes, figure), { ...place, ...line, strokeWidth: 2.25 }),
      ]),
    ],
  })
}

/** How many of the channels have drifted at each step. */
export function channelChart(each: SeriesOfSeeds, width: number): string {
  const { series, outcomes } = each
  const figure = ({ channels }: Step) => channels
  const means = meanLine(outcomes, figure).map(
    ({ amount, value }) => `${amount}${series.unit}: ${value.toFixed(0)} %`,
  )
  const line = { stroke: 'var(--blue)' }
  return draw({
    width,
    ariaLabel: `Channels that have drifted: ${series.title}`,
    ariaDescription: `${means.join(', ')}.`,
    ...axesOf(each, 'channels (%)'),
    marks: [
      ...seedLines(outcomes, figure, line),
      Plot.line(meanLine(outcomes, figure), { ...place, ...line, strokeWidth: 2.25 }),
      Plot.dot(meanLine(outcomes, figure), { ...place, r: 3.5, fill: 'var(--blue)', stroke: 'var(--card)' }),
    ],
  })
}

const place = { x: 'amount', y: 'value' }

/** From no change to the most, whichever way the amounts go. */
function axesOf({ series }: SeriesOfSeeds, label: string): Pick<Plot.PlotOptions, 'x' | 'y'> {
  const { amounts, unit, name } = series
  const reverse = amounts[0] > (amounts.at(-1) as number)
  return {
    x: {
      label: `${name} (${unit.trim()})`,
      domain: [Math.min(...amounts), Math.max(...amounts)],
      reverse,
      ticks: 6,
    },
    y: { label, domain: [0, 100], grid: true, ticks: 5 },
  }
}

function seedLines(
  outcomes: readonly SeriesOutcome[],
  figure: (step: Step) => number,
  line: Plot.LineOptions,
): Plot.Line[] {
  return outcomes.map((outcome) =>
    Plot.line(meanLine([outcome], figure), { ...place, ...line, strokeWidth: 1, strokeOpacity: 0.4 }),
  )
}

function meanLine(outcomes: readonly SeriesOutcome[], figure: (step: Step) => number) {
  return outcomes[0].steps.map(({ amount }, step) => ({
    amount,
    value: meanOf(outcomes.map(({ steps }) => figure(steps[step]))) * 100,
  }))
}
