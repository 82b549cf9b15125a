import { findBatchNorms } from '../checkpoints/batch-norms.ts'
import { explanations, findingLines, type Summary, summarize } from '../inspect/summarize.ts'
import { loadSafetensors } from '../safetensors/file.ts'
import { orFail } from './failure.ts'
import { table } from './table.ts'

interface Inspected extends Summary {
  readonly prefix: string
  readonly type: string
}

/** `batchnorm inspect FILE`: the batch norms of a checkpoint, and what is wrong with each. */
export function inspect(path: string, { eps, json }: { eps: number; json: boolean }): string {
  const found = orFail(() => read(path, eps))
  if (json) return JSON.stringify(found.map(asJson), null, 2)
  if (found.length === 0) {
    return 'No batch norm: no key ends in running_mean with a running_var beside it.'
  }
  const rows = found.map((each) => [
    each.prefix || '(the file itself)',
    each.numFeatures,
    each.type,
    each.numBatchesTracked ?? '-',
    findingLines(each)[0] ?? 'ok',
  ])
  const lines = table(['batch norm', 'features', 'type', 'batches', 'findings'], rows).split('\n')
  // Further findings stand below the first.
  const indent = ' '.repeat(lines[0].indexOf('findings'))
  const body = found.flatMap((each, index) => [
    lines[index + 2],
    ...findingLines(each)
      .slice(1)
      .map((line) => indent + line),
  ])
  const kinds = new Set(found.flatMap(({ findings }) => [...findings.keys()]))
  const legend = [...kinds].map((finding) => `${finding}: ${explanations[finding]}`)
  return [lines[0], lines[1], ...body, ...(legend.length > 0 ? ['', ...legend] : [])].join('\n')
}

function read(path: string, eps: number): Inspected[] {
  using file = loadSafetensors(path)
  return findBatchNorms(file).map(({ prefix, tensors }) => {
    const state = Object.fromEntries(Object.entries(tensors).map(([key, stored]) => [key, stored.numbers()]))
    return { prefix, type: tensors.running_mean?.type ?? '', ...summarize(state, { eps }) }
  })
}

function asJson({ prefix, type, numFeatures, numBatchesTracked, findings }: Inspected) {
  return { prefix, type, numFeatures, numBatchesTracked, findings: Object.fromEntries(findings) }
}
