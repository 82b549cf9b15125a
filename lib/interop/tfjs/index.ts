/**
 * `batchnorm/tfjs`: a batch normalization layer for TensorFlow.js whose arithmetic is this
 * library's. Needs `@tensorflow/tfjs-core` and `@tensorflow/tfjs-layers`.
 *
 * @module batchnorm/tfjs
 */
export type { BatchNormalizationArgs } from './arguments.ts'
export { BatchNormalization, batchNormalization } from './layer.ts'
export { useNativeBatchNormalization } from './native.ts'
