import '@tensorflow/tfjs-backend-wasm'
import { batchNorm, dispose, moments, setBackend, type Tensor1D, tensor2d, tidy } from '@tensorflow/tfjs-core'
import type { Shape } from '../lib/tensor/shape.ts'

await setBackend('wasm')

/** TensorFlow.js' own batch normalization in training, which does not move running statistics. */
export function tensorFlowCase(x: Float32Array, shape: Shape) {
  const input = tensor2d(x, [shape[0], shape[1]])
  const normalize = () => {
    const { mean, variance } = moments(input, 0)
    return batchNorm(input, mean as Tensor1D, variance as Tensor1D, undefined, undefined, 1e-5)
  }
  return {
    shape,
    name: 'TensorFlow.js (wasm) forward',
    backend: null,
    passes: 3,
    run: () => dispose(tidy(normalize)),
  }
}
