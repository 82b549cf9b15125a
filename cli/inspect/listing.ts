import { gapLines } from '../../lib/analysis/gap/lines.ts'
import type { GapReport } from '../../lib/analysis/gap/report.ts'
import type { GapVerdict } from '../../lib/analysis/gap/verdicts.ts'
import type { BatchNormKey } from '../../lib/checkpoints/batch-norms.ts'
import { explanations, type Finding, findingLines, type Summary } from '../../lib/checkpoints/summarize.ts'
import { describe } from '../../lib/checks/errors.ts'
import type { Shape } from '../../lib/tensor/shape.ts'
import type { TensorData } from '../../lib/tensor/tensor.ts'
import { formatTable } from '../table.ts'

/** A batch norm of a file, and what was found. */
export interface Inspected extends Summary {
  readonly prefix: string
  /** Of its running mean, as the file names it. */
  readonly type: string
  /** Nothing where there are misfits: then no more is looked at. */
  readonly state: Readonly<Partial<Record<BatchNormKey, TensorData>>>
  /** Its tensors that no module can load. */
  readonly misfits: readonly Misfit[]
  /** Why train and eval differ on its data; `null`: it has none. Only where data were given. */
  readonly gap?: GapReport | null
}

/** A tensor that does not fit, as the file names its type. */
export interface Misfit {
  readonly key: BatchNormKey
  readonly type: string
  readonly shape: Shape
}

/** A finding in print. */
interface PrintedFinding {
  readonly name: Finding | 'misfit'
  readonly line: string
  readonly meaning: string
}

export function findingsOf(inspected: Inspected): PrintedFinding[] {
  const { misfits, findings } = inspected
  if (misfits.length > 0) {
    const tensors = misfits.map(({ key, type, shape }) => `${key} is ${type} ${describe(shape)}`)
    return [{ name: 'misfit', line: `misfit: ${tensors.join(', ')}`, meaning: misfit }]
  }
  const lines = findingLines(inspected)
  return [...findings.keys()].map((name, at) => ({ name, line: lines[at], meaning: explanations[name] }))
}

const misfit =
  "a tensor of another shape than running_mean's, or of a type without numbers: no module loads it"

/** As a table for the terminal, with what the findings mean below it. */
export function listing(found: readonly Inspected[]): string {
  if (found.length === 0) return noBatchNorm
  const rows = found.map((each) => [
    nameOf(each),
    each.numFeatures,
    each.type,
    each.numBatchesTracked ?? '-',
    findingsOf(each)[0]?.line ?? 'ok',
  ])
  const lines = formatTable(['batch norm', 'features', 'type', 'batches', 'findings'], rows).split('\n')
  // Further findings stand below the first.
  const indent = ' '.repeat(lines[0].indexOf('findings'))
  const body = found.flatMap((each, index) => [
    lines[index + 2],
    ...findingsOf(each)
      .slice(1)
      .map(({ line }) => indent + line),
  ])
  const legend = meaningsOf(found).map(([name, meaning]) => `${name}: ${meaning}`)
  const parts = [[lines[0], lines[1], ...body], legend, ...found.map(gapTextOf)]
  return parts
    .filter(({ length }) => length > 0)
    .map((part) => part.join('\n'))
    .join('\n\n')
}

/** The verdicts on its data, or that there are none. */
function gapTextOf(each: Inspected): string[] {
  if (each.gap === undefined) return []
  return each.gap === null ? [`${nameOf(each)}: ${withoutData(each)}`] : gapLines(each.gap)
}

/** Why there is no gap. */
export function withoutData({ misfits }: Inspected): string {
  return misfits.length > 0 ? 'not compared with data, since no module loads it' : 'no data'
}

export function verdictsOf({ gap }: Inspected): readonly GapVerdict[] {
  return gap?.verdicts ?? []
}

export const noBatchNorm = 'No batch norm: no key ends in running_mean with a running_var beside it.'

/** The file of a module alone has no prefix. */
export function nameOf({ prefix }: Inspected): string {
  return prefix || '(the file itself)'
}

/** The findings that there are, each once, and what they mean. */
export function meaningsOf(found: readonly Inspected[]): [name: string, meaning: string][] {
  return [...new Map(found.flatMap(findingsOf).map(({ name, meaning }) => [name, meaning]))]
}

export function asJson({ prefix, type, numFeatures, numBatchesTracked, findings, misfits, gap }: Inspected) {
  const all = misfits.length > 0 ? { misfit: misfits } : Object.fromEntries(findings)
  return { prefix, type, numFeatures, numBatchesTracked, findings: all, gap }
}
