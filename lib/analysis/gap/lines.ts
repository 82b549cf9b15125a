import { describe, invalidType } from '../../checks/errors.ts'
import { text } from './cause.ts'
import type { GapReport } from './report.ts'
import { feltScatter } from './thresholds.ts'
import type { GapVerdict } from './verdicts.ts'

/**
 * A report in lines: the gap first, then each verdict in two, what it is and what to do.
 *
 *     bn1: gap 1.63, after recalibrate 0.0721 (standard deviations of the training output; 40 batches of 64 values)
 *       drift, 99.8 % of the gap, in 4 of 4: all. The data are not what ...
 *         remedy: recalibrate on data like these, ...
 */
export function gapLines(report: GapReport): string[] {
  if (!Array.isArray(report?.verdicts)) throw invalidType('report', 'one that explainGap gave', report)
  const { name, batches, valuesPerBatch, gap, gapAfterRecalibration, verdicts } = report
  const data = `${batches} batch${batches === 1 ? '' : 'es'} of ${text(valuesPerBatch)} values`
  const after = text(gapAfterRecalibration)
  return [
    `${name}: gap ${text(gap)}, after recalibrate ${after} (standard deviations of the training output; ${data})`,
    ...verdicts.flatMap((verdict) => [
      `  ${verdictLine(verdict, report)}. ${verdict.sentence}`,
      `    remedy: ${verdict.remedy}`,
    ]),
    ...restLines(report),
  ]
}

/** `drift, 99.8 % of the gap, in 3 of 64: [1, 5, 9]` */
export function verdictLine({ name, share, channels }: GapVerdict, report: GapReport): string {
  const count = report.channels.length
  const which = channels.length === count ? 'all' : describe(channels)
  return `${name}, ${shareText(share, report)}, in ${channels.length} of ${count}: ${which}`
}

function shareText(share: number, { gap }: GapReport): string {
  if (Number.isNaN(share)) return 'which makes it NaN'
  if (gap === 0) return 'no gap while both modes are alike'
  return share === 0 ? 'no gap by itself' : `${percent(share)} of the gap`
}

/** What no verdict explains. */
function restLines({ verdicts, gap, unexplained }: GapReport): string[] {
  if (verdicts.length === 0) {
    return [gap < feltScatter ? '  nothing is wrong' : '  no cause is certain: more batches would tell']
  }
  const isWorthALine = Number.isFinite(gap) && unexplained >= 0.005
  return isWorthALine
    ? [`  not explained: ${percent(unexplained)} of the gap, too small to be named, or chance`]
    : []
}

function percent(share: number): string {
  return `${text(100 * share)} %`
}
