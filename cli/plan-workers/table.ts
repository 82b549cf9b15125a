import { threeDigits } from '../measure/numbers.ts'
import { errorAlone, type Plan } from './plan.ts'

export const titles = ['ranks', 'sums alone', 'tree', 'ring', 'faster', 'moments in', 'ring wins from']

/** The cells of a plan, in the order of the titles. */
export function cellsOf({ ranks, least, tree, ring, ways, ringWinsFrom }: Plan): string[] {
  return [
    String(ranks),
    duration(least),
    duration(tree),
    duration(ring),
    ring < tree ? 'ring' : 'tree',
    [...ways].join(', '),
    size(ringWinsFrom),
  ]
}

export const titlesAlone = ['values a rank', 'variance alone off by']

/** What a rank alone has of a batch, and what comes of it. */
export function cellsAlone({ ranks }: Plan, batch: number): string[] {
  const error = errorAlone(batch, ranks)
  const values = Math.floor(batch / ranks)
  return [
    String(values),
    error === Number.POSITIVE_INFINITY ? 'no variance' : `${threeDigits(error * 100)} %`,
  ]
}

export function duration(seconds: number): string {
  if (seconds >= 1) return `${threeDigits(seconds)} s`
  return seconds >= 1e-3 ? `${threeDigits(seconds * 1e3)} ms` : `${threeDigits(seconds * 1e6)} µs`
}

function size(bytes: number): string {
  if (bytes === Number.POSITIVE_INFINITY) return 'never'
  const [divisor, unit] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'kB']
  return `${threeDigits(bytes / divisor)} ${unit}`
}
