import * as Plot from '@observablehq/plot'
import { draw } from '../../page/picture.ts'
import { decimal, percent } from '../../training/format.ts'
import { type ScaleAnswer, SHOWN, type Size } from './experiment.ts'

/** Rows of one batch size each, with room for a line of text above each. */
const ROWS = { height: 440, marginTop: 30, marginRight: 16 }
const ROW_PADDING = 0.26
const [LEAST, MOST] = SHOWN
/** Of the outputs for one digit. */
const BARS = 48

function title({ batchSize }: Size): string {
  return `n = ${batchSize}`
}

/** The batch size above the left end of its row, and `fact` above the right end. */
function heading(size: Size, fact: string): Plot.Markish[] {
  const above = { fy: () => title(size), text: Plot.identity, dy: -15 }
  return [
    Plot.text([title(size)], { ...above, frameAnchor: 'top-left', fontWeight: 600 }),
    Plot.text([fact], { ...above, frameAnchor: 'top-right' }),
  ]
}

/** The outputs in batches of each size, the normal distribution, and the bound. */
export function histogramChart({ sizes }: ScaleAnswer, width: number): string {
  const normal = Array.from({ length: 121 }, (_, index) => {
    const x = LEAST + (index / 120) * (MOST - LEAST)
    return { x, y: Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) }
  })
  const top = Math.max(
    ...[normal, ...sizes.map(({ distribution }) => distribution.density)].flat().map(({ y }) => y),
  )
  return draw({
    width,
    ...ROWS,
    ariaLabel: 'Distribution of the outputs by batch size',
    ariaDescription: sizes.map(describe).join(' '),
    fy: { axis: null, domain: sizes.map(title), padding: ROW_PADDING },
    x: { label: 'output before gamma and beta', domain: SHOWN, ticks: 7 },
    y: { label: null, domain: [0, 1.05 * top], ticks: 3 },
    marks: sizes.flatMap((size) => {
      const row = { fy: () => title(size) }
      const bounds = [-size.bound, size.bound].filter((bound) => bound >= LEAST && bound <= MOST)
      const elsewhere = bounds.length > 0 ? '' : ', outside'
      return [
        Plot.areaY(size.distribution.density, {
          ...row,
          x: 'x',
          y: 'y',
          fill: 'var(--blue)',
          fillOpacity: 0.4,
          curve: 'step',
        }),
        Plot.line(normal, { ...row, x: 'x', y: 'y', stroke: 'currentColor', strokeDasharray: '4,3' }),
        Plot.ruleX(bounds, { ...row, stroke: 'var(--orange)', strokeWidth: 2.5 }),
        Plot.ruleY([0], row),
        ...heading(size, `bound ±${decimal(size.bound)}${elsewhere}`),
      ]
    }),
  })
}

function describe({ batchSize, bound, largest, shares }: Size): string {
  return (
    `Batches of ${batchSize}: within 1, 2 and 3 lie ${shares.map(percent).join(', ')}; ` +
    `the largest is ${decimal(largest)}, the bound ${decimal(bound)}.`
  )
}

/** The outputs for one digit, each time in another batch, and its output in eval mode. */
export function companyChart({ sizes, channelShown, outputInEval }: ScaleAnswer, width: number): string {
  const inCompany = ({ batchSize, company }: Size) => {
    const { mean, deviation } = company[channelShown]
    return `in batches of ${batchSize} ${decimal(mean)} on average, with a standard deviation of ${decimal(deviation)}`
  }
  const all = sizes.flatMap(({ company }) => [...company[channelShown].values])
  const [least, most] = [Math.min(...all), Math.max(...all)]
  const thresholds = Array.from({ length: BARS + 1 }, (_, bar) => least + ((most - least) * bar) / BARS)
  return draw({
    width,
    ...ROWS,
    marginLeft: 16,
    ariaLabel: 'Output for one digit by its batch',
    ariaDescription:
      `In eval mode it is always ${decimal(outputInEval)}. In training: ` +
      `${sizes.map(inCompany).join('; ')}.`,
    fy: { axis: null, domain: sizes.map(title), padding: ROW_PADDING },
    x: { label: 'output for the same digit', nice: true, ticks: 6, grid: true },
    y: { axis: null },
    marks: sizes.flatMap((size) => {
      const row = { fy: () => title(size) }
      const { values, deviation } = size.company[channelShown]
      return [
        Plot.rectY(values, {
          ...Plot.binX({ y: 'count' }, { ...row, x: Plot.identity, thresholds }),
          fill: 'var(--blue)',
          inset: 0.5,
          insetBottom: 0,
        }),
        Plot.ruleX([outputInEval], { ...row, stroke: 'var(--orange)', strokeWidth: 2.5 }),
        Plot.frame({ ...row, anchor: 'bottom' }),
        ...heading(size, `standard deviation ${decimal(deviation)}`),
      ]
    }),
  })
}
