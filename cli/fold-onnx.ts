import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { writeWhole } from '../lib/checkpoints/write.ts'
import { type FoldedOnnx, foldOnnx, type OnnxRuntime } from '../lib/interop/onnx/index.ts'
import { Failure } from './failure.ts'
import { probeFor } from './onnx-probe.ts'
import { resolveOptional } from './resolve-optional.ts'
import { formatTable } from './table.ts'

/** What runs models, if it is installed. */
const runtimeName = 'onnxruntime-node'

/**
 * `batchnorm fold MODEL.onnx -o FILE`: folds the batch norms of an .onnx file as `foldOnnx` does, and says which stay
 * and why. All or nothing.
 */
export async function foldModel(path: string, output: string): Promise<string> {
  const before = readFileSync(path)
  const ort = runtime()
  const probe = ort && probeFor(before)
  const after = await foldOnnx(before, ort && probe ? { ort, probe } : {})
  const { model, folded, left, notes } = after
  const stay = left.map(({ name, why }) => `${name} stays: ${why}`)
  if (folded.length === 0) {
    throw new Failure(`Expected a batch norm that can be folded in ${path} but ${stay.join('; ')}`)
  }
  writeWhole(output, [model])
  const rows = folded.map(({ name, into }) => [into, name])
  return [
    formatTable(['layer', 'batch norm'], rows),
    ...[...stay, ...notes, errorOf(after, ort), `Wrote ${output}`].map((line) => `${line}.`),
  ].join('\n')
}

function errorOf({ largestError }: FoldedOnnx, ort: OnnxRuntime | undefined): string {
  if (largestError !== null) return `Largest error on random inputs: ${largestError.toPrecision(3)}`
  const why = ort
    ? 'the file does not tell types and sizes of all inputs'
    : `it takes npm install ${runtimeName}`
  return `Largest error: not measured (${why})`
}

function runtime(): OnnxRuntime | undefined {
  let path: string
  try {
    path = resolveOptional(runtimeName)
  } catch {
    return undefined
  }
  return createRequire(import.meta.url)(path)
}
