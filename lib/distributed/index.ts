/**
 * `batchnorm/distributed`: workers that compute together. Batch statistics are the one thing in a network that is
 * wrong when a batch is split over workers.
 *
 * @module batchnorm/distributed
 */
export {
  type AverageGradientsOptions,
  averageGradients,
  averageGradientsAsync,
  type WithGradient,
} from './average-gradients.ts'
export type { Collective } from './collective.ts'
export { CollectiveError, type CollectiveErrorCode } from './collective-error.ts'
export { type BatchNormClass, convertSyncBatchNorm, revertSyncBatchNorm } from './convert.ts'
export { type GlooOptions, gloo } from './gloo.ts'
export { type MpiOptions, mpi } from './mpi.ts'
export { solo } from './solo.ts'
export { SyncBatchNorm, type SyncBatchNormOptions } from './sync-batch-norm.ts'
