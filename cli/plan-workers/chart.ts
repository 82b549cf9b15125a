import * as Plot from '@observablehq/plot'
import { draw } from '../page/picture.ts'
import type { Plan } from './plan.ts'
import { duration } from './table.ts'

const lines = [
  { name: 'sums alone', of: ({ least }: Plan) => least, stroke: 'var(--grey)', strokeDasharray: '4,3' },
  { name: 'tree', of: ({ tree }: Plan) => tree, stroke: 'var(--blue)' },
  { name: 'ring', of: ({ ring }: Plan) => ring, stroke: 'var(--orange)' },
]

/** The time of a step against the ranks, both on logarithmic axes. */
export function timeChart(plans: readonly Plan[], width: number): string {
  const [first, last] = [plans[0], plans[plans.length - 1]]
  const ends = lines.map(({ name, of }) => `${name} ${duration(of(first))} to ${duration(of(last))}`)
  const powers = plans.map(({ ranks }) => ranks).filter((ranks) => Number.isInteger(Math.log2(ranks)))
  return draw({
    width,
    height: 320,
    marginLeft: 60,
    marginRight: 76,
    ariaLabel: 'Time of synchronizing in a step, against the number of ranks',
    ariaDescription: `From ${first.ranks} to ${last.ranks} ranks: ${ends.join('; ')}.`,
    x: {
      type: 'log',
      base: 2,
      label: 'ranks',
      ticks: width < 400 ? powers.filter((_, index) => index % 3 === 0) : powers,
      tickFormat: String,
    },
    y: { type: 'log', label: 'time in a step', grid: true, ticks: 5, tickFormat: duration },
    marks: lines.flatMap(({ name, of, ...stroke }) => {
      // Names of lines that end side by side keep apart.
      const below = lines.filter((each) => each.of(last) < of(last)).length
      const place = { textAnchor: 'start', dx: 6, dy: 9 * (1 - below) } as const
      return [
        Plot.line(plans, { x: 'ranks', y: of, strokeWidth: 2, ...stroke }),
        Plot.text([last], { x: 'ranks', y: of, text: () => name, fill: stroke.stroke, ...place }),
      ]
    }),
  })
}
