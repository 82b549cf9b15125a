import { types } from 'node:util'
import type { Tensor } from '@tensorflow/tfjs-core'

/**
 * The values of a tensor as float32: the one place where values leave TensorFlow.js. On its cpu backend a
 * tensor of dtype float32 may lie in an array of another type, such as the Int32Array that it was cast from.
 */
export function float32Of(tensor: Tensor): Float32Array {
  const values = tensor.dataSync()
  return types.isFloat32Array(values) ? values : Float32Array.from(values)
}
