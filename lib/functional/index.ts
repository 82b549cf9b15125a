/**
 * Batch normalization without a module: nothing is remembered, the caller holds the buffers. An
 * input is `[N, C, ...]`, with `layout: 'channels-last'` `[N, ..., C]`.
 * https://pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
 */
export type { ForwardFacts } from './backward-arguments.ts'
export { type BatchNormFunctionOptions, batchNorm } from './batch-norm.ts'
export {
  type BatchNormBackwardOptions,
  type BatchNormGradients,
  batchNormBackward,
} from './batch-norm-backward.ts'
export {
  type BatchNormDoubleBackwardOptions,
  type BatchNormSecondGradients,
  batchNormDoubleBackward,
} from './batch-norm-double-backward.ts'
export {
  type BatchNormStats,
  type BatchNormStatsOptions,
  batchNormStats,
} from './batch-norm-stats.ts'
