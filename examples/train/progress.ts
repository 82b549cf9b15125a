import { percent } from '../../cli/training/format.ts'
import type { Progress } from './training.ts'

/** Where a training stands, in one line. */
export function describe({ batchNorm, epoch, loss, accuracy, testAccuracy }: Progress): string {
  const test = testAccuracy === undefined ? [] : [`test ${percent(testAccuracy)}`]
  return [
    `batch norm ${batchNorm}`,
    `epoch ${epoch}`,
    `loss ${loss.toFixed(4)}`,
    `accuracy ${percent(accuracy)}`,
    ...test,
  ].join(' | ')
}
