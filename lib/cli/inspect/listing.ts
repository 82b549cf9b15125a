import type { BatchNormKey } from '../../checkpoints/batch-norms.ts'
import { explanations, type Finding, findingLines, type Summary } from '../../inspect/summarize.ts'
import type { TensorData } from '../../tensor.ts'
import { formatTable } from '../table.ts'

/** A batch norm of a file, and what was found. */
export interface Inspected extends Summary {
  readonly prefix: string
  /** Of its running mean, as the file names it. */
  readonly type: string
  readonly state: Readonly<Partial<Record<BatchNormKey, TensorData>>>
}

/** As a table for the terminal, with what the findings mean below it. */
export function listing(found: readonly Inspected[]): string {
  if (found.length === 0) return noBatchNorm
  const rows = found.map((each) => [
    nameOf(each),
    each.numFeatures,
    each.type,
    each.numBatchesTracked ?? '-',
    findingLines(each)[0] ?? 'ok',
  ])
  const lines = formatTable(['batch norm', 'features', 'type', 'batches', 'findings'], rows).split('\n')
  // Further findings stand below the first.
  const indent = ' '.repeat(lines[0].indexOf('findings'))
  const body = found.flatMap((each, index) => [
    lines[index + 2],
    ...findingLines(each)
      .slice(1)
      .map((line) => indent + line),
  ])
  const legend = kindsOf(found).map((finding) => `${finding}: ${explanations[finding]}`)
  return [lines[0], lines[1], ...body, ...(legend.length > 0 ? ['', ...legend] : [])].join('\n')
}

export const noBatchNorm = 'No batch norm: no key ends in running_mean with a running_var beside it.'

/** The file of a module alone has no prefix. */
export function nameOf({ prefix }: Inspected): string {
  return prefix || '(the file itself)'
}

/** The findings that there are, each once. */
export function kindsOf(found: readonly Inspected[]): Finding[] {
  return [...new Set(found.flatMap(({ findings }) => [...findings.keys()]))]
}

export function asJson({ prefix, type, numFeatures, numBatchesTracked, findings }: Inspected) {
  return { prefix, type, numFeatures, numBatchesTracked, findings: Object.fromEntries(findings) }
}
