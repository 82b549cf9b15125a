import { findBatchNorms } from '../../lib/checkpoints/batch-norms.ts'
import { loadSafetensors } from '../../lib/checkpoints/safetensors/file.ts'
import type { StoredTensor } from '../../lib/checkpoints/safetensors/stored-tensor.ts'
import { summarize } from '../../lib/checkpoints/summarize.ts'
import { writeText } from '../../lib/checkpoints/write.ts'
import { orFail } from '../failure.ts'
import { assertFree } from '../output.ts'
import { asJson, findingsOf, type Inspected, listing, type Misfit } from './listing.ts'

interface InspectOptions {
  readonly eps: number
  readonly json: boolean
  /** Where to write a page with pictures. */
  readonly html?: string
  /** Whether it may be written over a file. */
  readonly force: boolean
}

/** `batchnorm inspect FILE`: the batch norms of a checkpoint, and what is wrong with each. */
export async function inspect(path: string, { eps, json, html, force }: InspectOptions): Promise<string> {
  if (html !== undefined) assertFree(html, force)
  const found = orFail(() => read(path, eps))
  if (json) return JSON.stringify(found.map(asJson), null, 2)
  if (html === undefined) return listing(found)
  // Only here: what draws the pictures takes longer to load than all else takes.
  const { inspectionPage } = await import('./page.ts')
  orFail(() => writeText(html, inspectionPage(path, found, eps)))
  const sick = found.filter((each) => findingsOf(each).length > 0)
  return `Wrote ${html}: ${found.length} batch norms, ${sick.length} with findings.`
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
