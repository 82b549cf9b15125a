import { readFileSync } from 'node:fs'
import { html, type Markup } from '../../cli/page/markup.ts'
import { factList, pageOf } from '../../cli/page/page.ts'
import { picture } from '../../cli/page/picture.ts'
import { decimal, milliseconds, percent } from '../../cli/training/format.ts'
import { accuracyChart, distributionChart, lossChart, peakOf, SMOOTHING } from './charts.ts'
import { type LayerDistribution, type Normalization, normalizationOf } from './distribution.ts'
import { evidenceSection } from './evidence.ts'
import { mistakeSection } from './mistakes.ts'
import { accuracyAfter, batchNormShare, epochsOf, hasBatchNorm, nameOf, type Run } from './run.ts'
import type { Settings } from './settings.ts'
import { stepSection } from './steps.ts'

/** What made the report, so that it can be made again. */
export interface Origin {
  readonly command: string
  readonly settings: Settings
  /** Name and value of whatever else the numbers hang on: versions, backend, processor. */
  readonly environment: readonly (readonly [name: string, value: string])[]
}

/**
 * Writes the report as one HTML page that needs nothing else.
 *
 * @param trainings - one or two: the runs of each, a run for each seed
 */
export function reportOf(trainings: readonly (readonly Run[])[], origin: Origin): string {
  const runs = trainings.map(([first]) => first)
  return pageOf({
    overline: 'batchnorm training report',
    title: 'Digits, with and without batch norm',
    introduction: html`A 784-256-128-10 classifier learned 8,000 handwritten digits in Node.js and was tested on 2,000
others. Batch norm and ReLU follow both hidden layers; the run without has the same initial weights, digits and order.`,
    style: readFileSync(new URL('report.css', import.meta.url), 'utf8'),
    main: html`${headline(trainings)}
${evidenceSection(trainings)}
${trainingSection(trainings)}
${stepSection(runs)}
${mistakeSection(runs)}
${distributionSection(runs)}
${originSection(origin, trainings[0].length)}`,
  })
}

/** The figures to take home, in pairs where there are two trainings; means where there are several seeds. */
function headline(trainings: readonly (readonly Run[])[]): Markup {
  const epochs = epochsOf(trainings[0][0])
  const values = (text: (value: number) => string, number: (run: Run) => number) =>
    trainings.map((runs) => value(runs[0], text(mean(runs, number)), labelOf(runs[0])))
  const figures = [
    figure(
      `Test accuracy, ${count(epochs, 'epoch')}`,
      values(percent, (run) => accuracyAfter(run, epochs)),
    ),
    figure(
      'Test accuracy, first epoch',
      values(percent, (run) => accuracyAfter(run, 1)),
    ),
    figure(
      'Time for a step',
      values(milliseconds, (run) => run.stepTime.whole),
    ),
    ...trainings.filter(([run]) => hasBatchNorm(run)).map(shareFigure),
  ]
  return html`<section class="figures" aria-label="Headline figures">
${figures}
</section>`
}

function shareFigure(runs: readonly Run[]): Markup {
  const time = milliseconds(mean(runs, ({ stepTime }) => stepTime.batchNorm))
  return figure('Batch norm in a step', [value(runs[0], percent(mean(runs, batchNormShare)), time)])
}

function mean(runs: readonly Run[], number: (run: Run) => number): number {
  return runs.reduce((sum, run) => sum + number(run), 0) / runs.length
}

function figure(title: string, values: readonly Markup[]): Markup {
  return html`<dl class="card figure"><dt>${title}</dt>${values}</dl>
`
}

function value(run: Run, text: string, label: string): Markup {
  return html`<dd class="${labelOf(run)}"><b>${text}</b> ${label}</dd>`
}

function trainingSection(trainings: readonly (readonly Run[])[]): Markup {
  const runs = trainings.map(([first]) => first)
  const seeds = trainings[0].length
  const others = seeds > 1 ? ` Thin: the other ${count(seeds - 1, 'seed')}.` : ''
  const keys = runs.map((run) => html`<span class="key ${labelOf(run)}">${nameOf(run)}</span> `)
  return html`<section>
<h2>Training</h2>
<p class="keys">${keys}</p>
<div class="pair">
${picture('Loss', (width) => lossChart(runs, width), `Of single batches, pale, and the mean of the last ${SMOOTHING} steps.`)}
${picture('Accuracy', (width) => accuracyChart(trainings, width), `Of the test digits, several times an epoch; a dot ends an epoch. Rings: of the training digits.${others}`)}
</div>
</section>`
}

function distributionSection([run]: readonly Run[]): Markup {
  const layers = run.activations.map((activations, index) =>
    layerPictures(normalizationOf(activations), index + 1),
  )
  if (layers.length === 0) return html``
  return html`<section>
<h2>What batch norm does</h2>
<p>The values that enter and leave each batch norm layer of the trained network for the test digits, in inference
mode. The area is all units together, with its mean &#956; and &#177;1, 2 and 3 standard deviations &#963; marked;
the thin lines are single units. Before, every unit has a place and a width of its own; after, they share one, but
for the scale and the shift that the layer has learned.</p>
${layers}
</section>`
}

function layerPictures({ before, after }: Normalization, layer: number): Markup {
  const top = Math.max(...[before, after].map(peakOf))
  const side = (distribution: LayerDistribution, when: 'before' | 'after') => {
    const title = `Hidden layer ${layer}, ${when} batch norm`
    const style = { title, top, color: when === 'before' ? 'var(--grey)' : 'var(--blue)' }
    return picture(
      title,
      (width) => distributionChart(distribution, { ...style, width }),
      summaryOf(distribution),
    )
  }
  return html`<div class="pair">
${side(before, 'before')}
${side(after, 'after')}
</div>
`
}

function summaryOf({ all, units }: LayerDistribution): string {
  const means = units.map(({ mean }) => mean)
  const deviations = units.map(({ deviation }) => deviation)
  return (
    `All: mean ${decimal(all.mean)}, standard deviation ${decimal(all.deviation)}. ` +
    `Units: means ${rangeOf(means)}, standard deviations ${rangeOf(deviations)}.`
  )
}

function rangeOf(values: readonly number[]): string {
  return `${decimal(Math.min(...values))} to ${decimal(Math.max(...values))}`
}

function originSection({ command, settings, environment }: Origin, seeds: number): Markup {
  const { batchNorm, epochs, batchSize, learningRate, seed } = settings
  const facts: Origin['environment'] = [
    ['batch norm', batchNorm],
    ['epochs', String(epochs)],
    ['batch size', String(batchSize)],
    ['learning rate', `${learningRate} (Adam)`],
    [seeds === 1 ? 'seed' : 'seeds', seeds === 1 ? String(seed) : `${seed} to ${seed + seeds - 1}`],
    ...environment,
  ]
  return html`<section>
<h2>How it was made</h2>
<pre class="card"><code>${command}</code></pre>
${factList(facts)}
<p>The same settings give the same losses and accuracies to the last bit, with the native backend and with the
TypeScript one. Times are this machine's.</p>
</section>`
}

/** The word for a run, which is also its class in the style sheet. */
function labelOf(run: Run): string {
  return hasBatchNorm(run) ? 'with' : 'without'
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
