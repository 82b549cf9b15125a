import { BatchNorm } from './batch-norm.ts'
import type { BatchNormOptions } from './options.ts'

/**
 * Batch normalization of images, `[N, C, H, W]`; with `layout: 'channels-last'` of `[N, H, W, C]`. Each
 * channel has N H W values.
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
 */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super(numFeatures, options, [['H', 'W']])
  }
}
