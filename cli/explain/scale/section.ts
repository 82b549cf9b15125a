import { html } from '../../page/markup.ts'
import { picture } from '../../page/picture.ts'
import { table } from '../../page/table.ts'
import type { Interval } from '../../training/distribution.ts'
import { decimal, percent, scientific } from '../../training/format.ts'
import { ROUNDING } from '../rounding.ts'
import type { Claim, Section } from '../section.ts'
import { companyChart, histogramChart } from './charts.ts'
import type { ScaleAnswer, Size } from './experiment.ts'

/** Channels whose description is printed. */
const CHANNELS_SHOWN = 4

export function scaleSection(answer: ScaleAnswer): Section {
  const { sizes, normalShares, channels } = answer
  const printed = sizes[1].description
    .toString()
    .split('\n')
    .slice(0, CHANNELS_SHOWN + 2)
  return {
    name: 'scale',
    question: 'What is the standard scale of batch norm’s output?',
    answer:
      'In training, and before gamma and beta, each channel of a batch has mean 0 and, but for eps, standard deviation 1; no ' +
      'value is beyond √(n\u00a0−\u00a01). How far values reach within that is up to the data and to the batch size.',
    claims: claimsOf(answer),
    details: html`${table(
      ['Batch size', 'bound √(n − 1)', 'largest', 'all equal but one', 'within 1', 'within 2', 'within 3'],
      [
        ...sizes.map(({ batchSize, bound, largest, attained, shares }) => [
          `n\u00a0=\u00a0${batchSize}`,
          ...[bound, largest, attained].map((value) => value.toFixed(4)),
          ...shares.map(percent),
        ]),
        ['normal distribution', 'none', '', '', ...normalShares.map(percent)],
      ],
    )}
<div class="pair">
${picture(
  'Outputs by batch size',
  (width) => histogramChart(answer, width),
  `All ${channels} channels of the first layer, for the test digits. Dashed: the normal distribution. Upright: the bound.`,
)}
${picture(
  'One digit in many batches',
  (width) => companyChart(answer, width),
  `The outputs for the same digit in the same channel, ${sizes[0].company[0].values.length} times with other digits around it. The line is its output in eval mode.`,
)}
</div>
<figure class="card">
<h3>What describeOutput prints</h3>
<pre>${printed.join('\n')}</pre>
<figcaption>The first ${CHANNELS_SHOWN} of ${channels} channels, of a batch of ${sizes[1].batchSize}.</figcaption>
</figure>`,
  }
}

function claimsOf({ sizes, normalShares, identity }: ScaleAnswer): Claim[] {
  const largest = sizes[sizes.length - 1]
  const deviations = sizes.map(({ company }) => rootMeanSquare(company.map(({ deviation }) => deviation)))
  return [
    {
      claim:
        'Each channel of a batch comes out with mean 0 and, but for eps, standard deviation 1: by n, not by n\u00a0−\u00a01.',
      measured: sizes.map(standardText).join('\n'),
      holds: sizes.every(
        ({ meanError, deviationError, bound }) => meanError + deviationError < ROUNDING * bound,
      ),
    },
    {
      claim:
        'No value is beyond √(n\u00a0−\u00a01), and a batch whose values are equal but for one reaches it.',
      measured: sizes
        .map(
          ({ batchSize, bound, attained }) =>
            `n = ${batchSize}: ${attained.toFixed(4)} of ${bound.toFixed(4)}.`,
        )
        .join('\n'),
      holds: sizes.every(
        ({ bound, largest, attained }) =>
          largest <= bound * (1 + ROUNDING) && Math.abs(attained - bound) < ROUNDING * bound,
      ),
    },
    {
      claim: 'Some 68, 95 and 99.7 % lie within 1, 2 and 3: to 2 points, in large batches of digits.',
      measured: `n = ${largest.batchSize}: ${largest.shares.map(percent).join(', ')}.`,
      holds: largest.shares.every((share, index) => Math.abs(share - normalShares[index]) < 0.02),
    },
    {
      claim: 'In training a digit’s output depends on its batch, the less so the larger the batch.',
      measured:
        `Standard deviation over ${largest.company[0].values.length} batches, root mean square of all channels: ` +
        `${sizes.map(({ batchSize }, index) => `${decimal(deviations[index])} (n\u00a0=\u00a0${batchSize})`).join(', ')}.`,
      holds: deviations.every((deviation, index) => index === 0 || deviation < deviations[index - 1]),
    },
    {
      claim: 'setIdentity gives back the input; gamma = √var in place of √(var + eps) would not.',
      measured:
        `Of ${identity.pixels} pixels, ${identity.constantPixels} of them constant, the largest error is ` +
        `${scientific(identity.measured)}; with √var ${scientific(identity.withoutEps)}.`,
      holds: identity.measured < ROUNDING * identity.largest && identity.withoutEps > identity.measured,
    },
  ]
}

function standardText({ batchSize, meanError, biased, unbiased }: Size): string {
  return (
    `n = ${batchSize}: mean within ${scientific(meanError)} of 0, standard deviation ${intervalText(biased)}; ` +
    `by n\u00a0−\u00a01: ${intervalText(unbiased)}.`
  )
}

function intervalText(interval: Interval): string {
  const [least, most] = interval.map((value) => value.toFixed(4))
  return least === most ? least : `${least} to ${most}`
}

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length)
}
