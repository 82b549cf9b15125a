/**
 * `batchnorm/onnx`: batch norms out of .onnx files, into them, anew and folded in them; tensors of ONNX Runtime.
 *
 * @module batchnorm/onnx
 */
export type { OnnxFeeds, OnnxInput } from './feeds.ts'
export { type FoldedOnnx, type FoldOnnxOptions, foldOnnx } from './fold-onnx.ts'
export { type FromOnnx, type FromOnnxOptions, fromOnnx } from './from-onnx.ts'
export { findOnnxBatchNorms, type OnnxBatchNorm } from './nodes.ts'
export type { NormalizesWith } from './observed-model.ts'
export {
  type RecalibratedOnnx,
  type RecalibrateOnnxOptions,
  recalibrateOnnx,
} from './recalibrate-onnx.ts'
export type { OnnxStatistics, RecalibratedNode } from './recalibrated-norm.ts'
export type { OnnxRuntime, OnnxSession, OrtTensor, OrtTensors } from './runtime.ts'
export { fromOrt, toOrt } from './tensors.ts'
export { type ToOnnxOptions, toOnnx } from './to-onnx.ts'
