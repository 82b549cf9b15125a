import * as Plot from '@observablehq/plot'
import { draw } from '../../cli/page/picture.ts'
import type { Distribution } from '../../cli/training/distribution.ts'
import { decimal, percent } from '../../cli/training/format.ts'
import type { LayerDistribution } from './distribution.ts'
import { epochsOf, hasBatchNorm, nameOf, type Run } from './run.ts'

/** The report's pictures. */

/** Steps that one point of the loss curve is the mean of. */
export const SMOOTHING = 25
/** Points of a loss curve at most. A picture shows no more, and the page of a long training has to open. */
const LOSSES_SHOWN = 2000
/** Units whose own distributions are drawn; all of them would be a blot. */
const UNITS_SHOWN = 24

/** The training loss of each run: of single steps, and smoothed. */
export function lossChart(runs: readonly Run[], width: number): string {
  const ends = runs.map((run) => `${nameOf(run)} ${mean(run.losses.slice(-SMOOTHING)).toFixed(3)}`)
  return draw({
    width,
    ariaLabel: 'Training loss',
    ariaDescription: `Training loss over the epochs. Mean of the last ${SMOOTHING} steps: ${ends.join(', ')}.`,
    x: epochAxis(runs),
    y: { type: 'log', label: 'loss (log scale)', grid: true, ticks: 4, tickFormat: '~g', tickSize: 0 },
    marks: [
      ...runs.map((run) =>
        Plot.line(lossesOf(run), { x: 'epoch', y: 'loss', stroke: colorOf(run), strokeOpacity: 0.2 }),
      ),
      ...runs.map((run) => Plot.line(lossesOf(run), { x: 'epoch', y: 'smooth', ...strokeOf(run) })),
    ],
  })
}

function lossesOf({ losses, stepsPerEpoch }: Run): { epoch: number; loss: number; smooth: number }[] {
  const count = Math.min(losses.length, LOSSES_SHOWN)
  return Array.from({ length: count }, (_, index) => {
    const steps = Math.round(((index + 1) / count) * losses.length)
    const smooth = mean(losses.slice(Math.max(0, steps - SMOOTHING), steps))
    return { epoch: steps / stepsPerEpoch, loss: losses[steps - 1], smooth }
  })
}

/** The accuracy on the test digits, some times an epoch, and on those for training, once an epoch. */
export function accuracyChart(trainings: readonly (readonly Run[])[], width: number): string {
  const runs = trainings.map(([first]) => first)
  const ends = runs.map((run) => `${nameOf(run)} ${percent(run.testAccuracies.at(-1)?.accuracy ?? 0)}`)
  return draw({
    width,
    ariaLabel: 'Accuracy',
    ariaDescription: `Share of the test digits told right, over the epochs. At the end: ${ends.join(', ')}.`,
    x: epochAxis(runs),
    y: { label: 'accuracy (%)', grid: true, ticks: 6, nice: true },
    marks: trainings.flatMap(([run, ...others]) => {
      const points = testPoints(run)
      const place = { x: 'epoch', y: 'accuracy' }
      const onTraining = run.trainingAccuracies.map((share, index) => ({
        epoch: index + 1,
        accuracy: share * 100,
      }))
      return [
        ...others.map((other) =>
          Plot.line(testPoints(other), { ...place, ...strokeOf(other), strokeWidth: 1, strokeOpacity: 0.4 }),
        ),
        Plot.line(onTraining, { ...place, stroke: colorOf(run), strokeOpacity: 0.5 }),
        Plot.dot(onTraining, { ...place, r: 4, fill: 'var(--card)', stroke: colorOf(run) }),
        Plot.line(points, { ...place, ...strokeOf(run) }),
        Plot.dot(
          points.filter(({ epoch }) => Number.isInteger(epoch)),
          { ...place, r: 3.5, fill: colorOf(run), stroke: 'var(--card)' },
        ),
      ]
    }),
  })
}

