/**
 * `batchnorm/tfjs`: a batch normalization layer for TensorFlow.js whose arithmetic is this
 * library's. Needs `@tensorflow/tfjs-core` and `@tensorflow/tfjs-layers`.
 */
export { BatchNormalization, type BatchNormalizationArgs, batchNormalization } from './layer.ts'
