import { BatchNorm } from './batch-norm.ts'
import type { BatchNormOptions } from './options.ts'

/**
 * Batch normalization of volumes, `[N, C, D, H, W]`; with `layout: 'channels-last'` of
 * `[N, D, H, W, C]`. Each channel has N D H W values.
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
 */
export class BatchNorm3d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options, [['D', 'H', 'W']])
  }
}