/** Before the first step it is a guess, and would leave the rest no room. */
function testPoints({ testAccuracies, stepsPerEpoch }: Run): { epoch: number; accuracy: number }[] {
  return testAccuracies
    .filter(({ step }) => step > 0)
    .map(({ step, accuracy }) => ({ epoch: step / stepsPerEpoch, accuracy: accuracy * 100 }))
}

/** The units whose own distributions are drawn. */
function shownOf({ units }: LayerDistribution): Distribution[] {
  return units.filter((_, unit) => unit % Math.ceil(units.length / UNITS_SHOWN) === 0)
}

/** The highest point that is drawn of a layer. */
export function peakOf(layer: LayerDistribution): number {
  const drawn = [layer.all, ...shownOf(layer)].flatMap(({ density }) => density)
  return drawn.reduce((top, { y }) => Math.max(top, y), 0)
}

/**
 * The values of a layer: all units together as an area, some units as lines, and the mean of all
 * +- 1, 2 and 3 standard deviations marked.
 */
export function distributionChart(
  layer: LayerDistribution,
  { title, color, top, width }: { title: string; color: string; top: number; width: number },
): string {
  const { mean, deviation, density } = layer.all
  const marks = [-3, -2, -1, 0, 1, 2, 3].map((count) => ({ count, x: mean + count * deviation }))
  const bands = [1, 2, 3].map((count) => ({ x1: mean - count * deviation, x2: mean + count * deviation }))
  const shown = shownOf(layer)
  const lines = shown.flatMap((unit, index) => unit.density.map((point) => ({ ...point, index })))
  return draw({
    width,
    marginTop: 30,
    ariaLabel: title,
    ariaDescription:
      `Distribution of the values of all units: mean ${decimal(mean)}, standard deviation ` +
      `${decimal(deviation)}; the mean plus and minus 1, 2 and 3 standard deviations are marked. ` +
      `Lines show ${shown.length} single units.`,
    x: { label: 'value', domain: [density[0].x, density[density.length - 1].x] },
    y: { label: 'density', domain: [0, top], ticks: 4 },
    marks: [
      Plot.rect(bands, { x1: 'x1', x2: 'x2', fill: color, fillOpacity: 0.07 }),
      Plot.areaY(density, { x: 'x', y: 'y', fill: color, fillOpacity: 0.45, curve: 'monotone-x' }),
      Plot.line(lines, {
        x: 'x',
        y: 'y',
        z: 'index',
        stroke: 'currentColor',
        strokeOpacity: 0.28,
        curve: 'basis',
        clip: true,
      }),
      Plot.lineY(density, { x: 'x', y: 'y', stroke: color, strokeWidth: 2.5, curve: 'monotone-x' }),
      Plot.ruleX(marks, { x: 'x', stroke: color, strokeDasharray: '2,3' }),
      Plot.ruleX([mean], { stroke: color, strokeWidth: 2 }),
      Plot.text(marks, {
        x: 'x',
        text: ({ count }) =>
          count === 0 ? '\u03bc' : `${count > 0 ? '+' : '\u2212'}${Math.abs(count)}\u03c3`,
        frameAnchor: 'top',
        fontSize: 10.5,
        dy: -16,
      }),
    ],
  })
}

function epochAxis(runs: readonly Run[]): Plot.ScaleOptions {
  const epochs = Math.max(...runs.map(epochsOf))
  return { label: 'epoch', domain: [0, epochs], ticks: Math.min(epochs, 10) }
}

function colorOf(run: Run): string {
  return hasBatchNorm(run) ? 'var(--blue)' : 'var(--orange)'
}

/** Dashes tell the runs apart where colours do not. */
function strokeOf(run: Run): Plot.LineOptions {
  return {
    stroke: colorOf(run),
    strokeWidth: 2.25,
    strokeDasharray: hasBatchNorm(run) ? undefined : '6,3',
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
