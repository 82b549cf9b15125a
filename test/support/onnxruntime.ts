/**
 * ONNX Runtime, if it is installed: too large (290 MB) to be a dependency. It is looked for as any
 * package is, or in the folder that BATCHNORM_ONNXRUNTIME names.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as ort from 'onnxruntime-common'
import type { Tensor, TensorLike } from '../../lib/index.ts'
import type { FloatArray } from './bits.ts'

const folder = process.env.BATCHNORM_ONNXRUNTIME

function load(): typeof ort | null {
  try {
    return createRequire(folder ? join(folder, 'index.js') : import.meta.url)('onnxruntime-node')
  } catch (error) {
    if (folder) throw error
    console.warn(
      'NOT TESTED: ONNX Runtime. ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node',
    )
    return null
  }
}

const loaded = load()

export const hasOnnxRuntime = loaded !== null

/** The package, for tests that are skipped without it. */
export const runtime = loaded as typeof ort

/** The outputs of a model for its one input, X. */
export async function run(
  model: Uint8Array,
  x: Tensor<FloatArray>,
): Promise<Record<string, TensorLike<FloatArray>>> {
  const { InferenceSession, Tensor } = runtime
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 })
  const outputs = await session.run({ X: new Tensor(x.dtype as 'float32', x.data as Float32Array, x.shape) })
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data, dims }]) => [
      name,
      { data: data as FloatArray, shape: [...dims] },
    ]),
  )
}
