import { findBatchNorms } from '../../lib/checkpoints/batch-norms.ts'
import { loadSafetensors } from '../../lib/checkpoints/safetensors/file.ts'
import type { StoredTensor } from '../../lib/checkpoints/safetensors/stored-tensor.ts'
import { summarize } from '../../lib/checkpoints/summarize.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import { Failure, orFail } from '../failure.ts'
import { assertFree } from '../output.ts'
import { asJson, findingsOf, type Inspected, listing, type Misfit, verdictsOf } from './listing.ts'

interface InspectOptions {
  readonly eps: number
  readonly json: boolean
  /** A file with inputs of the batch norms. */
  readonly data?: string
  /** Of the batch norms; for `data` only. */
  readonly momentum?: number | null
  /** Where to write a page with pictures. */
  readonly html?: string
  /** Whether it may be written over a file. */
  readonly force: boolean
}

/** `batchnorm inspect FILE`: the batch norms of a checkpoint, and what is wrong with each. */
export async function inspect(path: string, options: InspectOptions): Promise<string> {
  const { eps, json, data, momentum, html, force } = options
  if (momentum !== undefined && data === undefined) {
    throw new Failure(
      'Expected --momentum together with --data but received it alone (nothing else asks for it)',
      2,
    )
  }
  if (html !== undefined) assertFree(html, force)
  const stored = orFail(() => read(path, eps))
  // Only here: nothing else computes.
  const gaps = data === undefined ? null : await import('./gaps.ts')
  const assumed = { eps, momentum: momentum === undefined ? 0.1 : momentum }
  const found = orFail(() => gaps?.withGaps(stored, data as string, assumed) ?? stored)
  if (json) return JSON.stringify(found.map(asJson), writtenOut, 2)
  if (html === undefined) return listing(found)
  // Only here: what draws the pictures takes longer to load than all else takes.
  const { inspectionPage } = await import('./page.ts')
  orFail(() => writeText(html, inspectionPage(path, found, { eps, data, momentum })))
  const sick = found.filter((each) => findingsOf(each).length > 0)
  const judged = found.filter((each) => verdictsOf(each).length > 0)
  const verdicts = data === undefined ? '' : `, ${judged.length} with verdicts`
  return `Wrote ${html}: ${found.length} batch norms, ${sick.length} with findings${verdicts}.`
}

/** JSON has no NaN and no Infinity: they stand there as text. */
function writtenOut(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

function read(path: string, eps: number): Inspected[] {
  using file = loadSafetensors(path)
  return findBatchNorms(file).map(({ prefix, numFeatures, tensors, misfits: keys }) => {
    const misfits = keys.map((key): Misfit => {
      const { type, shape } = tensors[key] as StoredTensor
      return { key, type, shape }
    })
    const common = { prefix, type: tensors.running_mean?.type ?? '', misfits }
    if (misfits.length > 0) {
      return { ...common, numFeatures, numBatchesTracked: null, findings: new Map(), state: {} }
    }
    const state = Object.fromEntries(
      Object.entries(tensors).map(([key, stored]) => [key, stored.numbers().data]),
    )
    return { ...common, ...summarize(state, { eps }), state }
  })
}
