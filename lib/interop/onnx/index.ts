/** `batchnorm/onnx`: a batch norm out of an .onnx file, and into one. */
export { type FromOnnx, type FromOnnxOptions, fromOnnx } from './from-onnx.ts'
export { findOnnxBatchNorms, type OnnxBatchNorm } from './nodes.ts'
export { type ToOnnxOptions, toOnnx } from './to-onnx.ts'
