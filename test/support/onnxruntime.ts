/**
 * ONNX Runtime, if it is installed: too large (290 MB) to be a dependency. It is looked for as any
 * package is, or in the folder that BATCHNORM_ONNXRUNTIME names.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Tensor, TensorLike } from '../../lib/index.ts'
import type { ParameterType } from '../../lib/tensor/data-type.ts'
import type { FloatArray } from './bits.ts'

interface Runtime {
  readonly InferenceSession: {
    create(
      model: Uint8Array,
      options: { intraOpNumThreads: number },
    ): Promise<{ run(feeds: { X: unknown }): Promise<Record<string, { data: FloatArray; dims: number[] }>> }>
  }
  readonly Tensor: new (type: ParameterType, data: FloatArray, dims: readonly number[]) => object
}

const folder = process.env.BATCHNORM_ONNXRUNTIME

function load(): Runtime | null {
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

const runtime = load()

export const hasOnnxRuntime = runtime !== null

/** The outputs of a model for its one input, X. */
export async function run(
  model: Uint8Array,
  x: Tensor<FloatArray>,
): Promise<Record<string, TensorLike<FloatArray>>> {
  const { InferenceSession, Tensor } = runtime as Runtime
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 })
  const outputs = await session.run({ X: new Tensor(x.dtype as ParameterType, x.data, x.shape) })
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data, dims }]) => [name, { data, shape: [...dims] }]),
  )
}
